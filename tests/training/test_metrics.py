"""Accuracy, top-k and the Wilson interval."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_lab.training.metrics import Accuracy, accuracy, confusion, top_k_accuracy, wilson_interval


def test_of_a_distribution_the_largest_part_counts():
    logits = jnp.array([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
    mixed = jnp.array([[0.6, 0.4, 0.0], [0.3, 0.7, 0.0]])
    assert accuracy(logits, mixed) == accuracy(logits, jnp.array([0, 1])) == 0.5


def test_accuracy_counts():
    logits = jnp.array([[1.0, 2.0, 0.0], [3.0, 1.0, 2.0], [0.0, 0.0, 1.0], [0.0, 5.0, 1.0]])
    labels = jnp.array([1, 2, 2, 0])
    assert accuracy(logits, labels) == 0.5
    assert top_k_accuracy(logits, labels, 1) == 0.5
    assert top_k_accuracy(logits, labels, 2) == 0.75
    assert top_k_accuracy(logits, labels, 3) == 1.0
    with pytest.raises(ValueError, match="between 1 and the number of classes 3, got 4"):
        top_k_accuracy(logits, labels, 4)


def test_ties_count_against_the_model():
    assert top_k_accuracy(jnp.zeros((1, 4)), jnp.array([0]), 3) == 0.0


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    # The ends by 1 / (1 + n / z^2), the middle ones from tables of the score interval.
    [
        (0, 10, 0.0, 0.2775328),
        (5, 10, 0.2365931, 0.7634069),
        (10, 10, 0.7224672, 1.0),
        (930, 1000, 0.9124854, 0.9442237),
    ],
)
def test_wilson_interval(correct, total, low, high):
    np.testing.assert_allclose(wilson_interval(correct, total), (low, high), atol=1e-6)


@given(st.integers(1, 2000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_the_interval_holds_the_share_and_mirrors(counts):
    correct, total = counts
    low, high = wilson_interval(correct, total)
    assert 0.0 <= low <= correct / total <= high <= 1.0
    np.testing.assert_allclose(wilson_interval(total - correct, total), (1 - high, 1 - low), atol=1e-12)


def test_bad_counts():
    for correct, total in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match=f"got {correct} of {total}"):
            Accuracy(correct=correct, total=total)


def test_it_reads_well():
    assert str(Accuracy(correct=289, total=297)) == "97.3 % (289 of 297, 95 % interval 94.8-98.6 %)"


def test_confusion():
    table = confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    np.testing.assert_array_equal(table, [[1, 1], [0, 1]])
