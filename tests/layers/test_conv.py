import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.layers import BatchNorm, ConvDownsample
from tests.drawn import drawn, normal

train = nnx.jit(lambda layer, x: layer(x, train=True))


def test_batch_norm_in_training_uses_the_batch_itself():
    norm, x = BatchNorm(3, rngs=nnx.Rngs(0)), 2 * normal(4, 5, 5, 3) + 1
    found = np.asarray(train(norm, x))
    np.testing.assert_allclose(found.mean((0, 1, 2)), 0.0, atol=1e-5)
    np.testing.assert_allclose(found.std((0, 1, 2)), 1.0, atol=1e-3)


def test_running_averages_are_right_from_the_first_step_on():
    norm = BatchNorm(3, rngs=nnx.Rngs(0))
    batches = [np.float32(i + 1) * np.asarray(normal(4, 5, 5, 3, seed=i)) + np.float32(i) for i in range(3)]
    weights, means, variances = [], [], []
    for step, x in enumerate(batches):
        train(norm, jnp.asarray(x))
        weights = [0.9 * w for w in weights] + [0.1]
        means.append(np.asarray(x).mean((0, 1, 2)))
        variances.append(np.asarray(x).var((0, 1, 2)))
        np.testing.assert_allclose(norm.mean[...], np.average(means, axis=0, weights=weights), atol=1e-5)
        np.testing.assert_allclose(norm.variance[...], np.average(variances, axis=0, weights=weights), rtol=1e-4)
        assert int(norm.steps[...]) == step + 1


def test_batch_norm_leaves_the_input_as_it_is_before_any_training():
    norm, x = BatchNorm(3, rngs=nnx.Rngs(0)), normal(1, 2, 2, 3)
    np.testing.assert_allclose(norm(x, train=False), x, rtol=1e-4)
    assert int(norm.steps[...]) == 0


@pytest.mark.parametrize(("num_layers", "expected"), [(0, (9, 10, 3)), (1, (3, 3, 4)), (2, (1, 1, 4))])
def test_each_layer_shrinks_the_sides_to_a_quarter(num_layers, expected):
    def shrink():
        return ConvDownsample(3, 4, num_layers=num_layers, rngs=nnx.Rngs(0))(jnp.zeros((2, 9, 10, 3)))

    assert nnx.eval_shape(shrink).shape == (2, *expected)


def test_a_layer_is_convolution_norm_relu_and_pool():
    layer, x = drawn(lambda: ConvDownsample(2, 3, batch_norm=False, rngs=nnx.Rngs(0))), normal(1, 8, 8, 2)
    padded = np.pad(np.asarray(x)[0], ((2, 3), (2, 3), (0, 0)))
    kernel = np.asarray(layer.convs[0].kernel[...])
    convolved = np.array(
        [[np.tensordot(padded[r : r + 7, c : c + 7], kernel, 3) for c in range(0, 8, 2)] for r in range(0, 8, 2)]
    )
    # Two pixels of stride over four columns: SAME padding of the pool is one pixel at the end.
    pool = np.pad(np.maximum(convolved, 0), ((0, 1), (0, 1), (0, 0)), constant_values=-np.inf)
    expected = np.array([[pool[r : r + 3, c : c + 3].max((0, 1)) for c in (0, 2)] for r in (0, 2)])
    np.testing.assert_allclose(nnx.jit(lambda layer, x: layer(x))(layer, x)[0], expected, atol=1e-5)


def test_the_kernel_starts_as_published():
    kernel = np.asarray(ConvDownsample(3, 64, rngs=nnx.Rngs(0)).convs[0].kernel[...])
    assert kernel.std() == pytest.approx(0.0729, rel=0.03)


def test_a_negative_number_of_layers_is_named():
    with pytest.raises(ValueError, match="num_layers=-1 must be at least 0"):
        ConvDownsample(3, 4, num_layers=-1, rngs=nnx.Rngs(0))


def test_batch_statistics_reach_the_module_through_a_layer():
    layer = drawn(lambda: ConvDownsample(2, 3, rngs=nnx.Rngs(0)))
    train(layer, normal(2, 8, 8, 2))
    assert int(layer.norms[0].steps[...]) == 1
    assert np.abs(layer.norms[0].mean[...]).max() > 0
