"""Lesson 00: what its text claims of its dots and of the digits."""

import numpy as np
import pytest

from perceiver_lab.course.exercises.lesson_00 import blend
from perceiver_lab.datasets import arrays
from perceiver_lab.explorers import DragQuery

PLACES = np.array([[-1.0, 1.0], [0.5, 1.5], [1.6, 0.4], [0.4, 0.2], [1.2, -1.0], [-0.3, -0.9]])
COLOURS = np.eye(6)[:, :3]


def weights(query, temperature, lifted=False):
    return DragQuery(PLACES, COLOURS, query=query, temperature=temperature, lifted=lifted).weights()


def test_d_lies_at_the_average_of_the_others():
    np.testing.assert_allclose(np.delete(PLACES, 3, axis=0).mean(axis=0), PLACES[3], atol=1e-12)


@pytest.mark.parametrize("temperature", [0.02, 0.1, 1.0, 3.0, 50.0])
def test_d_never_gets_more_than_a_sixth_and_that_at_the_origin_only(temperature):
    axis = np.linspace(-2, 2, 41)
    gets = np.array([[weights((x, y), temperature)[3] for x in axis] for y in axis])
    assert gets[20, 20] == pytest.approx(1 / 6)
    gets[20, 20] = 0
    assert gets.max() < 1 / 6


def test_twice_as_far_out_and_twice_as_hot_is_the_same():
    np.testing.assert_allclose(weights((0.8, -0.6), 0.7), weights((1.6, -1.2), 1.4), atol=1e-12)


def test_lifted_the_nearest_dot_gets_most():
    for query in np.random.default_rng(0).uniform(-2, 2, (200, 2)):
        assert weights(query, 1.0, lifted=True).argmax() == ((PLACES - query) ** 2).sum(axis=1).argmin()


@pytest.fixture(scope="module")
def digits():
    """Keys and queries of 65 numbers, labels; scores are minus half of the squared distance, and a constant."""
    train, test = (arrays("digits", split) for split in ("train", "test"))
    keys, queries = (split["image"].reshape(-1, 64) / 16 for split in (train, test))
    keys = np.concatenate([keys, -0.5 * (keys**2).sum(axis=1, keepdims=True)], axis=1)
    return keys, np.concatenate([queries, np.ones((len(queries), 1))], axis=1), train["label"], test["label"]


def vote(digits, temperature, channels=65):
    keys, queries, labels, _ = digits
    with np.errstate(over="ignore"):
        scores = queries[:, :channels] @ keys[:, :channels].T
        powers = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    return powers / powers.sum(axis=1, keepdims=True) @ np.eye(10)[labels]


def right(digits, votes):
    return (votes.argmax(axis=1) == digits[3]).mean()


def test_attention_to_labelled_digits_reads_99_of_100_as_the_nearest_digit_does(digits):
    soft, hard = vote(digits, 0.138), vote(digits, 1e-4)
    assert right(digits, soft) == pytest.approx(0.99, abs=0.004) == right(digits, hard)
    wrong = soft.argmax(axis=1) != digits[3]
    assert soft[wrong].max() < 0.75 and hard[hard.argmax(axis=1) != digits[3]].max(axis=1).min() > 0.999


@pytest.mark.parametrize("temperature", [0.138, 1.0, 3.0, 10.0])
def test_plain_dot_products_are_much_worse(digits, temperature):
    assert right(digits, vote(digits, temperature, channels=64)) < 0.9


def test_the_exercise_s_blend_is_the_explorer_s():
    dots = DragQuery(PLACES, COLOURS, query=(1.2, 0.6), temperature=0.5)
    np.testing.assert_allclose(blend(np.array([[1.2, 0.6]]), PLACES, COLOURS, 0.5)[0], dots.weights() @ COLOURS)
