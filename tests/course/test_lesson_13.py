"""Lesson 13: its exercises (right answers, mistakes, the empty cell)."""

import numpy as np

from perceiver_lab.course.exercises.lesson_13 import into_the_unit_cube, looked_at, may_be_read
from perceiver_lab.datasets import unit_cube
from tests.course.answers import Answers


def count_by_loop(weights):
    found = []
    for row in weights:
        entropy = -sum(w * np.log(w) for w in row if w > 0)
        found.append(np.exp(entropy))
    return found


def count_jax(weights):
    import jax.numpy as jnp
    from jax.scipy.special import entr

    return jnp.exp(entr(weights).sum(axis=-1))


def count_entropy(weights):
    return -(weights * np.log(np.maximum(weights, 1e-30))).sum(axis=-1)


def count_with_nan(weights):
    with np.errstate(all="ignore"):  # a warning would end a test; a learner sees it, and NaN
        return np.exp(-(weights * np.log(weights)).sum(axis=-1))


def mask_by_loop(lengths, size):
    return [[place < length for place in range(size)] for length in lengths]


def mask_as_numbers(lengths, size):
    return (np.arange(size)[None] <= lengths[:, None] - 1).astype(int)


def cube_jax(points):
    import jax.numpy as jnp

    points = jnp.asarray(points) - jnp.mean(points, axis=0, keepdims=True)
    return points / jnp.abs(points).max()


def cube_by_axis(points):
    points = points - points.mean(axis=0)
    return points / np.abs(points).max(axis=0)


def cube_of_a_ball(points):
    points = points - points.mean(axis=0)
    return points / np.sqrt((points**2).sum(axis=-1).max())


RIGHT = [
    ("13.1", "B"),
    ("13.1", "b)"),
    ("13.2", looked_at),
    ("13.2", count_by_loop),
    ("13.2", count_jax),
    ("13.3", 14),
    ("13.3", "14"),
    ("13.3", np.float32(14)),
    ("13.4", "B"),
    ("13.5", may_be_read),
    ("13.5", mask_by_loop),
    ("13.5", mask_as_numbers),
    ("13.6", into_the_unit_cube),
    ("13.6", unit_cube),
    ("13.6", cube_jax),
]
WRONG = [
    ("13.1", "A", "when pixels move"),
    ("13.1", "C", "where things are"),
    ("13.1", "D", "never knew them"),
    ("13.2", count_entropy, "take its exponential"),
    ("13.2", count_with_nan, "NaN or infinite"),
    ("13.2", lambda weights: np.exp(np.log(looked_at(weights)) / np.log(2)), "both in nats"),
    ("13.2", lambda weights: 1 / weights.max(axis=-1), "the others count too"),
    ("13.2", lambda weights: np.exp(np.log(looked_at(weights)).mean()), "one number for each row"),
    ("13.2", 3, "expected a function"),
    ("13.3", 15, "104,858"),
    ("13.3", 16, "even 1.0"),
    ("13.3", 13, "one more doubling"),
    ("13.3", 127, "5 bits"),
    ("13.3", 3, "too small"),
    ("13.4", "A", "put together wrongly"),
    ("13.4", "C", "show in the gradient"),
    ("13.4", "D", "tells nothing"),
    ("13.5", lambda lengths, size: ~may_be_read(lengths, size), "inverted"),
    ("13.5", lambda lengths, size: np.arange(size)[None] <= lengths[:, None], "one element too many"),
    ("13.5", lambda lengths, size: np.arange(size)[None] < lengths[:, None] - 1, "the last element"),
    ("13.5", lambda lengths, size: np.ones((len(lengths), size, size), bool) & may_be_read(lengths, size)[:, None]
     & may_be_read(lengths, size)[:, :, None], "not pairs"),
    ("13.6", cube_by_axis, "a rod would become a cube"),
    ("13.6", cube_of_a_ball, "the unit ball"),
    ("13.6", lambda points: points / np.abs(points).max(), "the mean is not at 0"),
    ("13.6", lambda points: (points - (points.max(0) + points.min(0)) / 2)
     / np.abs(points - (points.max(0) + points.min(0)) / 2).max(), "the middle of the box"),
    ("13.6", lambda points: (points - points.mean()) / np.abs(points - points.mean()).max(), "one mean for each axis"),
]  # fmt: skip


class TestAnswers(Answers):
    number, right, wrong = "13", RIGHT, WRONG
