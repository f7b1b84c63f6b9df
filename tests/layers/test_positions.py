import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.layers import FourierPositions, LearnedPositions, ProjectedPositions, SinusoidalPositions
from perceiver_lab.layers.positions import plain_linear
from perceiver_lab.ops import fourier_features, grid_coordinates


def test_fourier_positions_of_the_grid_and_of_given_coordinates():
    layer = FourierPositions((3, 5), num_bands=4)
    expected = fourier_features(grid_coordinates((3, 5)), num_bands=4, max_resolution=(3, 5))
    np.testing.assert_array_equal(layer(), expected)
    assert layer().shape == (15, layer.num_channels) == (15, 18)
    given = jnp.stack([grid_coordinates((3, 5))[::-1]] * 2)
    np.testing.assert_allclose(layer(given), np.stack([expected[::-1]] * 2), atol=1e-5)


def test_the_resolution_may_be_another_than_the_grid():
    layer = FourierPositions((3,), num_bands=2, max_resolution=(224,), include_positions=False, sine_only=True)
    expected = np.sin(np.pi * np.array([1, 112]) * np.array([[-1], [0], [1]]))
    np.testing.assert_allclose(layer(), expected, atol=1e-4)


def test_a_learned_table_has_a_row_for_each_cell_and_starts_as_published():
    layer = LearnedPositions((16, 16), 128, rngs=nnx.Rngs(0))
    table = np.asarray(layer())
    assert table.shape == (256, 128)
    assert table.std() == pytest.approx(0.0176, rel=0.02)
    assert 0.038 < np.abs(table).max() <= 0.04


def test_a_learned_table_cannot_encode_coordinates():
    layer = LearnedPositions((4,), 2, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="a table, one row per cell: they cannot encode given coordinates.*Fourier"):
        layer(jnp.zeros((1, 4, 1)))


def test_positions_can_be_projected():
    layer = ProjectedPositions(FourierPositions((4,), num_bands=2), 7, rngs=nnx.Rngs(0))
    assert layer.shape == (4,)
    assert layer().shape == (4, layer.num_channels) == (4, 7)
    np.testing.assert_allclose(layer(), layer.inner() @ layer.projection.kernel[...], atol=1e-6)
    assert layer(jnp.zeros((2, 3, 1))).shape == (2, 3, 7)


def test_other_linear_layers_start_from_a_cut_normal_without_correction():
    kernel = np.asarray(plain_linear(256, 400, rngs=nnx.Rngs(0)).kernel[...])
    assert kernel.std() == pytest.approx(0.8796 / 16, rel=0.02)
    assert 0.98 * 2 / 16 < np.abs(kernel).max() <= 2 / 16


def test_sinusoidal_positions_are_rows_of_a_table_that_is_not_stored():
    positions = SinusoidalPositions(7, 6)
    assert positions.shape == (7,) and positions.num_channels == 6
    assert not jax.tree.leaves(nnx.state(positions))
    np.testing.assert_allclose(positions.at(jnp.array([[3, 0]])), positions()[jnp.array([[3, 0]])], atol=1e-6)
