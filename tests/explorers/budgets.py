"""A small untrained Flamingo with open gates, and clips to look at."""

import functools

import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.explorers import TokenBudget

SIDE, LONGEST, TOKENS = 32, 6, 4
TEXTS = ("a red star then a blue circle.", "a cyan square then a green triangle.")


@functools.cache
def make_model(reader="resampler"):
    """Four tokens from up to four frames with embeddings of their own."""
    recipe = recipes.get("captions_flamingo").override(
        {
            "model.language.channels": 16, "model.language.num_layers": 1, "model.gated.channels": 16,
            "model.gated.media_channels": 16, "model.resampler.latent_channels": 16, "model.resampler.head_dim": 4,
            "model.resampler.num_latents": TOKENS, "options.vision": (4, 8, 16), "options.embedding": 8,
            "options.num_bands": 4, "options.reader": reader,
        }
    )  # fmt: skip
    model = recipe.make_model(nnx.Rngs(3))
    for layer in model.gated.layers:
        layer.attention_gate[...] = layer.mlp_gate[...] = jnp.full(1, 3.0)
    return model


def clips():
    """Two clips in which the colour of everything changes with every frame."""
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (2, LONGEST, 1, 1, 3), dtype=np.uint8) + np.zeros((1, 1, SIDE, SIDE, 1), np.uint8)


def make_budget(**state):
    """Two clips of six frames."""
    return TokenBudget(make_model(), clips(), TEXTS, **state)
