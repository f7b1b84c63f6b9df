import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import GridInput, ImageInput, OneHotInput, Patches, Pixels, PointInput
from perceiver_lab.layers import FourierPositions, LearnedPositions, ProjectedPositions
from perceiver_lab.ops import fourier_features, grid_coordinates


def normal(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def fourier(coordinates, resolution=(4, 6)):
    return fourier_features(coordinates, num_bands=3, max_resolution=resolution)


def test_an_image_is_its_pixels_with_their_positions():
    adapter, x = ImageInput((4, 6, 3), num_bands=3), normal(2, 4, 6, 3)
    found = adapter(x)
    assert found.shape == (2, 24, adapter.num_channels) == (2, 24, 17)
    np.testing.assert_array_equal(found[..., :3], x.reshape(2, 24, 3))
    np.testing.assert_array_equal(found[1, :, 3:], fourier(grid_coordinates((4, 6))))
    np.testing.assert_array_equal(adapter.features(x), x.reshape(2, 24, 3))


def test_videos_have_three_axes():
    adapter = ImageInput((2, 4, 6, 1), num_bands=3)
    assert adapter(normal(1, 2, 4, 6, 1)).shape == (1, 48, adapter.num_channels) == (1, 48, 1 + 3 * 7)


def test_the_frequencies_may_be_those_of_another_resolution():
    adapter = ImageInput((4, 6, 1), num_bands=3, max_resolution=(32, 32))
    expected = fourier(grid_coordinates((4, 6)), (32, 32))
    np.testing.assert_array_equal(adapter(normal(1, 4, 6, 1))[0, :, 1:], expected)


def test_learned_positions():
    adapter, x = ImageInput((4, 6, 3), position_channels=8, rngs=nnx.Rngs(0)), normal(2, 4, 6, 3)
    found = adapter(x)
    assert found.shape == (2, 24, adapter.num_channels) == (2, 24, 11)
    np.testing.assert_array_equal(found[0, :, 3:], adapter.positions.table[...])


def test_given_positions_take_the_place_of_the_grid():
    adapter, x = ImageInput((4, 6, 3), num_bands=3), normal(2, 4, 6, 3)
    grid = jnp.broadcast_to(grid_coordinates((4, 6))[None], (2, 24, 2))
    np.testing.assert_allclose(adapter(x, positions=grid), adapter(x), atol=1e-6)
    moved = adapter(x, positions=grid[:, ::-1])
    np.testing.assert_allclose(moved[..., 3:], adapter(x)[:, ::-1, 3:], atol=1e-6)
    np.testing.assert_array_equal(moved[..., :3], adapter(x)[..., :3])


def test_a_selection_of_pixels_with_their_positions_is_that_selection_of_the_inputs():
    adapter, x = ImageInput((4, 6, 3), num_bands=3), normal(2, 4, 6, 3)
    chosen = jnp.array([23, 0, 7, 7, 2])
    values = x.reshape(2, 24, 3)[:, chosen]
    positions = jnp.broadcast_to(grid_coordinates((4, 6))[chosen][None], (2, 5, 2))
    np.testing.assert_allclose(adapter(values, positions=positions), adapter(x)[:, chosen], atol=1e-6)


def test_positions_can_be_added():
    positions = ProjectedPositions(FourierPositions((2, 3), num_bands=3), 4, rngs=nnx.Rngs(0))
    adapter, x = GridInput(Pixels((2, 3, 4)), positions, combine="add"), normal(2, 2, 3, 4)
    assert adapter.num_channels == 4
    np.testing.assert_allclose(adapter(x), x.reshape(2, 6, 4) + positions()[None], atol=1e-6)


def test_extra_layers_on_the_positions_are_residual_with_relu_between():
    positions = LearnedPositions((2, 2), 5, rngs=nnx.Rngs(0))
    adapter = GridInput(Patches((4, 4, 1), factor=2), positions, position_mlp_layers=2, rngs=nnx.Rngs(1))
    first, second = (layer.kernel[...] for layer in adapter.position_mlp)
    hidden = jax.nn.relu(positions() + positions() @ first)
    expected = hidden + hidden @ second
    np.testing.assert_allclose(adapter(normal(1, 4, 4, 1))[0, :, 4:], expected, atol=1e-5)


def test_points_are_their_own_positions():
    adapter, points = (
        PointInput(3, num_bands=4, max_resolution=(8, 8, 8)),
        jax.random.uniform(jax.random.key(0), (2, 5, 3)),
    )
    found = adapter(points)
    assert found.shape == (2, 5, adapter.num_channels) == (2, 5, 27)
    np.testing.assert_array_equal(found, fourier_features(points, num_bands=4, max_resolution=(8, 8, 8)))
    np.testing.assert_array_equal(adapter.features(points), points)
    with pytest.raises(ValueError, match="Points carry their own positions"):
        adapter(points, positions=points)


def test_a_label_is_one_element():
    adapter, labels = OneHotInput(7), jax.nn.one_hot(jnp.array([1, 3]), 7)
    np.testing.assert_array_equal(adapter(labels), labels[:, None])
    assert adapter.num_channels == 7


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ImageInput((4, 6, 3)), r"A table of learned positions .* give rngs=nnx.Rngs\(seed\)"),
        (
            lambda: GridInput(Pixels((4, 6, 1)), FourierPositions((6, 4), num_bands=2)),
            r"a grid of \(6, 4\), but the features lie on a grid of \(4, 6\)",
        ),
        (
            lambda: GridInput(Pixels((4, 6, 1)), FourierPositions((4, 6), num_bands=2), combine="sum"),
            "combine='sum' is unknown; choose 'concat' or 'add'",
        ),
        (
            lambda: GridInput(Pixels((4, 6, 1)), FourierPositions((4, 6), num_bands=2), combine="add"),
            "features have 1 channels, positions have 10",
        ),
        (
            lambda: GridInput(Pixels((4, 6, 1)), FourierPositions((4, 6), num_bands=2), position_mlp_layers=1),
            "extra layers on the positions",
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (4, 6, 3),
            r"reads batches \(B, 4, 6, 3\), B at least 1; got shape \(4, 6, 3\).*needs a batch axis \(x\[None\]",
        ),
        ((2, 6, 4, 3), r"got shape \(2, 6, 4, 3\)"),
        ((2, 4, 6, 1), r"got shape \(2, 4, 6, 1\)"),
        ((0, 4, 6, 3), r"B at least 1; got shape \(0, 4, 6, 3\)"),
    ],
)
def test_images_of_another_rank_or_size_are_named(shape, message):
    with pytest.raises(ValueError, match=message):
        ImageInput((4, 6, 3), num_bands=2)(jnp.zeros(shape))


@pytest.mark.parametrize("shape", [(1, 24, 2), (2, 23, 2), (2, 24, 3), (24, 2)])
def test_positions_of_another_shape_are_named(shape):
    with pytest.raises(ValueError, match=r"positions must be \(B, M, axes\) = \(2, 24, 2\)"):
        ImageInput((4, 6, 3), num_bands=2)(normal(2, 4, 6, 3), positions=jnp.zeros(shape))


@pytest.mark.parametrize(
    ("values", "positions", "message"),
    [
        ((2, 5, 1), (2, 5, 2), r"A selection of pixels must be \(B, K, 3\)"),
        ((2, 0, 3), (2, 0, 2), "K at least 1"),
        ((2, 5, 3), (2, 4, 2), r"positions must be \(B, M, axes\) = \(2, 5, 2\)"),
        ((2, 5, 3), None, r"reads batches \(B, 4, 6, 3\)"),
    ],
)
def test_selections_that_do_not_fit_are_named(values, positions, message):
    positions = None if positions is None else jnp.zeros(positions)
    with pytest.raises(ValueError, match=message):
        ImageInput((4, 6, 3), num_bands=2)(jnp.zeros(values), positions=positions)


def test_a_learned_table_refuses_given_positions():
    adapter = ImageInput((4, 6, 3), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="a table, one row per cell"):
        adapter(normal(2, 4, 6, 3), positions=jnp.zeros((2, 24, 2)))


@pytest.mark.parametrize("shape", [(2, 5, 2), (5, 3), (2, 0, 3)])
def test_point_clouds_of_another_shape_are_named(shape):
    with pytest.raises(ValueError, match=r"Point clouds must be \(B, M, 3\), coordinates in \[-1, 1\], M at least 1"):
        PointInput(3, num_bands=2, max_resolution=(8, 8, 8))(jnp.zeros(shape))


@pytest.mark.parametrize("shape", [(2,), (2, 6), (2, 1, 7)])
def test_labels_of_another_shape_are_named(shape):
    with pytest.raises(ValueError, match=r"One-hot labels must be \(B, 7\)"):
        OneHotInput(7)(jnp.zeros(shape))
