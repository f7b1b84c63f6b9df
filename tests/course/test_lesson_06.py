"""Lesson 06: its exercises (right answers, mistakes, the empty cell)."""

import numpy as np

from perceiver_lab.course.exercises.lesson_06 import asked_in_chunks, mean_endpoint_error
from tests.course.answers import Answers


def chunks_one_by_one(answer, queries, size):
    return [answer(query[None])[0] for query in queries]


def chunks_jax(answer, queries, size):
    import jax.numpy as jnp

    return jnp.concatenate([answer(jnp.asarray(queries[i : i + size])) for i in range(0, len(queries), size)])


def chunks_with_overlap(answer, queries, size):
    """As the library does it: the last chunk begins earlier."""
    result = np.zeros((len(queries), 3))
    for start in range(0, len(queries), size):
        start = min(start, len(queries) - size)
        result[start : start + size] = answer(queries[start : start + size])
    return result


def chunks_split(answer, queries, size):
    return np.vstack([answer(part) for part in np.array_split(queries, -(-len(queries) // size))])


def chunks_without_the_rest(answer, queries, size):
    return np.concatenate([answer(queries[i * size : (i + 1) * size]) for i in range(len(queries) // size)])


def chunks_backwards(answer, queries, size):
    return asked_in_chunks(answer, queries[::-1], size)


def chunks_of_too_many(answer, queries, size):
    return answer(queries)


def chunks_in_a_list(answer, queries, size):
    return np.array([asked_in_chunks(answer, queries, size)])


def error_by_loop(flow, truth):
    found = []
    for row in range(flow.shape[0]):
        for column in range(flow.shape[1]):
            dx, dy = flow[row, column] - truth[row, column]
            if dx == dx and dy == dy:
                found.append((dx**2 + dy**2) ** 0.5)
    return sum(found) / len(found)


def error_norm(flow, truth):
    return np.nanmean(np.linalg.norm(flow - truth, axis=-1))


def error_where(flow, truth):
    import jax.numpy as jnp

    known = jnp.isfinite(truth[..., 0])
    error = jnp.hypot(*jnp.moveaxis(jnp.where(known[..., None], flow - truth, 0), -1, 0))
    return (error * known).sum() / known.sum()


def error_root_of_mean(flow, truth):
    return np.sqrt(np.nanmean(((flow - truth) ** 2).sum(axis=-1)))


def error_squared(flow, truth):
    return np.nanmean(((flow - truth) ** 2).sum(axis=-1))


def error_sides(flow, truth):
    return np.nanmean(np.abs(flow - truth).sum(axis=-1))


def error_mean_of_sides(flow, truth):
    return np.nanmean(np.abs(flow - truth))


def error_zeros(flow, truth):
    return np.hypot(*np.moveaxis(flow - np.where(np.isnan(truth), 0, truth), -1, 0)).mean()


def error_by_all(flow, truth):
    return np.nansum(np.linalg.norm(flow - truth, axis=-1)) / (flow.shape[0] * flow.shape[1])


def error_masked_by_product(flow, truth):
    known = np.isfinite(truth).all(axis=-1)
    return (known * np.linalg.norm(flow - truth, axis=-1)).sum() / known.sum()


RIGHT = [
    ("06.1", 1_280_000),
    ("06.1", "1,280,000"),
    ("06.1", np.array([1.28e6])),
    ("06.2", (8, 4, 290, 32)),
    ("06.2", [8, 4, 290, 32]),
    ("06.2", "8 x 4 x 290 x 32"),
    ("06.3", "B"),
    ("06.3", "(b)"),
    ("06.4", -1 + 2 * 47 / 48),
    ("06.4", 0.958),
    ("06.4", "0.9583"),
    ("06.4", np.float32(23 / 24)),
    ("06.5", asked_in_chunks),
    ("06.5", chunks_one_by_one),
    ("06.5", chunks_jax),
    ("06.5", chunks_with_overlap),
    ("06.5", chunks_split),
    ("06.6", mean_endpoint_error),
    ("06.6", error_by_loop),
    ("06.6", error_norm),
    ("06.6", error_where),
]
WRONG = [
    ("06.1", 1.6e9, "do not look at each other"),
    ("06.1", 40_000 * 2304, "does not see the pixels"),
    ("06.1", 73_728, "the reading is over"),
    ("06.1", 1_280_000 + 73_728, "there already"),
    ("06.1", 40_000, "with each latent"),
    ("06.1", "all", "expected a number"),
    ("06.2", (8, 4, 32, 290), "queries come before keys"),
    ("06.2", (8, 4, 288, 32), "two more rows"),
    ("06.2", (8, 290, 32), "heads is missing"),
    ("06.2", (8, 4, 290, 290), "look at the latents"),
    ("06.2", (8, 4, 290, 2304), "not the pixels"),
    ("06.2", (8, 4, 3, 32), "290 queries"),
    ("06.2", 290, "expected a shape"),
    ("06.3", "A", "no query sees another"),
    ("06.3", "C", "each row by itself"),
    ("06.3", "D", "its own row"),
    ("06.3", "E", "expected one of"),
    ("06.4", 1, "whole grid"),
    ("06.4", 47 / 48, "47 / 48"),
    ("06.4", -1 + 2 * 46 / 48, "index 47"),
    ("06.4", -0.958, "too small"),
    ("06.5", chunks_without_the_rest, "last chunk is missing"),
    ("06.5", chunks_backwards, "another order"),
    ("06.5", chunks_of_too_many, "at once, more than size=4"),
    ("06.5", chunks_in_a_list, "an axis too many"),
    ("06.5", lambda answer: answer, "raised TypeError"),
    ("06.5", 3, "expected a function"),
    ("06.6", error_root_of_mean, "root of the mean square"),
    ("06.6", error_squared, "the root is missing"),
    ("06.6", error_sides, "that is |dx| + |dy|"),
    ("06.6", error_mean_of_sides, "mean of |dx| and |dy|"),
    ("06.6", error_zeros, "as if they stood still"),
    ("06.6", error_by_all, "divide by all pixels"),
    ("06.6", error_masked_by_product, "NaN times 0"),
    ("06.6", lambda flow, truth: np.linalg.norm(flow - truth, axis=-1), "shape"),
    ("06.6", lambda *arrays: 1 / 0, "raised ZeroDivisionError"),
]


class TestAnswers(Answers):
    number = "06"
    right = RIGHT
    wrong = WRONG
