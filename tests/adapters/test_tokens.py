"""Tokens with absolute positions, and without."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.layers import FourierPositions, LearnedPositions, SinusoidalPositions

TOKENS = jnp.array([[2, 5, 0]])
PLACES = jnp.array([[[1], [2], [0]]])


def test_without_positions_it_is_the_embedding():
    adapter = TokenInput(7, 4, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(adapter(TOKENS), adapter.embedding[...][TOKENS])
    np.testing.assert_array_equal(adapter(TOKENS, positions=PLACES), adapter(TOKENS))
    assert adapter.position_sizes == () and adapter.vocabulary == 7 and adapter.num_channels == 4


def test_positions_are_added():
    adapter = TokenInput(7, 4, positions=[SinusoidalPositions(4, 4)], rngs=nnx.Rngs(0))
    expected = adapter.embedding[...][TOKENS] + SinusoidalPositions(4, 4)()[PLACES[..., 0]]
    np.testing.assert_allclose(adapter(TOKENS, positions=PLACES), expected, atol=1e-6)
    assert adapter.position_sizes == (4,)


def test_the_embedding_starts_as_published():
    table = np.asarray(TokenInput(200, 50, rngs=nnx.Rngs(0)).embedding[...])
    assert np.abs(table).max() <= 2.0 and table.std() == pytest.approx(0.88, abs=0.01)  # cut at two deviations


def test_inside_a_compiled_function_a_wrong_number_gives_nan():
    adapter = TokenInput(7, 4, positions=[LearnedPositions((3,), 4, rngs=nnx.Rngs(0))], rngs=nnx.Rngs(0))
    run = nnx.jit(lambda adapter, tokens, places: adapter(tokens, positions=places))
    right = run(adapter, TOKENS, PLACES)
    assert np.isfinite(right).all()
    for wrong in (run(adapter, TOKENS.at[0, 1].set(7), PLACES), run(adapter, TOKENS, PLACES.at[0, 1].set(3))):
        assert np.isnan(wrong[0, 1]).all()
        np.testing.assert_array_equal(wrong[:, [0, 2]], right[:, [0, 2]])
    assert np.isnan(run(adapter, TOKENS.at[0, 0].set(-1), PLACES)[0, 0]).all()
    assert np.isnan(run(adapter, TOKENS, PLACES.at[0, 0].set(-1))[0, 0]).all()


@pytest.mark.parametrize("positions", [FourierPositions((2, 2), num_bands=1), SinusoidalPositions(4, 5)])
def test_positions_that_cannot_be_added_are_named(positions):
    with pytest.raises(ValueError, match="cannot be added here: give one encoding over a single axis"):
        TokenInput(7, 4, positions=[positions], rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("tokens", "places", "message"),
    [
        (TOKENS + 5, PLACES, "tokens from 5 to 10 were given, but they are numbers from 0 to 6"),
        (TOKENS - 1, PLACES, "tokens from -1 to 4 were given"),
        (TOKENS, PLACES + 2, "positions of axis 0 from 2 to 4 were given, but they are numbers from 0 to 3"),
        (TOKENS, None, r"positions must be integers \(B, M, axes\) = \(1, 3, 1\), one per token and axis; got None"),
        (TOKENS, PLACES[..., 0], r"got \(1, 3\)"),
        (TOKENS, PLACES.astype(jnp.float32), "positions of axis 0 must be integers"),
        (TOKENS.astype(jnp.float32), PLACES, r"tokens must be integers \(B, M\), at least one; got float32"),
    ],
)
def test_what_does_not_fit_is_named(tokens, places, message):
    adapter = TokenInput(7, 4, positions=[SinusoidalPositions(4, 4)], rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=message):
        adapter(tokens, positions=places)
