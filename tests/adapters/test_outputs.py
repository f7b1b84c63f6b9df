import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import AudioOutput, ClassOutput, LinearOutput, OnlyQuery, PositionQueries, QueryOutput
from perceiver_lab.layers import FourierPositions, LearnedPositions, ProjectedPositions
from perceiver_lab.ops import fourier_features, release_coordinates


def normal(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.fixture
def output():
    output = ClassOutput(4, 3, rngs=nnx.Rngs(0))
    output.linear.kernel[...], output.linear.bias[...] = normal(4, 3), normal(3, seed=1)
    return output


def test_every_class_begins_equally_likely():
    np.testing.assert_array_equal(ClassOutput(4, 3, rngs=nnx.Rngs(0))(normal(2, 5, 4)), 0.0)


def test_classes_are_read_from_the_average_of_the_latents(output):
    latents = normal(2, 5, 4)
    np.testing.assert_allclose(output(latents), output.linear(latents.mean(1)), atol=1e-6)


def test_latents_that_are_off_are_left_out_of_the_average(output):
    latents = normal(2, 5, 4)
    on = jnp.array([[1, 1, 0, 0, 0], [0, 1, 1, 1, 1]], bool)
    expected = [output.linear(latents[0, :2].mean(0)), output.linear(latents[1, 1:].mean(0))]
    np.testing.assert_allclose(output(latents, latent_mask=on), expected, atol=1e-6)
    np.testing.assert_allclose(output(latents, latent_mask=jnp.ones((2, 5), bool)), output(latents), atol=1e-6)


def test_without_any_latent_the_bias_is_left(output):
    found = output(normal(1, 5, 4), latent_mask=jnp.zeros((1, 5), bool))
    np.testing.assert_array_equal(found[0], output.linear.bias[...])


def test_a_latent_mask_of_another_shape_or_type_is_named(output):
    with pytest.raises(ValueError, match=r"latent_mask must be a bool array of shape \(B, N\) = \(2, 5\)"):
        output(normal(2, 5, 4), latent_mask=jnp.ones((5,), bool))
    with pytest.raises(ValueError, match="got int32"):
        output(normal(2, 5, 4), latent_mask=jnp.ones((2, 5), jnp.int32))


def test_a_linear_layer_on_every_query_or_on_the_only_one():
    output, decoded = LinearOutput(4, 3, rngs=nnx.Rngs(0)), normal(2, 5, 4)
    np.testing.assert_allclose(output(decoded), decoded @ output.linear.kernel[...], atol=1e-6)
    only = LinearOutput(4, 3, only_query=True, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(only(decoded), output(decoded)[:, 0], atol=1e-6)
    np.testing.assert_array_equal(OnlyQuery()(decoded), decoded[:, 0])


def test_a_linear_layer_puts_all_rows_on_a_grid():
    output, decoded = LinearOutput(4, 3, grid=(2, 5), rngs=nnx.Rngs(0)), normal(2, 10, 4)
    assert output(decoded).shape == (2, 2, 5, 3)
    np.testing.assert_array_equal(output(decoded, whole=False), output(decoded).reshape(2, 10, 3))


def test_stretches_of_sound_follow_each_other():
    output, decoded = AudioOutput(4, 3, rngs=nnx.Rngs(0)), normal(2, 5, 4)
    assert output(decoded).shape == (2, 15)
    np.testing.assert_allclose(output(decoded)[:, 3:6], decoded[:, 1] @ output.linear.kernel[...], atol=1e-6)


def test_decoded_queries_can_be_the_output():
    decoded = normal(2, 5, 4)
    np.testing.assert_array_equal(QueryOutput()(decoded), decoded)
    np.testing.assert_array_equal(QueryOutput().select(decoded, jnp.array([4, 1])), decoded[:, jnp.array([4, 1])])


def test_there_is_one_query_per_cell():
    positions = FourierPositions((2, 3), num_bands=2)
    queries = PositionQueries(positions)
    found = queries(normal(4, 9, 1))
    assert found.shape == (4, 6, queries.num_channels) == (4, 6, 10)
    np.testing.assert_array_equal(found[3], positions())


@pytest.mark.parametrize("kind", ["fourier", "table"])
def test_selected_cells_are_asked_as_among_all_of_them(kind):
    fourier = FourierPositions((2, 3), num_bands=2)
    positions = fourier if kind == "fourier" else LearnedPositions((2, 3), 4, rngs=nnx.Rngs(0))
    cells = jnp.array([5, 1])
    found = PositionQueries(positions)(normal(4, 9, 1), cells=cells)
    np.testing.assert_array_equal(found, np.stack([positions()[cells]] * 4))


def test_the_release_asks_for_selected_cells_with_coordinates_of_its_own():
    cells, inputs = jnp.array([5, 1]), normal(4, 9, 1)
    found = PositionQueries(FourierPositions((2, 3), num_bands=2), subsampling="release")(inputs, cells=cells)
    expected = fourier_features(release_coordinates(cells, (2, 3)), num_bands=2, max_resolution=(2, 3))
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    for table in (
        LearnedPositions((2, 3), 4, rngs=nnx.Rngs(0)),
        ProjectedPositions(LearnedPositions((2, 3), 4, rngs=nnx.Rngs(0)), 5, rngs=nnx.Rngs(1)),
    ):
        assert PositionQueries(table, subsampling="release")(inputs, cells=cells).shape[1] == 6


def test_features_come_before_the_position():
    queries = PositionQueries(FourierPositions((2, 3), num_bands=2), feature_channels=3)
    features = normal(4, 6, 3)
    found = queries(normal(4, 9, 1), features=features)
    assert found.shape == (4, 6, queries.num_channels) == (4, 6, 13)
    np.testing.assert_array_equal(found[..., :3], features)


@pytest.mark.parametrize("features", [None, (4, 5, 3), (4, 6, 2), (3, 6, 3)])
def test_features_that_do_not_fit_are_named(features):
    queries = PositionQueries(FourierPositions((2, 3), num_bands=2), feature_channels=3)
    with pytest.raises(ValueError, match=r"features \(B, O, feature_channels\) = \(4, 6, 3\)"):
        queries(normal(4, 9, 1), features=None if features is None else jnp.zeros(features))


def test_features_that_were_not_announced_and_an_unknown_subsampling_are_named():
    positions = FourierPositions((2, 3), num_bands=2)
    with pytest.raises(ValueError, match="There must be one row of features per query"):
        PositionQueries(positions)(normal(4, 9, 1), features=jnp.zeros((4, 6, 3)))
    with pytest.raises(ValueError, match="subsampling='random' is unknown; choose one of grid, release"):
        PositionQueries(positions, subsampling="random")
