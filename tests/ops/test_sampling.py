"""Sampling: which tokens each filter leaves, the order of filters and temperature, and draws that follow their seed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab.ops import filter_logits, sample
from perceiver_lab.ops.sampling import channel_tokens, check_sampling, keep_min_p, keep_top_k, keep_top_p

properties = settings(max_examples=20, derandomize=True)
PROBABILITIES = np.array([[0.5, 0.25, 0.15, 0.1], [0.1, 0.2, 0.3, 0.4]], np.float32)
LOGITS = jnp.log(PROBABILITIES)


def kept(logits):
    return np.asarray(logits) > -1e29


def test_top_k_keeps_the_likeliest():
    np.testing.assert_array_equal(kept(keep_top_k(LOGITS, 2)), [[1, 1, 0, 0], [0, 0, 1, 1]])
    np.testing.assert_array_equal(kept(keep_top_k(LOGITS, 9)), np.ones((2, 4)))
    np.testing.assert_array_equal(kept(keep_top_k(jnp.zeros((1, 3)), 1)), [[1, 1, 1]])  # ties stay together


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [(0.45, [[1, 0, 0, 0], [0, 0, 1, 1]]), (0.65, [[1, 1, 0, 0], [0, 0, 1, 1]]), (1.0, np.ones((2, 4)))],
)
def test_the_nucleus_has_at_least_the_probability_asked_for(top_p, expected):
    np.testing.assert_array_equal(kept(keep_top_p(LOGITS, top_p)), expected)


def test_filters_work_on_the_last_axis_whatever_comes_before():
    every = jnp.stack([LOGITS, LOGITS[::-1]])
    for rule, value in ((keep_top_k, 2), (keep_top_p, 0.65), (keep_min_p, 0.4)):
        np.testing.assert_array_equal(rule(every, value), jnp.stack([rule(LOGITS, value), rule(LOGITS[::-1], value)]))


def test_logits_in_half_precision_are_filtered_in_float32():
    assert filter_logits(LOGITS.astype(jnp.bfloat16), top_p=0.9).dtype == jnp.float32


def test_min_p_is_measured_by_the_likeliest():
    np.testing.assert_array_equal(kept(keep_min_p(LOGITS, 0.4)), [[1, 1, 0, 0], [0, 1, 1, 1]])
    np.testing.assert_array_equal(kept(keep_min_p(LOGITS, 0.0)), np.ones((2, 4)))


@properties
@given(st.integers(0, 10_000), st.floats(0.05, 1.0))
def test_a_nucleus_is_the_smallest_that_suffices(seed, top_p):
    logits = jax.random.normal(jax.random.key(seed), (9,)) * 2
    probabilities = np.sort(np.asarray(jax.nn.softmax(logits)))[::-1]
    inside = np.asarray(jax.nn.softmax(logits))[kept(keep_top_p(logits, top_p))]
    assert inside.sum() >= top_p - 1e-5
    assert inside.sum() - inside.min() < top_p + 1e-5
    np.testing.assert_array_equal(np.sort(inside)[::-1], probabilities[: len(inside)])


def test_filters_come_before_the_temperature():
    """At temperature 100 all tokens are about equally likely, but the nucleus was that of the model."""
    np.testing.assert_array_equal(kept(filter_logits(LOGITS, temperature=1.5, top_p=0.45))[0], [1, 0, 0, 0])
    np.testing.assert_allclose(filter_logits(LOGITS, temperature=0.5), LOGITS * 2, rtol=1e-6)
    np.testing.assert_array_equal(filter_logits(LOGITS, temperature=0), LOGITS)


def test_temperature_zero_takes_the_likeliest():
    np.testing.assert_array_equal(sample(jax.random.key(0), LOGITS, temperature=0), [0, 3])


def test_draws_follow_the_distribution_and_the_seed():
    many = jnp.tile(LOGITS[:1], (20_000, 1))
    drawn = sample(jax.random.key(0), many)
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 20_000, PROBABILITIES[0], atol=0.015)
    np.testing.assert_array_equal(sample(jax.random.key(0), many), drawn)
    assert (sample(jax.random.key(1), many) != drawn).any()
    assert set(np.unique(sample(jax.random.key(0), many, top_k=2))) == {0, 1}


def test_settings_may_be_traced():
    run = jax.jit(lambda temperature, top_k: sample(jax.random.key(0), LOGITS, temperature=temperature, top_k=top_k))
    np.testing.assert_array_equal(run(0.0, 3), [0, 3])
    np.testing.assert_array_equal(run(1.0, 1), [0, 3])


def test_a_colour_channel_has_values_of_its_own():
    allowed = np.asarray(channel_tokens(1, num_channels=3, num_values=4))
    np.testing.assert_array_equal(np.flatnonzero(allowed), [0, 1, 2, 7, 8, 9, 10])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.1}, "temperature=-0.1 must be at least 0; 0 takes the likeliest"),
        ({"temperature": float("nan")}, "temperature=nan must be at least 0"),
        ({"top_p": 0.0}, "top_p=0.0 must be above 0 and at most 1"),
        ({"top_p": 1.01}, "top_p=1.01 must be above 0 and at most 1"),
        ({"top_k": 0}, "top_k=0 must be at least 1"),
        ({"min_p": -0.5}, "min_p=-0.5 must be from 0 to 1"),
        ({"min_p": 2}, "min_p=2 must be from 0 to 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        sample(jax.random.key(0), LOGITS, **settings)
    with pytest.raises(ValueError, match=message):
        check_sampling(**{"temperature": 1.0, **settings})
