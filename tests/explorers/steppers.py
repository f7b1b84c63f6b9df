"""A small decode stepper to test with."""

import functools

import jax
import numpy as np
from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.datasets import chorales
from perceiver_lab.explorers import DecodeStepper
from perceiver_lab.models import PerceiverAR, PerceiverARConfig

CONTEXT, LATENTS, REFILL_TO = 64, 8, 4


@functools.cache
def make_model(scale=3):
    """Reads 64 tokens of a chorale with 8 latents; nothing is learnt. A larger scale makes it surer of itself."""
    config = PerceiverARConfig(
        num_latents=LATENTS, latent_channels=8, max_context=CONTEXT, num_self_attends=2, num_cross_heads=2,
        num_self_heads=2, rotary_fraction=1.0,
    )  # fmt: skip
    rngs = nnx.Rngs(0)
    adapter = TokenInput(chorales.TOKENS, 8, rngs=rngs)
    model = PerceiverAR(config, input_adapter=adapter, zero_output=False, rngs=rngs)
    nnx.update(model, jax.tree.map(lambda leaf: scale * leaf, nnx.state(model, nnx.Param)))
    return model


def grid(*rows):
    """A grid of rows of pitches, each of which begins."""
    return np.array(rows, np.uint8) + chorales.ONSET


PROMPTS = {
    "rising": grid(*[(67 + i, 62 + i, 55, 43) for i in range(6)]),
    "falling": grid(*[(72 - i, 65, 57 - i, 48) for i in range(5)]),
}


def make_stepper(prompts=PROMPTS, scale=3, **state):
    """Two prompts of some sixteenths; full passes with 4 latents."""
    return DecodeStepper(make_model(scale), prompts, **{"refill_to": REFILL_TO, **state})
