"""The memory of causal blocks, and what the blocks compute with and without it."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.layers import MLP, CausalCrossAttentionBlock, CausalSelfAttentionBlock, CrossAttentionBlock, Memory
from perceiver_lab.ops import causal_mask
from tests.drawn import drawn, normal


def test_a_memory_takes_elements_into_their_slots_and_drops_those_without():
    memory = Memory(jnp.zeros((2, 3, 1, 2)), jnp.zeros((2, 3, 1, 2)))
    k, v = normal(2, 2, 1, 2), normal(2, 2, 1, 2, seed=1)
    written = memory.write(k, v, jnp.array([[2, 0], [1, 3]]))
    np.testing.assert_array_equal(written.k[0], jnp.stack([k[0, 1], jnp.zeros((1, 2)), k[0, 0]]))
    np.testing.assert_array_equal(written.v[1], jnp.stack([jnp.zeros((1, 2)), v[1, 0], jnp.zeros((1, 2))]))
    np.testing.assert_array_equal(memory.k, 0)


def test_a_memory_keeps_its_precision():
    memory = Memory(jnp.zeros((1, 2, 1, 2), jnp.bfloat16), jnp.zeros((1, 2, 1, 2), jnp.bfloat16))
    written = memory.write(normal(1, 1, 1, 2), normal(1, 1, 1, 2), jnp.array([[0]]))
    assert written.k.dtype == written.v.dtype == jnp.bfloat16


def test_without_positions_a_causal_read_is_a_masked_read():
    def made(kind):  # with the same weights
        return drawn(lambda: kind(8, 6, num_heads=2, activation="squared_relu", rngs=nnx.Rngs(0)))

    queries, inputs = normal(2, 3, 8), normal(2, 5, 6)
    places = {"query_index": jnp.array([[1, 2, 4]] * 2), "key_index": jnp.array([list(range(5))] * 2)}
    call = nnx.jit(lambda block, queries, inputs, **options: block(queries, inputs, **options))
    expected = call(made(CrossAttentionBlock), queries, inputs, mask=causal_mask(*places.values()))
    found = call(made(CausalCrossAttentionBlock), queries, inputs, **places)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_elements_one_after_the_other_are_elements_at_once():
    block, x = drawn(lambda: CausalSelfAttentionBlock(8, num_heads=2, rngs=nnx.Rngs(0))), normal(1, 3, 8)
    mask = jnp.asarray(np.tril(np.ones((1, 3, 3), bool)))
    extend = nnx.jit(lambda block, x, memory, slots, mask: block.extend(x, memory, slots=slots, mask=mask))
    memory, found = Memory(jnp.zeros((1, 3, 2, 4)), jnp.zeros((1, 3, 2, 4))), []
    for place in range(3):
        step = {"slots": jnp.array([[place]]), "mask": mask[:, place : place + 1]}
        out, memory = extend(block, x[:, place : place + 1], memory, **step)
        found.append(out)
    whole = nnx.jit(lambda block, x: block(x, mask=mask))(block, x)
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, atol=1e-5)


def test_squared_relu():
    @nnx.jit
    def both(mlp, x):
        return mlp(x), mlp.contract(jnp.maximum(mlp.expand(x), 0) ** 2)

    mlp = drawn(lambda: MLP(4, widening_factor=2, activation="squared_relu", rngs=nnx.Rngs(0)))
    found, expected = both(mlp, normal(1, 3, 4))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(ValueError, match="activation='cubed_relu' is unknown"):
        MLP(4, activation="cubed_relu", rngs=nnx.Rngs(0))
