"""Lesson 08: its exercises (right answers, mistakes, the empty cell)."""

import numpy as np

from perceiver_lab.course.exercises.lesson_08 import hidden_rows, padded
from tests.course.answers import Answers

VALUES = 16 * 224 * 224 * 3 + 30_720


def array_by_hand(parts, vectors):
    width = parts[0].shape[1] + len(vectors[0])
    result, begin = np.zeros((sum(map(len, parts)), width)), 0
    for rows, vector in zip(parts, vectors, strict=True):
        for row in rows:
            result[begin] = [*row, *vector]
            begin += 1
    return result


def array_jax(parts, vectors):
    import jax.numpy as jnp

    return jnp.concatenate(
        [
            jnp.concatenate([rows, jnp.tile(vector, (rows.shape[0], 1))], axis=1)
            for rows, vector in zip(parts, vectors, strict=True)
        ]
    )


def array_as_list(parts, vectors):
    return [[*row, *vector] for rows, vector in zip(parts, vectors, strict=True) for row in rows]


def array_before(parts, vectors):
    return np.vstack([np.hstack([np.tile(v, (len(r), 1)), r]) for r, v in zip(parts, vectors, strict=True)])


def array_of_zeros(parts, vectors):
    width = parts[0].shape[1] + len(vectors[0])
    return np.vstack([np.pad(rows, ((0, 0), (0, width - rows.shape[1]))) for rows in parts])


def array_first_only(parts, vectors):
    found = []
    for rows, vector in zip(parts, vectors, strict=True):
        padding = np.zeros((len(rows), len(vector)))
        padding[0] = vector
        found.append(np.hstack([rows, padding]))
    return np.vstack(found)


def array_backwards(parts, vectors):
    return padded(parts[::-1], vectors[::-1])


def array_of_a_batch(parts, vectors):
    return padded(parts, vectors)[None]


def hide_by_loop(rows, token, hidden):
    found = rows.copy()
    for number in range(len(rows)):
        if hidden[number]:
            found[number] = token
    return found


def hide_by_index(rows, token, hidden):
    rows[hidden] = token
    return rows


def hide_jax(rows, token, hidden):
    return rows.at[hidden].set(token)


def hide_by_product(rows, token, hidden):
    behind = hidden[:, None, None]
    return behind * token + ~behind * rows


def hide_the_others(rows, token, hidden):
    return np.where(hidden[:, None, None], rows, token)


def hide_by_adding(rows, token, hidden):
    return rows + hidden[:, None, None] * token


def hide_with_zeros(rows, token, hidden):
    return rows * ~hidden[:, None, None]


def hide_the_first(rows, token, hidden):
    rows[hidden, 0] = token
    return rows


RIGHT = [
    ("08.1", 8000),
    ("08.1", "8,000"),
    ("08.1", np.float32(8e3)),
    ("08.2", (8, 340, 39)),
    ("08.2", [8, 340, 39]),
    ("08.2", "8 x 340 x 39"),
    ("08.3", "C"),
    ("08.3", "(c)"),
    ("08.4", VALUES / (196 * 512)),
    ("08.4", 24.3),
    ("08.4", "24.306"),
    ("08.5", padded),
    ("08.5", array_by_hand),
    ("08.5", array_jax),
    ("08.5", array_as_list),
    ("08.6", hidden_rows),
    ("08.6", hide_by_loop),
    ("08.6", hide_by_index),
    ("08.6", hide_jax),
    ("08.6", hide_by_product),
]
WRONG = [
    ("08.1", 16_000, "two samples a turn"),
    ("08.1", 4000, "of this lesson's sounds"),
    ("08.1", 32_000, "not twice the rate"),
    ("08.1", 7000, "too small"),
    ("08.2", (8, 340, 35), "the widest gets padding too"),
    ("08.2", (8, 340, 55), "widths do not add up"),
    ("08.2", (8, 340, 59), "widths do not add up"),
    ("08.2", (8, 300, 39), "40 + 300"),
    ("08.2", (340, 39), "batch is missing"),
    ("08.2", (8, 39, 340), "rows come before channels"),
    ("08.2", 340, "expected a shape"),
    ("08.3", "A", "the rows stay"),
    ("08.3", "B", "its usual width"),
    ("08.3", "D", "the token is learned"),
    ("08.3", "E", "expected one of"),
    ("08.4", 352, "the paper's count"),
    ("08.4", 52_097 * 704 / (196 * 512), "count pixels and samples"),
    ("08.4", (16 * 224 * 224 + 30_720) / (196 * 512), "three numbers"),
    ("08.4", VALUES / (784 * 512), "784 latents"),
    ("08.4", VALUES / 196, "512 numbers"),
    ("08.4", 196 * 512 / VALUES, "other way round"),
    ("08.4", 224 * 224 * 3 / (196 * 512), "16 frames"),
    ("08.4", 20, "too small"),
    ("08.5", array_before, "before the channels"),
    ("08.5", array_of_zeros, "look alike"),
    ("08.5", array_first_only, "every row gets it"),
    ("08.5", array_backwards, "another order"),
    ("08.5", array_of_a_batch, "expected (10, 8)"),
    ("08.5", lambda parts: parts, "raised TypeError"),
    ("08.5", 3, "expected a function"),
    ("08.6", hide_the_others, "the wrong ones"),
    ("08.6", hide_by_adding, "takes their place"),
    ("08.6", hide_with_zeros, "they become the token"),
    ("08.6", hide_the_first, "all of them do"),
    ("08.6", lambda rows, token, hidden: rows[~hidden], "shape"),
    ("08.6", lambda *arrays: 1 / 0, "raised ZeroDivisionError"),
]


class TestAnswers(Answers):
    number = "08"
    right = RIGHT
    wrong = WRONG
