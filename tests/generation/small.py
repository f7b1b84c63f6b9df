"""A Perceiver AR small enough to sample from in a test."""

import jax
import jax.numpy as jnp
from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.layers import LearnedPositions
from perceiver_lab.models import PerceiverAR, PerceiverARConfig

VOCABULARY, CONTEXT, LATENTS = 11, 12, 4


def make(*, axes=0, **sizes):
    """Rotary positions, or learned ones on so many axes. The logits do not start from zero."""
    config = PerceiverARConfig(
        **{
            "num_latents": LATENTS,
            "latent_channels": 8,
            "max_context": CONTEXT,
            "num_self_attends": 1,
            "num_cross_heads": 2,
            "num_self_heads": 2,
            "rotary_fraction": 0.0 if axes else 1.0,
            **sizes,
        }
    )
    rngs = nnx.Rngs(3)
    positions = [LearnedPositions((CONTEXT + 1,), 8, init_std=1.0, rngs=rngs) for _ in range(axes)]
    adapter = TokenInput(VOCABULARY, 8, positions=positions, rngs=rngs)
    model = PerceiverAR(config, input_adapter=adapter, zero_output=False, rngs=rngs)
    model.output.kernel[...] = 3 * jax.random.normal(jax.random.key(0), model.output.kernel.shape)
    return model


def preferring(token, **sizes):
    """A model that finds one token a thousand times likelier than all others."""
    model = make(**sizes)
    model.output.bias[...] = jnp.zeros(VOCABULARY).at[token].set(100.0)
    return model
