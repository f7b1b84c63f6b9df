"""The exercises of lesson 01: right answers in any form, the usual mistakes by name."""

import jax
import jax.numpy as jnp
import numpy as np

from perceiver_lab.course.exercises import lesson_01 as own
from perceiver_lab.ops import attend
from tests.course.answers import Answers


def by_loop(q, k, v, mask):
    output = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        scores = [q[i] @ k[j] / np.sqrt(q.shape[1]) for j in range(len(k)) if mask[i, j]]
        powers = np.exp(scores)
        for weight, j in zip(powers / max(powers.sum(), 1e-9), np.flatnonzero(mask[i]), strict=True):
            output[i] += weight * v[j]
    return output


def in_place(q, k, v, mask):
    scores = q @ k.T / np.sqrt(q.shape[-1])
    scores[~mask] = -np.inf
    scores = np.exp(scores)
    return scores / np.maximum(scores.sum(-1, keepdims=True), 1e-12) @ v


def with_jax(q, k, v, mask):
    scores = jnp.where(mask, jnp.einsum("nd,md->nm", q, k) / jnp.sqrt(q.shape[-1]), -1e30)
    weights = jnp.where(mask, jax.nn.softmax(scores, axis=-1), 0)
    return jnp.einsum("nm,me->ne", weights, v)


def by_library(q, k, v, mask):
    q, k, v = (jnp.asarray(x, jnp.float32)[None, :, None] for x in (q, k, v))
    return attend(q, k, v, mask=jnp.asarray(mask)[None])[0, :, 0]


def infinities(q, k, v, mask):
    scores = np.where(mask, q @ k.T / np.sqrt(q.shape[-1]), -np.inf)
    with np.errstate(invalid="ignore"):
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True) @ v


def transposed(q, k, v, mask):
    return by_loop(q, k, v, mask).T


RIGHT = [
    ("01.1", (2, 16, 4, 12)),
    ("01.1", [2, 16, 4, 12]),
    ("01.1", "(2, 16, 4, 12)"),
    ("01.1", np.array([2, 16, 4, 12])),
    ("01.1", np.zeros((2, 16, 4, 12))),
    ("01.2", [0.0, 10.0]),
    ("01.2", (0, 8)),
    ("01.2", np.array([0.5, 20.0])),
    ("01.2", jnp.array([-1.0, 12.0])),
    ("01.2", [[0.0, 10.0]]),
    ("01.3", 98),
    ("01.3", 98.0),
    ("01.3", "98"),
    ("01.3", 50_176 / 512),
    ("01.4", own.masked_attention),
    ("01.4", by_loop),
    ("01.4", in_place),
    ("01.4", with_jax),
    ("01.4", by_library),
    ("01.5", own.split_heads),
    ("01.5", lambda x, h: np.stack(np.split(np.asarray(x), h, axis=-1), axis=1)),
    ("01.5", lambda x, h: jnp.reshape(x, (len(x), h, x.shape[1] // h))),
    ("01.6", "B"),
    ("01.6", "b"),
    ("01.6", "(B)"),
]

WRONG = [
    ("01.1", (2, 900, 4, 12), "the shape of v"),
    ("01.1", (2, 16, 4, 8), "the shape of q"),
    ("01.1", (2, 4, 16, 900), "the shape of the weights"),
    ("01.1", (2, 16, 48), "put side by side"),
    ("01.1", (16, 4, 12), "has 3 axes, expected 4"),
    ("01.1", (2, 4, 16, 12), "another order"),
    ("01.2", [5.0, 0.0], "key 1 gets most"),
    ("01.2", [-9.0, 1.0], "key 3 gets most"),
    ("01.2", [0.0, 2.0], "not by enough"),
    ("01.2", [0.0, 1.0, 0.0], "two numbers"),
    ("01.2", [0.0, float("inf")], "must be finite"),
    ("01.3", 1 / 98, "inverse"),
    ("01.3", 512, "512 is what each pixel"),
    ("01.3", 9604, "once, not twice"),
    ("01.3", 512 * 50176, "scores of the read"),
    ("01.3", 97, "too small"),
    ("01.4", own._no_scale, "not divided by the square root"),
    ("01.4", own._scale_by_width, "divided by d"),
    ("01.4", own._mask_inverted, "other way round"),
    ("01.4", own._mask_forgotten, "no effect yet"),
    ("01.4", own._wrong_axis, "over the queries"),
    ("01.4", own._mask_after, "after the softmax"),
    ("01.4", own._score_zero, "exp(0) is 1"),
    ("01.4", own._empty_row_averages, "should get zeros"),
    ("01.4", infinities, "use a large finite number"),
    ("01.4", transposed, "shape (2, 4), expected (4, 2)"),
    ("01.4", lambda q, k, v, mask: q @ k, "raised"),
    ("01.4", lambda q, k: q, "TypeError"),
    ("01.4", 5, "expected a function"),
    ("01.5", own._strided, "every h-th channel"),
    ("01.5", own._width_first, "wrong way round"),
    ("01.5", own._heads_first, "the heads come first"),
    ("01.5", own._rows_cut, "cuts the rows"),
    ("01.5", own._heads_from_rows, "cuts the rows"),
    ("01.6", "A", "shuffled with them"),
    ("01.6", "C", "wrong values"),
    ("01.6", "D", "sharper"),
    ("01.6", "E", "expected one of A, B, C, D"),
]


class TestAnswers(Answers):
    number = "01"
    right = RIGHT
    wrong = WRONG
