"""The configurations of Perceiver AR (Hawthorne et al. 2022, 2202.07765).

The release has those of ImageNet and of the copy task; all their sizes are taken from it. It has none for text or
music: what is said about those models elsewhere has not been checked against the paper, and each docstring says so.
Check it before you quote it.

All models have inputs and latents of 1024 channels, 16 heads, MLPs four times as wide, and dropout of 0.1.
"""

from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.layers import LearnedPositions, SinusoidalPositions
from perceiver_lab.models import PerceiverAR, PerceiverARConfig

CHANNELS = 1024
BYTES = 256 + 3  # values of a byte after the tokens PAD, EOS and SOS
IMAGE_AXES = (66, 66, 5)  # x, y and colour channel, counted from 2 on; 1 is the start, 0 padding


def imagenet64_ar(*, rngs: nnx.Rngs) -> PerceiverAR:
    """ImageNet 64 x 64, value by value: 770,094,339 parameters (release, sweep `imagenet_w_positions`).

    60 layers, 1024 latents, learned positions of x, y and colour channel. A picture is a start token and 12,288 values
    in the order rows, columns, channels; the context of 12,416 leaves room. Reported by others, not checked against
    the paper's tables: 3.40 bits per dimension on the validation set (Megabyte, 2305.07185, Table 4).
    """
    positions = [LearnedPositions((size,), CHANNELS, init_std=1.0, rngs=rngs) for size in IMAGE_AXES]
    return _model(BYTES, positions, rngs=rngs, max_context=12_416, num_latents=1024, num_self_attends=60)


def copy_131k_ar(*, rngs: nnx.Rngs) -> PerceiverAR:
    """The copy task, 65,536 tokens and their mirror image: 89,757,955 parameters (release, `random_mirrored_131072`).

    6 layers, 1024 latents, sinusoidal positions. The release keeps those as a table of 134,218,752 numbers that are
    never trained, and counts 223,976,707; here they are computed. Unverified: solved after 25,000 steps, as reported.
    """
    context = 131_072
    positions = [SinusoidalPositions(context + 1, CHANNELS)]
    return _model(BYTES, positions, rngs=rngs, max_context=context, num_latents=1024, num_self_attends=6)


def wikitext103_ar(*, rngs: nnx.Rngs) -> PerceiverAR:
    """WikiText-103, word by word: sizes unverified, and not in the release.

    18 layers, a context of 2,048 and 1024 latents, rotary positions. The paper's model is said to have adaptive
    embeddings and 358M parameters; the plain tables here, of 267,735 words, take 548M alone.
    """
    return _model(267_735 + 3, [], rngs=rngs, max_context=2_048, num_latents=1024, num_self_attends=18)


def pg19_ar(*, rngs: nnx.Rngs) -> PerceiverAR:
    """PG-19, books: sizes unverified; 60 layers and 32,000 subwords as reported in 2305.07185, Table 3.

    A context of 2,048, at which that table has 45.9 (validation) and 28.9 (test) as perplexity per word. 1024 latents
    and rotary positions are this library's choice. The same sources say 974.6M parameters; these sizes have 835M.
    """
    return _model(32_000 + 3, [], rngs=rngs, max_context=2_048, num_latents=1024, num_self_attends=60)


def maestro_ar(*, rngs: nnx.Rngs) -> PerceiverAR:
    """MAESTRO, piano music as events: sizes unverified, and not in the release.

    12 layers, a context of 4,096 and 2,048 latents, as reported.

    Unverified too: the vocabulary, 128 keys down, 128 up, 100 lengths of time and 32 loudnesses, and rotary positions.
    """
    return _model(388 + 3, [], rngs=rngs, max_context=4_096, num_latents=2_048, num_self_attends=12)


def _model(vocabulary: int, positions: list[nnx.Module], *, rngs: nnx.Rngs, **sizes) -> PerceiverAR:
    config = PerceiverARConfig(
        latent_channels=CHANNELS,
        num_cross_heads=16,
        num_self_heads=16,
        rotary_fraction=0.0 if positions else 0.5,
        dropout_rate=0.1,
        **sizes,
    )
    adapter = TokenInput(vocabulary, CHANNELS, positions=positions, rngs=rngs)
    return PerceiverAR(config, input_adapter=adapter, rngs=rngs)


PERCEIVER_AR = (imagenet64_ar, copy_131k_ar, wikitext103_ar, pg19_ar, maestro_ar)
