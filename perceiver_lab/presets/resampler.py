"""Resamplers and gated layers: Flamingo's (2204.14198), and those of three implementations with weights.

The paper released no code; its sizes are given in the text and in Tables of its appendix. What the implementations do
otherwise is said by each function; the numbers that come out are theirs (tests/parity).
"""

from flax import nnx

from perceiver_lab.models.gated import GatedConfig, GatedCrossAttention, GatedLayers
from perceiver_lab.models.resampler import Resampler, ResamplerConfig

FLAMINGO = ResamplerConfig(input_channels=3072)
FLAMINGO_PYTORCH = ResamplerConfig(
    latent_channels=1024,
    num_heads=8,
    head_dim=64,
    activation="gelu_exact",
    max_frames=4,
    flatten_time=False,
    final_norm=True,
)
OPEN_FLAMINGO = ResamplerConfig(
    latent_channels=1024,
    num_heads=8,
    head_dim=64,
    activation="gelu_exact",
    max_frames=None,
    final_norm=True,
)
IDEFICS = ResamplerConfig(
    latent_channels=1280,
    num_heads=16,
    head_dim=96,
    activation="relu",
    max_frames=None,
    final_norm=True,
)

FLAMINGO_PYTORCH_GATED = GatedConfig(
    channels=1024,
    media_channels=1024,
    num_heads=8,
    head_dim=64,
    activation="gelu_exact",
    media_norm=False,
    blind="uniform",
)
OPEN_FLAMINGO_GATED = GatedConfig(
    channels=4096,
    media_channels=1024,
    num_heads=8,
    head_dim=64,
    activation="gelu_exact",
    media_norm=False,
    blind="uniform",
)
IDEFICS_GATED = GatedConfig(
    channels=4096,
    media_channels=1280,
    num_heads=32,
    head_dim=128,
    activation="silu",
    media_norm=False,
    norm="rms",
    gated_mlp_channels=11_008,
    blind="uniform",
)


def flamingo_resampler(*, rngs: nnx.Rngs) -> Resampler:
    """The paper's, the same in all three models: 194M parameters (Table 13 has the sizes).

    6 layers of 1536 channels, 16 heads of 128, 64 latents, squared ReLU; a learned embedding for each of 8 frames. The
    paper does not say how features of the vision network (NFNet-F6) become 1536 wide: with 3072 of them and one linear
    layer the count comes out as printed.
    """
    return Resampler(FLAMINGO, rngs=rngs)


def flamingo_pytorch_resampler(*, rngs: nnx.Rngs) -> Resampler:
    """That of flamingo-pytorch 0.1.2 with a width of 1024 and 6 layers: 63,023,104 parameters.

    Other than the paper (section 3.1 and Table 13): each time step is resampled on its own, T times R tokens; exact
    GELU; a last layer norm; 8 heads of 64.
    """
    return Resampler(FLAMINGO_PYTORCH, rngs=rngs)


def open_flamingo_resampler(*, rngs: nnx.Rngs) -> Resampler:
    """That of open-flamingo 2.0.1 on features of CLIP ViT-L/14, 1024 wide: 63,019,008 parameters.

    Other than the paper (section 3.1 and Table 13): no time embeddings unless asked for, and then two tables, for the
    frames of a clip (`max_frames`) and for the images of a text (`max_media`); exact GELU; a last layer norm; 8 heads
    of 64.
    """
    return Resampler(OPEN_FLAMINGO, rngs=rngs)


def idefics_resampler(*, rngs: nnx.Rngs) -> Resampler:
    """That of IDEFICS in transformers, on features 1280 wide: 125,959,680 parameters.

    Other than the paper (section 3.1 and Table 13): images only, without any time embedding; ReLU; a last layer norm;
    heads of 96; as an option a layer norm on the heads' queries and keys (`head_norm`).
    """
    return Resampler(IDEFICS, rngs=rngs)


def flamingo_gated_3b(*, rngs: nnx.Rngs) -> GatedLayers:
    """The gated layers of Flamingo-3B (Table 13): one before each of 24 blocks of 2048 channels, 1.16B parameters."""
    config = GatedConfig(channels=2048, media_channels=1536, num_heads=16, head_dim=128)
    return GatedLayers(config, 24, every=1, rngs=rngs)


def flamingo_gated_9b(*, rngs: nnx.Rngs) -> GatedLayers:
    """Those of Flamingo-9B (Table 13): before every 4th of 40 blocks of 4096 channels, 1.80B parameters."""
    config = GatedConfig(channels=4096, media_channels=1536, num_heads=32, head_dim=128)
    return GatedLayers(config, 40, every=4, rngs=rngs)


def flamingo_gated_80b(*, rngs: nnx.Rngs) -> GatedLayers:
    """Those of Flamingo-80B (Table 13): before every 7th of 80 blocks of 8192 channels.

    8.36B parameters as counted here; the paper prints 10B.
    """
    config = GatedConfig(channels=8192, media_channels=1536, num_heads=64, head_dim=128)
    return GatedLayers(config, 80, every=7, rngs=rngs)


def flamingo_pytorch_gated(*, rngs: nnx.Rngs) -> GatedCrossAttention:
    """One gated layer of flamingo-pytorch 0.1.2 with a width of 1024: 10,489,858 parameters.

    Other than the paper (section 3.1 and Table 13): no norm on the media; exact GELU; where all images so far may be
    seen, a token before them sees the average of all, those that come later too.
    """
    return GatedCrossAttention(FLAMINGO_PYTORCH_GATED, rngs=rngs)


def open_flamingo_gated(*, rngs: nnx.Rngs) -> GatedCrossAttention:
    """One gated layer of open-flamingo 2.0.1 in a language model of 4096 channels: 139,476,994 parameters.

    As flamingo-pytorch's against the paper (Table 13); text and media may be of different widths.
    """
    return GatedCrossAttention(OPEN_FLAMINGO_GATED, rngs=rngs)


def idefics_gated(*, rngs: nnx.Rngs) -> GatedCrossAttention:
    """One gated layer of IDEFICS with the default sizes of its configuration in transformers: 179,314,690 parameters.

    Other than the paper (section 3.1 and Table 13): RMS norms, none on the media; a gated MLP (SwiGLU); as options
    norms on the heads (`head_norm`) and a gate for each channel (`vector_gates`).
    """
    return GatedCrossAttention(IDEFICS_GATED, rngs=rngs)


RESAMPLERS = (flamingo_resampler, flamingo_pytorch_resampler, open_flamingo_resampler, idefics_resampler)
GATED = (
    flamingo_gated_3b,
    flamingo_gated_9b,
    flamingo_gated_80b,
    flamingo_pytorch_gated,
    open_flamingo_gated,
    idefics_gated,
)
