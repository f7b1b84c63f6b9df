"""Blocks of any size: float32 and bfloat16 beside NumPy in float64, and the shapes that they document."""

import hypothesis.strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import Phase, given, settings

from perceiver_lab.layers import MLP, CrossAttentionBlock, GatedMLP, SelfAttentionBlock, SelfAttentionStack, compute_in
from tests.drawn import drawn, normal
from tests.float64 import attention, mlp, norm

# Every size is a program to compile: looking for the smallest that fails would take minutes.
ONCE = {"deadline": None, "derandomize": True, "phases": (Phase.explicit, Phase.generate)}
FEW, MANY = (settings(max_examples=count, **ONCE) for count in (8, 25))
# Of the largest number that comes out. A bfloat16 has 8 bits: a product is off by up to 2^-8, and a block has six.
BOUNDS = {"float32": 1e-5, "bfloat16": 0.03}

run = nnx.jit(lambda block, *arrays, mask=None: block(*arrays, mask=mask))


def cross_in_float64(block, queries, inputs, mask):
    x = attention(block.attention, norm(block.query_norm, queries), norm(block.kv_norm, inputs), mask)
    x = queries + x if block.use_query_residual else x
    return x + mlp(block.mlp, norm(block.mlp_norm, x))


def self_in_float64(block, x, mask):
    normed = norm(block.norm, x)
    x = x + attention(block.attention, normed, normed, mask)
    return x + mlp(block.mlp, norm(block.mlp_norm, x))


@st.composite
def sizes(draw):
    """Batch, queries, inputs, heads, and widths that the heads divide where they must."""
    heads = draw(st.sampled_from((1, 2, 3)))
    q, qk, v = (heads * draw(st.integers(1, 4)) for _ in range(3))
    b, n, m, c = (draw(st.integers(1, most)) for most in (3, 5, 9, 7))
    return {"b": b, "n": n, "m": m, "c": c + 1, "q": q + 1, "qk": qk, "v": v, "heads": heads}


def close(block, arrays, mask, reference):
    expected = reference(block, *(np.asarray(one, np.float64) for one in arrays), mask)
    for precision, bound in BOUNDS.items():
        found = run(compute_in(block, precision), *arrays, mask=jnp.asarray(mask))
        assert found.shape == expected.shape and found.dtype == jnp.float32
        assert np.abs(np.asarray(found) - expected).max() <= bound * max(1, np.abs(expected).max()), precision


@FEW
@given(sizes(), st.booleans(), st.integers(0, 99))
def test_cross_attention_beside_float64(size, residual, seed):
    b, n, m, c, q = (size[name] for name in "bnmcq")
    mask = np.random.default_rng(seed).random((b, n, m)) < 0.7
    options = {"num_heads": size["heads"], "qk_channels": size["qk"], "v_channels": size["v"]}
    block = drawn(
        lambda: CrossAttentionBlock(q, c, use_query_residual=residual, rngs=nnx.Rngs(0), **options), seed=seed
    )
    close(block, (normal(b, n, q, seed=seed), normal(b, m, c, seed=seed + 1)), mask, cross_in_float64)


@FEW
@given(sizes(), st.integers(0, 99))
def test_self_attention_beside_float64(size, seed):
    b, n, q = (size[name] for name in "bnq")
    mask = np.random.default_rng(seed).random((b, n, n)) < 0.7
    options = {"num_heads": size["heads"], "qk_channels": size["qk"], "v_channels": size["v"], "widening_factor": 2}
    block = drawn(lambda: SelfAttentionBlock(q, rngs=nnx.Rngs(0), **options), seed=seed)
    close(block, (normal(b, n, q, seed=seed),), mask, self_in_float64)


@MANY
@given(sizes(), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_shapes_follow_or_what_does_not_divide_is_named(size, heads, layers, scan):
    b, n, m, c, q = (size[name] for name in "bnmcq")
    options = {"num_heads": heads, "qk_channels": size["qk"], "v_channels": size["v"]}

    def shapes():
        x, inputs = jnp.zeros((b, n, q)), jnp.zeros((b, m, c))
        rngs = nnx.Rngs(0)
        return (
            SelfAttentionStack(layers, q, scan=scan, rngs=rngs, **options)(x),
            CrossAttentionBlock(q, c, rngs=rngs, **options)(x, inputs),
            MLP(q, widening_factor=layers, rngs=rngs)(x),
            GatedMLP(q, layers, rngs=rngs)(x),
        )

    if any(size[name] % heads for name in ("qk", "v")):
        with pytest.raises(ValueError, match=rf"num_heads={heads} does not divide (qk|v)_channels=\d+"):
            nnx.eval_shape(shapes)
        return
    assert {(one.shape, one.dtype) for one in nnx.eval_shape(shapes)} == {((b, n, q), jnp.dtype(jnp.float32))}


@FEW
@given(st.sampled_from((np.nan, np.inf, -np.inf)), st.integers(0, 4), st.integers(0, 99))
def test_what_may_not_be_attended_to_may_be_any_number(value, place, seed):
    block = drawn(lambda: CrossAttentionBlock(4, 3, rngs=nnx.Rngs(0)), seed=seed)
    queries, inputs = normal(1, 2, 4, seed=seed), np.array(normal(1, 5, 3, seed=seed))
    mask = np.ones((1, 2, 5), bool)
    mask[..., place] = False
    clean = run(block, queries, jnp.asarray(inputs), mask=jnp.asarray(mask))
    inputs[:, place] = 1e30
    np.testing.assert_allclose(run(block, queries, jnp.asarray(inputs), mask=jnp.asarray(mask)), clean, atol=1e-5)
    inputs[:, place] = value  # a number that is none is told, not hidden
    assert not np.isfinite(run(block, queries, jnp.asarray(inputs), mask=jnp.asarray(mask))).all()
