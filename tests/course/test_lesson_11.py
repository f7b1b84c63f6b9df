"""Lesson 11: its exercises (right answers, mistakes, the empty cell)."""

import numpy as np

from perceiver_lab.course.exercises.lesson_11 import grouped, hidden_error
from tests.course.answers import Answers


def cut_by_loop(rows, num_groups):
    b, m, c = rows.shape
    size = int(np.ceil(m / num_groups))
    found = np.zeros((b, num_groups, size, c))
    for number in range(m):
        found[:, number // size, number % size] = rows[:, number]
    return found


def cut_jax(rows, num_groups):
    import jax.numpy as jnp

    b, m, c = rows.shape
    zeros = jnp.zeros((b, -m % num_groups, c))
    return jnp.concatenate([rows.at[:].get(), zeros], axis=1).reshape(b, num_groups, -1, c)


def cut_by_library(rows, num_groups):
    import jax.numpy as jnp

    from perceiver_lab.ops.grouping import cut_groups, group

    return group({"x": jnp.asarray(rows)}, cut_groups({"x": rows.shape[1]}, num_groups))


def deal(rows, num_groups):
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % num_groups), (0, 0)))
    return np.stack([padded[:, start::num_groups] for start in range(num_groups)], axis=1)


def cut_with_zeros_first(rows, num_groups):
    b, m, c = rows.shape
    return np.pad(rows, ((0, 0), (-m % num_groups, 0), (0, 0))).reshape(b, num_groups, -1, c)


def cut_without_the_rest(rows, num_groups):
    size = rows.shape[1] // num_groups
    return rows[:, : size * num_groups].reshape(len(rows), num_groups, size, -1)


def error_by_weights(outputs, targets, hidden):
    squares = ((outputs - targets) ** 2).mean(axis=-1)
    return (squares * hidden).sum() / hidden.sum()


def error_by_loop(outputs, targets, hidden):
    repeated = np.repeat(hidden, outputs.shape[-1])
    triples = zip(outputs.reshape(-1), targets.reshape(-1), repeated, strict=True)
    found = [(output - target) ** 2 for output, target, counts in triples if counts]
    return sum(found) / len(found)


RIGHT = [
    ("11.1", 4096),
    ("11.1", "4,096"),
    ("11.1", 4 * 1024.0),
    ("11.2", (2, 4, 512, 128)),
    ("11.2", "2 x 4 x 512 x 128"),
    ("11.2", [2, 4, 512, 128]),
    ("11.3", "C"),
    ("11.3", "(c)"),
    ("11.4", 1),
    ("11.4", "1.0"),
    ("11.5", grouped),
    ("11.5", cut_by_loop),
    ("11.5", cut_jax),
    ("11.5", cut_by_library),
    ("11.6", hidden_error),
    ("11.6", error_by_weights),
    ("11.6", error_by_loop),
]
WRONG = [
    ("11.1", 1024**2, "its own group"),
    ("11.1", 256, "the number of groups"),
    ("11.1", 1024, "one row of pixels"),
    ("11.1", 196, "224 x 224"),
    ("11.1", 32 * 4096, "the same pixels"),
    ("11.1", 5000, "too large"),
    ("11.2", (2, 4, 128, 128), "are lost"),
    ("11.2", (2, 4, 128, 512), "their width stays"),
    ("11.2", (2, 4, 256, 256), "makes of what it reads"),
    ("11.2", (2, 4, 32, 128), "larger groups"),
    ("11.2", (2, 4, 512, 256), "changes no width"),
    ("11.2", (4, 512, 128), "batch is missing"),
    ("11.2", (2, 4, 128, 512, 1), "5 axes"),
    ("11.3", "A", "no gradient"),
    ("11.3", "B", "from the start"),
    ("11.3", "D", "how near they lie"),
    ("11.3", "E", "expected one of"),
    ("11.4", 0, "guessed exactly"),
    ("11.4", 0.5, "hidden cells alone"),
    ("11.4", 2, "costs less"),
    ("11.4", 3, "too large"),
    ("11.5", deal, "like cards"),
    ("11.5", cut_with_zeros_first, "after the last"),
    ("11.5", cut_without_the_rest, "dropped"),
    ("11.5", lambda rows, g: grouped(rows, -(-rows.shape[1] // g)), "that many groups"),
    ("11.5", lambda rows, g: grouped(rows, g)[0], "shape"),
    ("11.5", 4, "expected a function"),
    ("11.6", lambda o, t, h: np.square(o - t).mean(), "can be copied"),
    ("11.6", lambda o, t, h: np.square(o - t)[~h].mean(), "the wrong ones"),
    ("11.6", lambda o, t, h: (np.square(o - t).mean(-1) * h).mean(), "divided by the number of all"),
    ("11.6", lambda o, t, h: np.square(o - t)[h].sum(), "that is a sum"),
    ("11.6", lambda o, t, h: np.abs(o - t)[h].mean(), "differ"),
    ("11.6", lambda *arrays: 1 / 0, "raised ZeroDivisionError"),
]


class TestAnswers(Answers):
    number = "11"
    right = RIGHT
    wrong = WRONG
