"""Lesson 09: its exercises (right answers, mistakes, the empty cell)."""

import math

import numpy as np

from perceiver_lab.course.exercises.lesson_09 import later_and_reached, mask_of_the_read
from tests.course.answers import Answers

SCORES = 1024 * 8192 + 6 * 1024 * 1024


def mask_by_loop(num_inputs, num_latents):
    mask = np.zeros((num_latents, num_inputs), bool)
    for latent in range(num_latents):
        mask[latent, : num_inputs - num_latents + latent + 1] = True
    return mask


def mask_as_numbers(num_inputs, num_latents):
    return np.tril(np.ones((num_latents, num_inputs)), num_inputs - num_latents)


def mask_jax(num_inputs, num_latents):
    import jax.numpy as jnp

    return jnp.arange(num_inputs - num_latents, num_inputs)[:, None] >= jnp.arange(num_inputs)[None]


def mask_upper_left(num_inputs, num_latents):
    return np.tri(num_latents, num_inputs, dtype=bool)


def mask_strict(num_inputs, num_latents):
    places = np.arange(num_inputs - num_latents, num_inputs)
    return places[:, None] > np.arange(num_inputs)


def mask_that_leaks(num_inputs, num_latents):
    places = np.arange(num_inputs - num_latents, num_inputs)
    return places[:, None] + 1 >= np.arange(num_inputs)


def mask_of_what_is_hidden(num_inputs, num_latents):
    return ~mask_by_loop(num_inputs, num_latents)


def mask_square(num_inputs, num_latents):
    return np.tri(num_inputs, dtype=bool)


def leaks_by_loop(sizes, places):
    found = np.zeros(sizes.shape, bool)
    for row, place in enumerate(places):
        for later in range(place + 1, sizes.shape[1]):
            found[row, later] = place >= 0 and sizes[row, later] > 0
    return found


def leaks_jax(sizes, places):
    import jax.numpy as jnp

    return jnp.where((places[:, None] >= 0) & (jnp.arange(sizes.shape[1])[None] > places[:, None]), sizes, 0) != 0


def leaks_of_nowhere(sizes, places):
    return (sizes > 0) & (np.arange(sizes.shape[1]) > places[:, None])


def leaks_with_its_own(sizes, places):
    return (sizes > 0) & (np.arange(sizes.shape[1]) >= places[:, None]) & (places >= 0)[:, None]


def leaks_everywhere(sizes, places):
    return (np.arange(sizes.shape[1]) > places[:, None]) & (places >= 0)[:, None]


def leaks_before(sizes, places):
    return (sizes > 0) & ~(np.arange(sizes.shape[1]) > places[:, None]) & (places >= 0)[:, None]


RIGHT = [
    ("09.1", 910),
    ("09.1", "910"),
    ("09.1", np.int64(910)),
    ("09.2", SCORES),
    ("09.2", "14,680,064"),
    ("09.2", float(SCORES)),
    ("09.3", "B"),
    ("09.3", "(b)"),
    ("09.4", 6 / 16 * math.log(256)),
    ("09.4", 2.08),
    ("09.4", "2.079"),
    ("09.5", mask_of_the_read),
    ("09.5", mask_by_loop),
    ("09.5", mask_as_numbers),
    ("09.5", mask_jax),
    ("09.6", later_and_reached),
    ("09.6", leaks_by_loop),
    ("09.6", leaks_jax),
]
WRONG = [
    ("09.1", 909, "count from 0"),
    ("09.1", 10, "the last places"),
    ("09.1", 911, "has to foretell"),
    ("09.1", 1000, "only the last latent"),
    ("09.1", 100, "not the read"),
    ("09.1", 700, "too small"),
    ("09.2", 1024 * 8192, "the read alone"),
    ("09.2", 1024 * 8192 + 1024**2, "6 latent layers"),
    ("09.2", 7 * 8192**2, "a Transformer"),
    ("09.2", 6 * 1024**2, "the read is missing"),
    ("09.2", 7 * 1024 * 8192, "compare latents with latents"),
    ("09.2", 8192**2 + 6 * 1024**2, "compares latents with inputs"),
    ("09.3", "A", "cannot go below"),
    ("09.3", "C", "not too high"),
    ("09.3", "D", "have no rule"),
    ("09.4", 7 / 16 * math.log(256), "mirrors event 31"),
    ("09.4", 5.545, "one random symbol"),
    ("09.4", 33.27, "that is the sum"),
    ("09.4", 3.0, "in bits"),
    ("09.4", 1.3, "over all cuts"),
    ("09.4", 3.466, "other way round"),
    ("09.4", 0, "random symbols"),
    ("09.5", mask_upper_left, "upper left"),
    ("09.5", mask_strict, "its own place too"),
    ("09.5", mask_that_leaks, "this leaks"),
    ("09.5", mask_of_what_is_hidden, "True means may read"),
    ("09.5", mask_square, "one row for each latent"),
    ("09.5", lambda num_inputs: 1, "raised TypeError"),
    ("09.5", 3, "expected a function"),
    ("09.6", leaks_of_nowhere, "not judged"),
    ("09.6", leaks_with_its_own, "its own place"),
    ("09.6", leaks_everywhere, "is not 0"),
    ("09.6", leaks_before, "behind the place"),
    ("09.6", lambda sizes, places: leaks_by_loop(sizes, np.where(places < 0, -1, np.arange(len(places)))), "row 0"),
    ("09.6", lambda sizes, places: sizes[0], "shape"),
]


class TestAnswers(Answers):
    number = "09"
    right = RIGHT
    wrong = WRONG
