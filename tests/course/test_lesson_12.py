"""Lesson 12: its exercises (right answers, mistakes, the empty cell)."""

import numpy as np

from perceiver_lab.course.exercises.lesson_12 import last_image, resample
from tests.course.answers import Answers


def mask_by_loop(markers, num_images):
    found, seen = np.zeros((len(markers), num_images), bool), 0
    for place, marker in enumerate(markers):
        seen += int(marker)
        if seen:
            found[place, seen - 1] = True
    return found


def mask_by_library(markers, num_images):
    import jax.numpy as jnp

    from perceiver_lab.ops.media import image_mask, images_so_far

    return image_mask(images_so_far(jnp.asarray(markers == 1)[None]), num_images)[0]


def resample_by_loop(latents, inputs):
    keys = np.concatenate([inputs, latents])
    rows = []
    for latent in latents:
        weights = np.exp(keys @ latent / np.sqrt(len(latent)))
        rows.append((weights[:, None] * keys).sum(axis=0) / weights.sum())
    return np.stack(rows)


def resample_jax(latents, inputs):
    import jax
    import jax.numpy as jnp

    keys = jnp.concatenate([inputs.at[:].get(), latents])
    return jax.nn.dot_product_attention(latents[:, None], keys[:, None], keys[:, None])[:, 0]


def latents_first(latents, inputs):
    keys = np.concatenate([latents, inputs])
    weights = np.exp(latents @ keys.T / np.sqrt(keys.shape[1]))
    return weights / weights.sum(axis=1, keepdims=True) @ keys


def reads(latents, keys, scale=True, axis=1):
    scores = latents @ keys.T / (np.sqrt(keys.shape[1]) if scale else 1)
    weights = np.exp(scores)
    return weights / weights.sum(axis=axis, keepdims=True) @ keys


RIGHT = [
    ("12.1", (2, 8, 64)),
    ("12.1", "2 x 8 x 64"),
    ("12.1", np.zeros((2, 8, 64))),
    ("12.2", 864),
    ("12.2", "864"),
    ("12.2", 8 * 100 + 64.0),
    ("12.3", "B"),
    ("12.3", "(b)"),
    ("12.4", "C"),
    ("12.4", "c."),
    ("12.5", last_image),
    ("12.5", mask_by_loop),
    ("12.5", mask_by_library),
    ("12.6", resample),
    ("12.6", resample_by_loop),
    ("12.6", resample_jax),
    ("12.6", latents_first),
]
WRONG = [
    ("12.1", (2, 6, 8, 64), "read together"),
    ("12.1", (2, 48, 64), "read together"),
    ("12.1", (2, 96, 64), "as there are latents"),
    ("12.1", (2, 104, 64), "as there are queries"),
    ("12.1", (8, 64), "two clips is missing"),
    ("12.1", (2, 64, 8), "another order"),
    ("12.2", 800, "also reads the latents"),
    ("12.2", 64, "number of queries"),
    ("12.2", 164, "read together"),
    ("12.2", 6400, "pairs"),
    ("12.2", 801, "not only itself"),
    ("12.2", 864 * 64, "one latent has one query"),
    ("12.2", 900, "too large"),
    ("12.3", "A", "what it would let through"),
    ("12.3", "C", "the gate is closed"),
    ("12.3", "D", "stands before it"),
    ("12.3", "E", "expected one of"),
    ("12.4", "A", "stop giving it"),
    ("12.4", "B", "might have been shown"),
    ("12.4", "D", "makes no difference"),
    ("12.5", lambda m, i: np.cumsum(m)[:, None] >= np.arange(1, i + 1), "only the last"),
    ("12.5", lambda m, i: (np.cumsum(m) - m)[:, None] == np.arange(1, i + 1), "counts for itself"),
    ("12.5", lambda m, i: np.maximum(np.cumsum(m), 1)[:, None] == np.arange(1, i + 1), "nothing has been announced"),
    ("12.5", lambda m, i: np.cumsum(m)[:, None] == np.arange(i), "has number 1 here"),
    ("12.5", lambda m, i: last_image(m, i).T, "shape"),
    ("12.5", 3, "expected a function"),
    ("12.6", lambda q, x: reads(q, x), "the latents read themselves"),
    ("12.6", lambda q, x: reads(q, np.concatenate([x, q]), scale=False), "root of d"),
    ("12.6", lambda q, x: reads(q, np.concatenate([x, q]), axis=0), "over the queries"),
    ("12.6", lambda q, x: q + resample(q, x), "not asked for"),
    ("12.6", lambda q, x: x, "shape"),
    ("12.6", lambda *arrays: 1 / 0, "raised ZeroDivisionError"),
]


class TestAnswers(Answers):
    number = "12"
    right = RIGHT
    wrong = WRONG
