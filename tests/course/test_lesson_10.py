"""Lesson 10: its exercises (right answers, mistakes, the empty cell)."""

import numpy as np

from perceiver_lab.course.exercises.lesson_10 import spoiled, temperature_then_nucleus
from tests.course.answers import Answers

READ, LAYER = 2 * 768 * 96, 2 * 128 * 96


def filtered_by_loop(probabilities, temperature, top_p):
    warmed = np.asarray(probabilities) ** (1 / temperature)
    warmed = warmed / warmed.sum()
    found, total = np.zeros(len(warmed)), 0.0
    for token in sorted(range(len(warmed)), key=lambda token: -warmed[token]):
        found[token] = warmed[token]
        total += warmed[token]
        if total >= top_p:
            break
    return found / found.sum()


def filtered_by_the_library(probabilities, temperature, top_p):
    import jax

    from perceiver_lab.ops import filter_logits

    logits = jax.numpy.log(jax.numpy.asarray(probabilities, jax.numpy.float32))
    return jax.nn.softmax(filter_logits(filter_logits(logits, temperature=temperature), top_p=top_p))


def nucleus_then_temperature(probabilities, temperature, top_p):
    return filtered_by_loop(filtered_by_loop(probabilities, 1.0, top_p), temperature, 1.0)


def left_as_it_is(probabilities, temperature, top_p):
    return filtered_by_loop(probabilities, temperature, 2.0)


def hotter_is_sharper(probabilities, temperature, top_p):
    return filtered_by_loop(probabilities, 1 / temperature, top_p)


def sum_left_out(probabilities, temperature, top_p):
    warmed = probabilities ** (1 / temperature) / (probabilities ** (1 / temperature)).sum()
    return (filtered_by_loop(probabilities, temperature, top_p) > 0) * warmed


def spoiled_by_loop(place, num_events, num_latents):
    return np.array([1, sum(latent >= place for latent in range(num_events - num_latents, num_events))])


RIGHT = [
    ("10.1", 98),
    ("10.1", "98"),
    ("10.1", 64 + 99 % 65),
    ("10.2", READ + 3 * LAYER),
    ("10.2", "221,184"),
    ("10.3", "C"),
    ("10.3", "c"),
    ("10.4", 16 / 17),
    ("10.4", 0.941),
    ("10.5", temperature_then_nucleus),
    ("10.5", filtered_by_loop),
    ("10.5", filtered_by_the_library),
    ("10.6", spoiled),
    ("10.6", spoiled_by_loop),
    ("10.6", lambda place, num_events, num_latents: [1, min(num_latents, num_events - place)]),
]
WRONG = [
    ("10.1", 99, "count again"),
    ("10.1", 163, "at most 128"),
    ("10.1", 34, "since the full pass"),
    ("10.1", 35, "64 tokens from the cache"),
    ("10.1", 128, "starts again with 64"),
    ("10.1", 64, "66th token"),
    ("10.2", (READ + 3 * LAYER) / 2, "keys and values are kept"),
    ("10.2", READ, "that is for the inputs"),
    ("10.2", READ + LAYER, "of its own"),
    ("10.2", 589_824, "a Transformer"),
    ("10.2", 884_736, "in bytes"),
    ("10.2", 3 * LAYER, "inputs are missing"),
    ("10.3", "A", "from the old note"),
    ("10.3", "B", "not on what came before"),
    ("10.3", "D", "old keys and values"),
    ("10.4", 0.667, "that is temperature 2"),
    ("10.4", 0.64, "the sum of both"),
    ("10.4", 0.8, "that is temperature 1"),
    ("10.4", 1, "that is temperature 0"),
    ("10.4", 1.6, "on the logits"),
    ("10.5", nucleus_then_temperature, "the temperature comes first"),
    ("10.5", left_as_it_is, "nothing is dropped"),
    ("10.5", hotter_is_sharper, "not T"),
    ("10.5", sum_left_out, "add up to 1"),
    ("10.5", lambda probabilities: probabilities, "raised TypeError"),
    ("10.6", lambda place, num_events, num_latents: np.array([1, num_latents]), "they stay"),
    ("10.6", lambda place, num_events, num_latents: np.array([1, num_events - place]), "no more latents"),
    (
        "10.6",
        lambda place, num_events, num_latents: np.array([num_events - place, min(num_latents, num_events - place)]),
        "do not look at each other",
    ),
    ("10.6", lambda place, num_events, num_latents: 3, "shape"),
]


class TestAnswers(Answers):
    number = "10"
    right = RIGHT
    wrong = WRONG
