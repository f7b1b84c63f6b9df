"""Models and arrays for tests that NumPy draws: JAX would compile a program for every shape."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


def drawn(build, seed=0):
    """What `build()` makes, with other weights: none is zero, and those of a norm are near one and zero.

    For tests of what a model does. What it starts from is tested on a model that was made as users make it.
    """
    with mock.patch.object(nnx.RngStream, "__call__", lambda stream: stream.key[...]):  # no draw: only shapes count
        graphdef, params, statistics = nnx.split(nnx.eval_shape(build), nnx.Param, nnx.BatchStat)
    generator = np.random.default_rng(seed)
    params = jax.tree_util.tree_map_with_path(lambda *leaf: _draw(generator, *leaf), params)
    return nnx.merge(graphdef, params, jax.tree_util.tree_map_with_path(_start, statistics))


def normal(*shape, seed=0):
    """Standard normal numbers, float32."""
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def _draw(generator, path, leaf):
    name, values = jax.tree_util.keystr(path), generator.standard_normal(leaf.shape)
    if "kernel" in name:
        values /= np.sqrt(np.prod(leaf.shape[:-1]))
    elif "scale" in name:
        values = 1 + 0.1 * values
    else:
        values *= 0.1 if "bias" in name else 0.5
    return jnp.asarray(values.astype(leaf.dtype))


def _start(path, leaf):
    """What the running averages of a batch norm start from."""
    return jnp.asarray(np.full(leaf.shape, "'variance'" in jax.tree_util.keystr(path), leaf.dtype))
