import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.layers import MLP, CrossAttentionBlock, SelfAttentionBlock
from perceiver_lab.layers.blocks import repeat_batch
from tests.drawn import drawn, normal

RATE = 0.25


def cross(**options):
    return drawn(lambda: CrossAttentionBlock(8, 6, rngs=nnx.Rngs(0), **{"num_heads": 2, **options}))


def selfish(**options):
    return drawn(lambda: SelfAttentionBlock(8, num_heads=2, rngs=nnx.Rngs(0), **options))


@nnx.jit(static_argnames="train")
def run(block, *arrays, train=False, rngs=None, mask=None):
    return block(*arrays, train=train, rngs=rngs, mask=mask)


def silence(linear):
    """Let a linear layer say nothing."""
    linear.kernel[...] = jnp.zeros(linear.kernel.shape)
    linear.bias[...] = jnp.zeros(linear.bias.shape)


@nnx.jit
def cross_by_hand(block, queries, inputs):
    attended = block.attention(block.query_norm(queries), block.kv_norm(inputs))
    x = queries + attended if block.use_query_residual else attended
    return x + block.mlp(block.mlp_norm(x))


@pytest.mark.parametrize("use_query_residual", [True, False])
def test_queries_of_a_batch_of_one_read_every_example(use_query_residual):
    block = cross(use_query_residual=use_query_residual)
    queries, inputs = normal(1, 5, 8), normal(3, 7, 6, seed=1)
    every = run(block, queries, inputs)
    assert every.shape == (3, 5, 8)
    repeated = jnp.asarray(np.repeat(queries, 3, axis=0))
    np.testing.assert_allclose(every, run(block, repeated, inputs), atol=1e-6)


@nnx.jit
def self_by_hand(block, x):
    x = x + block.attention(block.norm(x), block.norm(x))
    return x + block.mlp(block.mlp_norm(x))


@pytest.mark.parametrize("use_query_residual", [True, False])
def test_a_cross_attention_block_is_its_formula(use_query_residual):
    block = cross(use_query_residual=use_query_residual, qk_channels=4, v_channels=10, widening_factor=2)
    queries, inputs = normal(2, 3, 8), normal(2, 9, 6, seed=1)
    np.testing.assert_allclose(run(block, queries, inputs), cross_by_hand(block, queries, inputs), atol=1e-5)


def test_queries_and_keys_meet_by_default_at_the_width_of_the_inputs():
    assert cross().attention.query.kernel.shape == (8, 6)
    assert cross().attention.output.kernel.shape == (6, 8)


def test_a_self_attention_block_is_its_formula():
    block, x = selfish(widening_factor=2), normal(2, 5, 8)
    np.testing.assert_allclose(run(block, x), self_by_hand(block, x), atol=1e-5)


def test_nothing_is_dropped_unless_a_rate_is_given():
    x = normal(2, 5, 8)
    for block, arrays in ((selfish(), (x,)), (cross(), (x, normal(2, 9, 6)))):
        training = run(block, *arrays, train=True, rngs=nnx.Rngs(dropout=0))
        np.testing.assert_array_equal(training, run(block, *arrays))


def test_a_block_with_other_value_width_comes_back_to_its_own():
    block = selfish(qk_channels=4, v_channels=6)
    assert nnx.eval_shape(lambda block: block(normal(1, 5, 8)), block).shape == (1, 5, 8)


def test_an_mlp_is_two_layers_with_gelu_between():
    mlp, x = drawn(lambda: MLP(4, widening_factor=3, rngs=nnx.Rngs(0))), normal(2, 4)

    def linear(layer, x):
        return x @ np.asarray(layer.kernel[...]) + np.asarray(layer.bias[...])

    hidden = linear(mlp.expand, np.asarray(x))
    gelu = 0.5 * hidden * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)))
    np.testing.assert_allclose(nnx.jit(lambda mlp, x: mlp(x))(mlp, x), linear(mlp.contract, gelu), atol=1e-6)
    assert mlp.expand.kernel.shape == (4, 12)


def test_the_weights_of_an_mlp_start_as_published():
    mlp = MLP(256, widening_factor=2, rngs=nnx.Rngs(0))
    assert np.asarray(mlp.expand.kernel[...]).std() == pytest.approx(256**-0.5, rel=0.02)
    assert np.asarray(mlp.contract.kernel[...]).std() == pytest.approx(512**-0.5, rel=0.02)
    np.testing.assert_array_equal(mlp.expand.bias[...], 0.0)


def dropped_share(found, kept, scaled):
    """The share of elements that were dropped; the others must be those `scaled`, none may be anything else."""
    gone, there = np.isclose(found, kept, atol=1e-5), np.isclose(found, scaled, atol=1e-5)
    assert (gone | there).all()
    return gone.mean()


@pytest.mark.parametrize("site", ["attention", "mlp"])
@pytest.mark.parametrize("kind", ["cross", "self"])
def test_dropout_acts_after_the_attention_and_after_the_mlp(kind, site):
    block = cross(dropout_rate=RATE) if kind == "cross" else selfish(dropout_rate=RATE)
    arrays = (normal(4, 30, 8), normal(4, 9, 6, seed=1)) if kind == "cross" else (normal(4, 30, 8),)
    silence(block.mlp.contract if site == "attention" else block.attention.output)
    whole, x = np.asarray(run(block, *arrays)), np.asarray(arrays[0])
    found = np.asarray(run(block, *arrays, train=True, rngs=nnx.Rngs(dropout=0)))
    # What is left of a site is exactly its output over the chance to be kept: nothing is dropped before it.
    assert dropped_share(found, x, x + (whole - x) / (1 - RATE)) == pytest.approx(RATE, abs=0.06)


def test_dropout_acts_in_training_only():
    block, x = selfish(dropout_rate=RATE), normal(2, 5, 8)
    np.testing.assert_array_equal(run(block, x, rngs=nnx.Rngs(dropout=0)), run(block, x))
    with pytest.raises(ValueError, match="rngs"):
        run(block, x, train=True)


def test_a_masked_query_goes_on_without_what_it_could_not_read():
    block = cross()
    queries, inputs, mask = normal(1, 2, 8), normal(1, 4, 6, seed=1), np.ones((1, 2, 4), bool)
    mask[0, 1] = False
    found = run(block, queries, inputs, mask=jnp.asarray(mask))
    x = np.asarray(queries)[0, 1:] + np.asarray(block.attention.output.bias[...])
    after = nnx.jit(lambda block, x: block.mlp(block.mlp_norm(x)))(block, jnp.asarray(x))
    np.testing.assert_allclose(found[0, 1:], x + after, atol=1e-5)


def test_the_same_array_for_every_example():
    x = normal(3, 2)
    np.testing.assert_array_equal(repeat_batch(x, 4), np.stack([x] * 4))
