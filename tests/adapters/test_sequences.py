import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import ByteInput, ByteOutput, EntityInput
from perceiver_lab.layers import FourierPositions, LearnedPositions, ProjectedPositions
from perceiver_lab.ops import fourier_features, grid_coordinates

IDS = jnp.array([[6, 100, 261, 0], [3, 3, 7, 8]])


def byte_input(**options):
    return ByteInput(8, 5, rngs=nnx.Rngs(0), **options)


def test_bytes_are_their_embedding_with_the_position_added():
    adapter = byte_input()
    found = adapter(IDS)
    assert found.shape == (2, 4, adapter.num_channels) == (2, 4, 8)
    table, positions = adapter.embedding[...], adapter.positions.table[...]
    np.testing.assert_allclose(found[1, 2], table[7] + positions[2], atol=1e-6)
    np.testing.assert_array_equal(adapter.features(IDS), table[IDS])
    np.testing.assert_array_equal(adapter.embedding_table, table)


def test_the_embedding_starts_as_the_release_s():
    table = np.asarray(ByteInput(64, 5, rngs=nnx.Rngs(0)).embedding[...])
    assert table.shape == (262, 64)
    assert table.std() == pytest.approx(0.88, abs=0.01)
    assert np.abs(table).max() <= 2


def test_any_positions_can_follow_the_embedding():
    adapter = byte_input(positions=FourierPositions((5,), num_bands=2), combine="concat")
    found = adapter(IDS)
    assert found.shape == (2, 4, adapter.num_channels) == (2, 4, 13)
    expected = fourier_features(grid_coordinates((5,))[:4], num_bands=2, max_resolution=(5,))
    np.testing.assert_allclose(found[0, :, 8:], expected, atol=1e-6)
    moved = adapter(IDS, positions=jnp.zeros((2, 4, 1)))
    np.testing.assert_allclose(moved[0, 0, 8:], moved[0, 3, 8:], atol=1e-6)
    projected = ProjectedPositions(FourierPositions((5,), num_bands=2), 8, rngs=nnx.Rngs(1))
    assert byte_input(positions=projected)(IDS).shape == (2, 4, 8)


def test_unknown_ids_are_nan_where_nothing_can_be_raised():
    found = jax.jit(byte_input())(jnp.array([[6, 262, -1, 7]]))
    assert jnp.isnan(found).all(axis=-1).tolist() == [[False, True, True, False]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: byte_input()(jnp.array([[6, 262]])), "Ids from 6 to 262 were given, but the vocabulary is 0 to 261"),
        (lambda: byte_input()(jnp.array([[-1, 7]])), "Ids from -1 to 7 were given"),
        (lambda: byte_input()(jnp.zeros((1, 6), int)), r"M from 1 to 5, .* got int32 of shape \(1, 6\). Cut longer"),
        (lambda: byte_input()(jnp.zeros((1, 0), int)), "M from 1 to 5"),
        (lambda: byte_input()(jnp.zeros((1, 4))), "Ids must be integers .* got float32"),
        (lambda: byte_input()(jnp.zeros(4, int)), "Ids must be integers"),
        (lambda: byte_input(positions=LearnedPositions((4,), 8, rngs=nnx.Rngs(0))), r"grid of \(4,\), .* axis of 5"),
        (lambda: byte_input(positions=FourierPositions((5,), num_bands=2)), "combine='add' wants equal widths"),
        (lambda: byte_input(combine="multiply"), "combine='multiply' is unknown"),
        (lambda: byte_input()(IDS, positions=jnp.zeros((2, 4, 2))), r"per element, \(2, 4, 1\); got \(2, 4, 2\)"),
        (lambda: byte_input()(IDS, positions=jnp.zeros((2, 4, 1))), "cannot encode given coordinates"),
        (lambda: EntityInput(3, 4, rngs=nnx.Rngs(0))(jnp.zeros((2, 5, 2))), r"Entities must be \(B, M, 3\)"),
        (
            lambda: EntityInput(3, 4, rngs=nnx.Rngs(0))(jnp.zeros((2, 5, 3)), positions=jnp.zeros((2, 5, 1))),
            "A set has no positions",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_outputs_are_compared_with_the_embedding():
    output, table = ByteOutput(7), jax.random.normal(jax.random.key(0), (7, 3))
    output.bias[...] = jnp.arange(7.0)
    decoded = jax.random.normal(jax.random.key(1), (2, 4, 3))
    found = output(decoded, embedding=table)
    np.testing.assert_allclose(found[1, 2, 5], decoded[1, 2] @ table[5] + 5, atol=1e-5)


@pytest.mark.parametrize("shape", [None, (7, 4), (6, 3)])
def test_an_embedding_that_does_not_fit_is_named(shape):
    table = None if shape is None else jnp.zeros(shape)
    with pytest.raises(ValueError, match=r"\(vocabulary, channels\) = \(7, 3\); got"):
        ByteOutput(7)(jnp.zeros((2, 4, 3)), embedding=table)


def test_entities_are_projected_one_by_one():
    adapter = EntityInput(3, 4, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (2, 5, 3))
    found = adapter(x)
    assert found.shape == (2, 5, adapter.num_channels)
    np.testing.assert_allclose(found[1, 3], x[1, 3] @ adapter.linear.kernel[...], atol=1e-6)
    np.testing.assert_array_equal(adapter(x[:, ::-1]), found[:, ::-1])
