import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab.ops import (
    cell_coordinates,
    crop_coordinates,
    fourier_features,
    grid_coordinates,
    num_fourier_features,
    release_coordinates,
    sinusoidal_positions,
    take_cells,
)

properties = settings(max_examples=20, derandomize=True)


def test_a_grid_is_row_major_from_minus_one_to_one():
    found = grid_coordinates((2, 3))
    np.testing.assert_array_equal(found, [[-1, -1], [-1, 0], [-1, 1], [1, -1], [1, 0], [1, 1]])
    assert found.dtype == jnp.float32


def test_an_axis_of_one_cell_lies_at_its_start():
    np.testing.assert_array_equal(grid_coordinates((1, 2)), [[-1, -1], [-1, 1]])


@pytest.mark.parametrize("shape", [(), (0, 3), (4, -1)])
def test_an_empty_grid_is_named(shape):
    with pytest.raises(ValueError, match=r"at least one axis and one cell along each; got shape \("):
        grid_coordinates(shape)


def test_the_crop_of_a_whole_frame_has_the_coordinates_of_the_frame():
    found = crop_coordinates(jnp.zeros((2, 2)), (4, 5), (4, 5))
    np.testing.assert_allclose(found, np.broadcast_to(grid_coordinates((4, 5)), (2, 20, 2)), atol=1e-6)


@properties
@given(st.integers(0, 4), st.integers(0, 6))
def test_a_crop_keeps_the_coordinates_that_its_cells_have_in_the_frame(row, column):
    frame = np.asarray(grid_coordinates((7, 9))).reshape(7, 9, 2)
    expected = frame[row : row + 3, column : column + 3].reshape(1, 9, 2)
    np.testing.assert_allclose(crop_coordinates(jnp.array([[row, column]]) * 1.0, (3, 3), (7, 9)), expected, atol=1e-6)


def test_a_frame_of_one_cell_divides_by_nothing():
    np.testing.assert_array_equal(crop_coordinates(jnp.zeros((1, 1)), (1,), (1,)), [[[-1]]])


def test_the_release_ends_one_step_before_one():
    found = release_coordinates(jnp.array([0, 5, 11]), (3, 4))
    np.testing.assert_allclose(found, [[-1, -1], [-1 + 2 / 3, -0.5], [-1 + 4 / 3, 0.5]], atol=1e-6)


@pytest.mark.parametrize("include_positions", [True, False])
@pytest.mark.parametrize("sine_only", [True, False])
def test_fourier_features_are_positions_then_sines_then_cosines_axis_by_axis(include_positions, sine_only):
    options = {"include_positions": include_positions, "sine_only": sine_only}
    resolution, bands = (8, 20, 6), 4
    positions = np.random.default_rng(0).uniform(-1, 1, (2, 5, 3)).astype(np.float32)
    found = fourier_features(jnp.asarray(positions), num_bands=bands, max_resolution=resolution, **options)
    expected = list(np.moveaxis(positions, -1, 0)) if include_positions else []
    for wave in (np.sin,) if sine_only else (np.sin, np.cos):
        for axis in range(3):
            for frequency in np.linspace(1, resolution[axis] / 2, bands):
                expected.append(wave(np.pi * frequency * positions[..., axis].astype(np.float64)))
    assert found.shape == (2, 5, num_fourier_features(3, bands, **options))
    np.testing.assert_allclose(found, np.stack(expected, axis=-1), atol=1e-5)


def test_an_image_with_64_bands_has_258_features():
    assert fourier_features(grid_coordinates((4, 4)), num_bands=64, max_resolution=(224, 224)).shape == (16, 258)
    assert num_fourier_features(2, 64) == 258


def test_one_band_is_the_lowest():
    x = jnp.linspace(-1.0, 1.0, 9)[:, None]
    found = fourier_features(x, num_bands=1, max_resolution=(50,), include_positions=False, sine_only=True)
    np.testing.assert_allclose(found, np.sin(np.pi * np.asarray(x)), atol=1e-6)


def sines(cells, frequency):
    """The highest of two bands, on a grid of so many cells."""
    grid = grid_coordinates((cells,))
    features = fourier_features(
        grid, num_bands=2, max_resolution=(2 * frequency,), include_positions=False, sine_only=True
    )
    return np.asarray(features[:, -1], np.float64)


def test_no_two_frequencies_up_to_nyquist_look_alike_on_the_grid_and_those_beyond_have_a_double():
    cells = 9  # eight steps: the Nyquist frequency is a half-turn per step, 4
    rows = np.stack([sines(cells, frequency) for frequency in (1, 2, 3)])
    assert np.linalg.matrix_rank(rows, tol=1e-3) == 3
    for frequency in (1, 2, 3):
        mirrored = 2 * 4 - frequency
        np.testing.assert_allclose(np.abs(sines(cells, mirrored)), np.abs(sines(cells, frequency)), atol=1e-5)
        assert np.linalg.matrix_rank(np.vstack([rows, sines(cells, mirrored)]), tol=1e-3) == 3


def test_phases_are_float32_in_half_precision_too():
    positions = grid_coordinates((16, 16)).astype(jnp.bfloat16)
    found = fourier_features(positions, num_bands=8, max_resolution=(224, 224))
    expected = fourier_features(positions.astype(jnp.float32), num_bands=8, max_resolution=(224, 224))
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_bands": 0, "max_resolution": (8, 8)}, "num_bands=0: Fourier features need at least one frequency"),
        ({"num_bands": 4, "max_resolution": (8,)}, r"\(8,\) names 1 axes, but the positions have 2 coordinates"),
    ],
)
def test_bad_bands_and_resolutions_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        fourier_features(grid_coordinates((2, 2)), **options)


def test_coordinates_of_cells_are_those_of_the_grid():
    cells = jnp.array([[0, 5, 23], [7, 7, 12]])
    np.testing.assert_array_equal(cell_coordinates(cells, (4, 6)), grid_coordinates((4, 6))[cells])


def test_rows_are_taken_for_all_examples_or_for_each():
    rows = jnp.arange(2 * 4 * 3 * 2).reshape(2, 4, 3, 2)
    np.testing.assert_array_equal(take_cells(rows, jnp.array([3, 0])), rows[:, jnp.array([3, 0])])
    own = take_cells(rows, jnp.array([[1], [2]]))
    np.testing.assert_array_equal(own, jnp.stack([rows[0, 1:2], rows[1, 2:3]]))


def test_sinusoidal_positions_have_all_sines_first():
    """Frequencies 1, 1/100 and 1/10000; an odd last channel is zero."""
    found = sinusoidal_positions(jnp.array([[0, 2]]), 7)
    phases = np.array([2.0, 0.02, 0.0002])
    np.testing.assert_allclose(found[0, 1], [*np.sin(phases), *np.cos(phases), 0], atol=1e-6)
    np.testing.assert_allclose(found[0, 0], [0, 0, 0, 1, 1, 1, 0])
    with pytest.raises(ValueError, match="channels=1: a sine and a cosine need at least two"):
        sinusoidal_positions(jnp.arange(3), 1)
