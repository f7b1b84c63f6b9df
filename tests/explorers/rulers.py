"""A small context ruler to test with."""

import functools

import jax
import numpy as np
from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.datasets import mirrored
from perceiver_lab.explorers import ContextRuler
from perceiver_lab.models import PerceiverAR, PerceiverARConfig

LENGTH = 16
SEQUENCES = np.stack([mirrored(LENGTH, np.random.default_rng(seed)) for seed in range(2)])


@functools.cache
def make_model():
    """Reads sequences of `LENGTH` with 4 latents; nothing is learnt."""
    config = PerceiverARConfig(
        num_latents=4, latent_channels=8, max_context=LENGTH, num_self_attends=1, num_cross_heads=2, num_self_heads=2
    )
    rngs = nnx.Rngs(0)
    model = PerceiverAR(config, input_adapter=TokenInput(259, 8, rngs=rngs), zero_output=False, rngs=rngs)
    nnx.update(model, jax.tree.map(lambda leaf: 3 * leaf, nnx.state(model, nnx.Param)))  # surer of itself
    return model


def make_ruler(sequences=SEQUENCES, **state):
    """Two mirrored sequences, read by 1 or 4 latents."""
    return ContextRuler(make_model(), sequences, **state)
