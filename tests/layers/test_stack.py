import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.introspect import cost
from perceiver_lab.layers import SelfAttentionStack
from perceiver_lab.layers.stack import SCAN_FROM
from tests.drawn import drawn, normal

LAYERS, CHANNELS = 3, 8


def stack(scan, **options):
    return drawn(lambda: new(scan, **options))


def new(scan, **options):
    """As users get it."""
    return SelfAttentionStack(LAYERS, CHANNELS, num_heads=2, scan=scan, rngs=nnx.Rngs(0), **options)


def same_weights(scanned, looped):
    """Give the looped stack the scanned one's weights."""
    _, stacked = nnx.split(scanned.layers)
    for index, layer in enumerate(looped.layers):
        nnx.update(layer, jax.tree.map(lambda leaf, index=index: jnp.asarray(np.asarray(leaf)[index]), stacked))


@nnx.jit
def run(stack, x, mask=None):
    return stack(x, mask=mask)


@nnx.jit
def gradients(stack, x):
    return nnx.grad(lambda stack: (stack(x) ** 2).mean())(stack)


def test_a_scanned_stack_is_a_loop_over_its_layers():
    scanned, looped = stack(True), stack(False)
    same_weights(scanned, looped)
    x = normal(2, 5, CHANNELS)
    mask = jnp.asarray(np.broadcast_to(np.arange(5) < 3, (2, 5, 5)))
    np.testing.assert_allclose(run(scanned, x), run(looped, x), atol=1e-5)
    np.testing.assert_allclose(run(scanned, x, mask), run(looped, x, mask), atol=1e-5)
    assert np.abs(run(scanned, x, mask) - run(scanned, x)).max() > 1e-3


def test_the_gradients_of_a_scanned_stack_are_those_of_the_loop():
    scanned, looped = stack(True), stack(False)
    same_weights(scanned, looped)
    x = normal(2, 5, CHANNELS)
    stacked = jax.tree.leaves(gradients(scanned, x))
    per_layer = [jax.tree.leaves(one) for one in jax.tree.leaves(
        [nnx.state(gradients(looped, x))["layers"][index] for index in range(LAYERS)],
        is_leaf=lambda node: isinstance(node, nnx.State),
    )]  # fmt: skip
    for leaf, *layers in zip(stacked, *per_layer, strict=True):
        np.testing.assert_allclose(leaf, np.stack(layers), atol=1e-5)


def test_depth_decides_about_scanning():
    def make(num_layers):
        return drawn(lambda: SelfAttentionStack(num_layers, 4, num_heads=1, rngs=nnx.Rngs(0)))

    assert not make(SCAN_FROM - 1).scanned
    deep = make(SCAN_FROM)
    assert deep.scanned
    assert deep.layers.attention.query.kernel.shape == (SCAN_FROM, 4, 4)


@pytest.mark.parametrize("scan", [True, False])
def test_every_layer_has_weights_of_its_own(scan):
    one = new(scan)
    kernels = [np.asarray(one.layer(index).mlp.expand.kernel[...]) for index in range(LAYERS)]
    assert all(kernel.shape == (CHANNELS, CHANNELS) for kernel in kernels)
    assert len({kernel.tobytes() for kernel in kernels}) == LAYERS
    assert np.std(kernels) == pytest.approx(CHANNELS**-0.5, rel=0.15)


def test_memory_of_a_scanned_stack_hardly_grows_with_depth():
    def temporary(num_layers):
        deep = nnx.eval_shape(lambda: SelfAttentionStack(num_layers, 32, num_heads=1, scan=True, rngs=nnx.Rngs(0)))
        x = jax.ShapeDtypeStruct((4, 64, 32), jnp.float32)
        return cost(lambda stack, x: nnx.grad(lambda stack: stack(x).sum())(stack), deep, x, compiled=True)

    shallow, deep = temporary(4), temporary(16)
    kept = 4 * 64 * 32 * 4  # what each further layer may keep: its input
    assert deep.temporary_bytes - shallow.temporary_bytes < 12 * 2 * kept
    assert deep.multiply_adds == 4 * shallow.multiply_adds


@pytest.mark.parametrize("scan", [True, False])
def test_dropout_follows_its_seed_and_acts_in_training_only(scan):
    one, x = stack(scan, dropout_rate=0.5), normal(2, 5, CHANNELS)
    train = nnx.jit(lambda stack, rngs: stack(x, train=True, rngs=rngs))
    first, again, other = (np.asarray(train(one, nnx.Rngs(dropout=seed))) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    evaluate = nnx.jit(lambda stack: stack(x, rngs=nnx.Rngs(dropout=0)))
    np.testing.assert_allclose(evaluate(one), run(one, x), atol=1e-5)


def test_a_scanned_stack_drops_other_elements_in_every_layer():
    one, x = stack(True, dropout_rate=0.5), normal(1, 40, CHANNELS)
    silent = nnx.state(one, nnx.Param)
    nnx.update(one, jax.tree.map(jnp.zeros_like, silent))
    one.layers.mlp.contract.bias[...] = jnp.ones((LAYERS, CHANNELS))
    # Each layer adds 0 or 2: with the same mask in all of them there were no sums between.
    added = np.asarray(nnx.jit(lambda stack, rngs: stack(x, train=True, rngs=rngs))(one, nnx.Rngs(dropout=0)) - x)
    assert set(np.unique(added.round(3))) == {0.0, 2.0, 4.0, 6.0}


@pytest.mark.parametrize("scan", [True, False])
def test_dropout_without_rngs_is_refused(scan):
    def train(stack):
        return stack(normal(1, 5, CHANNELS), train=True)

    with pytest.raises(ValueError, match="rngs"):
        nnx.eval_shape(train, stack(scan, dropout_rate=0.5))
    assert nnx.eval_shape(train, stack(scan)).shape == (1, 5, CHANNELS)


def test_an_empty_stack_is_named():
    with pytest.raises(ValueError, match="num_layers=0: a stack needs at least one layer"):
        SelfAttentionStack(0, 8, num_heads=1, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="num_heads=3 does not divide"):
        SelfAttentionStack(2, 8, num_heads=3, rngs=nnx.Rngs(0))
