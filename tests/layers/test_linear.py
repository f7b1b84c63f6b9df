import jax
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.layers.linear import linear


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (2, 4, 5, 3), (2, 0, 3)])
def test_it_is_linear_of_the_last_axis_whatever_comes_before(shape):
    layer = linear(3, 4, rngs=nnx.Rngs(0))
    layer.bias[...] = jax.random.normal(jax.random.key(1), (4,))
    x = jax.random.normal(jax.random.key(2), shape)
    expected = np.asarray(x, np.float64) @ np.asarray(layer.kernel[...], np.float64) + np.asarray(layer.bias[...])
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)
    assert layer(x).shape == (*shape[:-1], 4)


def test_weights_start_as_those_of_flax():
    ours, flax = linear(3, 4, use_bias=False, rngs=nnx.Rngs(0)), nnx.Linear(3, 4, use_bias=False, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(ours.kernel[...], flax.kernel[...])
    assert ours.bias is None
    assert type(ours) is nnx.Linear  # conversion goes by type


def products(layer, x):
    """Shapes of the operands of every matrix product in the forward and the backward pass."""
    graphdef, state = nnx.split(layer)
    jaxpr = jax.make_jaxpr(jax.grad(lambda state, x: nnx.merge(graphdef, state)(x).sum(), (0, 1)))(state, x)
    found = [[var.aval.shape for var in eqn.invars] for eqn in jaxpr.eqns if eqn.primitive.name == "dot_general"]
    assert found
    return found


def test_every_product_is_one_of_two_matrices():
    x = jax.random.normal(jax.random.key(0), (2, 5, 3))
    assert all(len(shape) == 2 for shapes in products(linear(3, 4, rngs=nnx.Rngs(0)), x) for shape in shapes)
    assert any(len(shape) == 3 for shapes in products(nnx.Linear(3, 4, rngs=nnx.Rngs(0)), x) for shape in shapes)
