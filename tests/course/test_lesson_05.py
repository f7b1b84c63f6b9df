"""Lesson 05: its exercises, right answers in two styles and mistakes by name."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab import presets
from perceiver_lab.course.exercises.lesson_05 import blanked, position_share, rolled
from tests.course.answers import Answers


def rolled_by_einsum(read, layers):
    mixed = jnp.asarray(read).mean(1)
    for weights in layers:
        mixed = 0.5 * mixed + 0.5 * jnp.einsum("bhij,bjm->bhim", weights, mixed).mean(1)
    return mixed


def rolled_without_residual(read, layers):
    mixed = read.mean(1)
    for weights in layers:
        mixed = np.einsum("bhij,bjm->bim", weights, mixed) / weights.shape[1]
    return mixed


def rolled_growing(read, layers):
    mixed = read.mean(1)
    for weights in layers:
        mixed = mixed + weights.mean(1) @ mixed
    return mixed


def rolled_backwards(read, layers):
    product = np.broadcast_to(np.eye(read.shape[2]), layers.shape[1:2] + layers.shape[-2:])
    for weights in layers:
        product = product @ (0.5 * weights.mean(1) + 0.5 * np.eye(read.shape[2]))
    return product @ read.mean(1)


def rolled_summing_heads(read, layers):
    return rolled(read, layers) * read.shape[1]


def share_by_loop(maps):
    even = [[weight - 1 / len(row) for weight in row] for row in maps.tolist()]
    mean = [sum(column) / len(even) for column in zip(*even, strict=True)]
    return sum(w * w for w in mean) / (sum(w * w for row in even for w in row) / len(even))


def share_in_jax(maps):
    apart = jnp.asarray(maps) - jnp.mean(jnp.asarray(maps), axis=1, keepdims=True)  # rows sum to one
    return jnp.sum(apart.mean(0) ** 2) / jnp.mean(jnp.sum(apart**2, axis=1))


def blanked_by_threshold(values, rating, count, blank):
    ranks = (rating[None] > rating[:, None]).sum(axis=1)
    return np.where(ranks < count, blank, values)


def blanked_by_loop(values, rating, count, blank):
    values, rating = list(values), list(rating)
    for _ in range(count):
        best = rating.index(max(rating))
        values[best], rating[best] = blank, float("-inf")
    return values


RIGHT = [
    ("05.1", [0.4, 0.44, 0.16]),
    ("05.1", jnp.array([0.8, 0.2]) @ jnp.array([[0.5, 0.5, 0], [0, 0.2, 0.8]])),
    ("05.2", "B"),
    ("05.2", "(b)"),
    ("05.3", 49914),
    ("05.3", "49,914"),
    ("05.4", rolled),
    ("05.4", rolled_by_einsum),
    ("05.5", share_by_loop),
    ("05.5", share_in_jax),
    ("05.6", blanked_by_threshold),
    ("05.6", blanked_by_loop),
]
WRONG = [
    ("05.1", [0.3, 0.38, 0.32], "half of the layer's output is its input"),
    ("05.1", (0.5, 0.5, 0), "weights of its read"),
    ("05.1", np.array([0.8, 0.88, 0.32]), "sum to two"),
    ("05.1", [0.2, 0.32, 0.48], "wrong way round"),
    ("05.1", [0.4, 0.44], "shape (2,), expected (3,)"),
    ("05.1", "much", "expected numbers"),
    ("05.2", "A", "only taking the pixel away"),
    ("05.2", "c", "no sign"),
    ("05.2", "D", "dark places"),
    ("05.2", "E", "expected one of"),
    ("05.3", 49915, "one condition more"),
    ("05.3", 261, "what is left free"),
    ("05.3", 262, "what is left free"),
    ("05.3", 50176, "must stay"),
    ("05.3", 50175, "must stay too"),
    ("05.3", [1, 2], "expected a number"),
    ("05.4", rolled_without_residual, "mix in the identity"),
    ("05.4", rolled_growing, "one half each"),
    ("05.4", rolled_backwards, "wrong order"),
    ("05.4", rolled_summing_heads, "are to be averaged"),
    ("05.4", lambda read, layers: read, "shape"),
    ("05.4", lambda read: read, "raised TypeError"),
    ("05.4", 3, "expected a function"),
    ("05.5", lambda maps: (maps.mean(0) ** 2).sum() / (maps**2).sum(1).mean(), "not from zero"),
    ("05.5", lambda maps: 1 - share_by_loop(maps), "give the other one"),
    ("05.5", lambda maps: share_by_loop(maps) ** 0.5, "not lengths"),
    ("05.5", lambda maps: maps.mean(0), "shape"),
    ("05.6", lambda v, r, n, b: blanked_by_threshold(v, -r, n, b), "lowest rating"),
    ("05.6", lambda v, r, n, b: np.where(blanked_by_threshold(v, r, n, np.inf) == np.inf, v, b), "what was to stay"),
    ("05.6", lambda v, r, n, b: blanked_by_threshold(v, v, n, b), "go by the rating"),
    ("05.6", lambda *given: 1 / 0, "raised ZeroDivisionError"),
]


class TestAnswers(Answers):
    number = "05"
    right = RIGHT
    wrong = WRONG


def test_the_published_read_is_as_wide_as_the_exercise_says():
    model = nnx.eval_shape(lambda: presets.get("imagenet_fourier")(rngs=nnx.Rngs(0)))
    attention = model.encoder.reads[0].attention
    assert attention.num_heads == 1
    assert attention.value.kernel.shape[1] == 261


def test_the_references_agree_with_the_library():
    from perceiver_lab.introspect import position_share as library_share
    from perceiver_lab.introspect import rollout
    from perceiver_lab.layers import AttentionMap

    rng = np.random.default_rng(0)
    read, layer = rng.dirichlet(np.ones(7), (2, 1, 3)), rng.dirichlet(np.ones(3), (2, 4, 3))
    maps = [AttentionMap("read 0", read), AttentionMap("block 0 layer 0", layer)]
    np.testing.assert_allclose(rollout(maps), rolled(read, layer[None]), atol=1e-5)
    many = rng.dirichlet(np.ones(7), 5)
    np.testing.assert_allclose(library_share(many[:, None, None])[0, 0], position_share(many), atol=1e-6)
    assert blanked(np.zeros(3), np.array([1.0, 3.0, 2.0]), 1, 9.0).tolist() == [0, 9, 0]
