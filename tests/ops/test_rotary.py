"""Rotary positions: the published frequencies, which channels turn, and that only differences of positions count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab.ops import Rotation, rotary_frequencies, rotate, rotation

properties = settings(max_examples=15, derandomize=True)


def normal(*shape):
    return jax.random.normal(jax.random.key(sum(shape)), shape)


def test_frequencies_reach_both_ends():
    np.testing.assert_allclose(
        rotary_frequencies(8, fraction=1.0, max_wavelength=1000), [1, 0.1, 0.01, 0.001], rtol=1e-6
    )
    np.testing.assert_array_equal(rotary_frequencies(8, fraction=0.25, max_wavelength=1000), [1.0])
    assert len(rotary_frequencies(12, fraction=0.4, max_wavelength=64)) == 2  # 4.8 channels: two pairs
    assert rotary_frequencies(8, fraction=0.5, max_wavelength=64).dtype == np.float32


def test_a_single_wavelength_is_allowed():
    np.testing.assert_array_equal(rotary_frequencies(8, fraction=0.5, max_wavelength=1), np.ones(2))


def test_pairs_of_neighbours_turn_and_the_rest_passes():
    x, quarter = jnp.arange(1.0, 7.0).reshape(1, 1, 1, 6), jnp.full((1, 1, 1), jnp.pi / 2)
    turned = rotate(x, Rotation(jnp.cos(quarter), jnp.sin(quarter)))
    np.testing.assert_allclose(turned.ravel(), [-2, 1, 3, 4, 5, 6], atol=1e-6)


def test_without_rotation_nothing_happens():
    x = normal(2, 3, 2, 4)
    assert rotate(x, None) is x
    np.testing.assert_array_equal(rotate(x, rotation(jnp.zeros((2, 3), int), np.ones(2, np.float32))), x)


def test_a_turn_keeps_the_length_and_the_precision():
    x = normal(2, 3, 2, 8)
    turn = rotation(jnp.arange(6).reshape(2, 3), rotary_frequencies(8, fraction=1.0, max_wavelength=64))
    np.testing.assert_allclose(jnp.linalg.norm(rotate(x, turn), axis=-1), jnp.linalg.norm(x, axis=-1), rtol=1e-5)
    assert rotate(x.astype(jnp.bfloat16), turn).dtype == jnp.bfloat16


@properties
@given(st.integers(0, 500), st.integers(0, 500), st.integers(-400, 400))
def test_scores_depend_on_the_difference_of_positions(here, there, shift):
    q, k = normal(1, 1, 2, 8), normal(1, 1, 2, 8) + 1
    frequencies = rotary_frequencies(8, fraction=0.5, max_wavelength=1000)

    def score(offset):
        turned = [
            rotate(x, rotation(jnp.array([[place + offset]]), frequencies)) for x, place in ((q, here), (k, there))
        ]
        return (turned[0] * turned[1]).sum(axis=-1)

    np.testing.assert_allclose(score(shift), score(0), atol=2e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction": 1.1}, "fraction=1.1 of 8 channels per head is no pair"),
        ({"fraction": 0.2}, "fraction=0.2 of 8 channels per head is no pair"),
        ({"fraction": 0.0}, "leaves at least two of them"),
        ({"max_wavelength": 0}, "max_wavelength=0 must be at least 1"),
    ],
)
def test_frequencies_that_turn_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        rotary_frequencies(8, **{"fraction": 0.5, "max_wavelength": 64, **options})


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 3, 2)])
def test_a_rotation_of_other_elements_is_refused(shape):
    turn = Rotation(jnp.ones(shape), jnp.zeros(shape))
    with pytest.raises(ValueError, match=r"does not fit x \(2, 3, 1, 2\)"):
        rotate(normal(2, 3, 1, 2), turn)
