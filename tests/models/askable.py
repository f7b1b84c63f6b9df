"""Small Perceiver IOs of every kind of query, for the tests of what can be asked."""

import functools

from flax import nnx

from perceiver_lab import adapters
from perceiver_lab.layers import FourierPositions, LearnedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from tests.drawn import drawn, normal

CONFIG = PerceiverConfig(num_latents=5, latent_channels=8, num_self_attends_per_block=1, num_self_heads=2)


IMAGES, SOUND = normal(2, 4, 6, 3), normal(2, 12, 1, seed=1)
BATCH = {"image": IMAGES, "audio": SOUND}


def made_once(build):
    """Of NumPy's weights; tests do not change it."""
    return functools.cache(lambda *given: drawn(lambda: build(*given)))


def image_input():
    return adapters.ImageInput((4, 6, 3), num_bands=2)


@made_once
def zooming():
    """Reads an image and paints one of 5 x 7."""
    rngs = nnx.Rngs(0)
    queries = adapters.PositionQueries(FourierPositions((5, 7), num_bands=2))
    output = adapters.LinearOutput(6, 3, grid=(5, 7), rngs=rngs)
    decoder = Decoder(queries, 8, output_channels=6, rngs=rngs)
    return PerceiverIO(CONFIG, input_adapter=image_input(), decoder=decoder, output_adapter=output, rngs=rngs)


@made_once
def flow():
    """Answers at its inputs, which are its queries."""
    rngs = nnx.Rngs(0)
    inputs = image_input()
    decoder = Decoder(adapters.InputQueries(inputs.num_channels), 8, output_channels=2, rngs=rngs)
    return PerceiverIO(
        CONFIG, input_adapter=inputs, decoder=decoder, output_adapter=adapters.FlowOutput((4, 6)), rngs=rngs
    )


@made_once
def several(subsampling="grid"):
    """Reads an image and a sound, reconstructs both and says a class."""
    rngs = nnx.Rngs(0)

    def asked(positions):
        return adapters.PositionQueries(positions, subsampling=subsampling)

    made = adapters.multimodal_adapters(
        [
            adapters.Modality(
                name="image",
                input_adapter=image_input(),
                queries=asked(FourierPositions((4, 6), num_bands=2)),
                output_adapter=adapters.LinearOutput(6, 3, grid=(4, 6), rngs=rngs),
            ),
            adapters.Modality(
                name="audio",
                input_adapter=adapters.GridInput(
                    adapters.AudioPatches(12, samples_per_patch=2), FourierPositions((6,), num_bands=2)
                ),
                queries=asked(FourierPositions((6,), num_bands=3)),
                output_adapter=adapters.AudioOutput(6, 2, rngs=rngs),
            ),
            adapters.Modality(
                name="class",
                queries=asked(LearnedPositions((1,), 4, rngs=rngs)),
                output_adapter=adapters.LinearOutput(6, 9, only_query=True, rngs=rngs),
            ),
        ],
        rngs=rngs,
    )
    decoder = Decoder(made.queries, 8, output_channels=6, rngs=rngs)
    return PerceiverIO(
        CONFIG, input_adapter=made.input_adapter, decoder=decoder, output_adapter=made.output_adapter, rngs=rngs
    )


@made_once
def with_features():
    """Queries of position and of what was seen there, through a batch norm."""
    rngs = nnx.Rngs(0)
    features = adapters.Convolutions((16, 24, 3), channels=3, rngs=rngs)
    inputs = adapters.GridInput(features, FourierPositions(features.grid, num_bands=2))
    queries = adapters.PositionQueries(FourierPositions(features.grid, num_bands=2), feature_channels=3)
    return PerceiverIO(
        CONFIG, input_adapter=inputs, decoder=Decoder(queries, 8, output_channels=6, rngs=rngs), rngs=rngs
    )


@made_once
def bytes_in_and_out():
    rngs = nnx.Rngs(0)
    decoder = Decoder(
        adapters.PositionQueries(LearnedPositions((6,), 8, rngs=rngs)), 8, output_channels=None, rngs=rngs
    )
    inputs = adapters.ByteInput(8, 6, vocabulary=20, rngs=rngs)
    return PerceiverIO(CONFIG, input_adapter=inputs, decoder=decoder, output_adapter=adapters.ByteOutput(20), rngs=rngs)
