"""A small untrained model that reads bytes, and texts to paint on."""

import functools

from flax import nnx

from perceiver_lab.adapters import ByteInput, ByteOutput, PositionQueries
from perceiver_lab.datasets import NeighbourCounts
from perceiver_lab.explorers import MaskPainter
from perceiver_lab.layers import LearnedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO

LENGTH = 40
TEXTS = ("Romeo, O Romeo! wherefore art thou sad?\n", "Café, naïve: don't")


@functools.cache
def make_model(length=LENGTH):
    """Answers at each of `length` bytes; nothing is learnt."""
    rngs = nnx.Rngs(0)
    queries = PositionQueries(LearnedPositions((length,), 16, rngs=rngs))
    decoder = Decoder(queries, 16, output_channels=None, num_heads=2, rngs=rngs)
    config = PerceiverConfig(num_latents=6, latent_channels=16, num_self_attends_per_block=1, num_self_heads=2)
    adapter = ByteInput(16, length, rngs=rngs)
    return PerceiverIO(config, input_adapter=adapter, decoder=decoder, output_adapter=ByteOutput(), rngs=rngs)


@functools.cache
def make_counts():
    """Of a few words."""
    return NeighbourCounts([b"Romeo and Juliet are art thou wherefore " * 3])


def make_painter(texts=TEXTS, **state):
    """Two texts, with counts beside the model."""
    return MaskPainter(make_model(), texts, counts=make_counts(), **state)
