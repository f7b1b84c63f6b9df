"""Lesson 04: its exercises (right answers, mistakes, the empty cell), and what its text claims of shipped weights."""

import functools

import numpy as np
import pytest

from perceiver_lab import recipes
from perceiver_lab.course.exercises.lesson_04 import masked_readout, rows_in_order
from perceiver_lab.datasets import load, pipeline, to_float
from perceiver_lab.explorers import ShuffleDial
from perceiver_lab.introspect import ablate, attention_maps
from perceiver_lab.training import evaluate
from tests.course.answers import Answers


def rows_by_loop(images, positions, order):
    b, h, w, c = images.shape
    result = np.zeros((b, h * w, c + 2))
    for place, number in enumerate(order):
        result[:, place, :c] = images[:, number // w, number % w]
        result[:, place, c:] = positions[number]
    return result


def rows_pixels_only(images, positions, order):
    b, h, w, c = images.shape
    places = np.broadcast_to(positions, (b, h * w, 2))
    return np.concatenate([images.reshape(b, h * w, c)[:, order], places], axis=-1)


def rows_positions_only(images, positions, order):
    b, h, w, c = images.shape
    places = np.broadcast_to(positions[order], (b, h * w, 2))
    return np.concatenate([images.reshape(b, h * w, c), places], axis=-1)


def rows_inverse(images, positions, order):
    return rows_in_order(images, positions, np.argsort(order))


def rows_swapped(images, positions, order):
    rows = rows_in_order(images, positions, order)
    c = images.shape[-1]
    return np.concatenate([rows[..., c:], rows[..., :c]], axis=-1)


def rows_jax(images, positions, order):
    import jax.numpy as jnp

    flat = jnp.reshape(jnp.asarray(images), (len(images), -1, images.shape[-1]))
    places = jnp.broadcast_to(jnp.asarray(positions)[None], (*flat.shape[:2], 2))
    return jnp.concatenate([flat, places], axis=-1)[:, jnp.asarray(order)]


def readout_by_loop(latents, kernel, bias, latent_mask):
    return np.stack([latents[i][latent_mask[i]].mean(axis=0) @ kernel + bias for i in range(len(latents))])


def readout_over_all(latents, kernel, bias, latent_mask):
    return np.where(latent_mask[..., None], latents, 0).mean(axis=1) @ kernel + bias


def readout_sum(latents, kernel, bias, latent_mask):
    return np.where(latent_mask[..., None], latents, 0).sum(axis=1) @ kernel + bias


def readout_unmasked(latents, kernel, bias, latent_mask):
    return latents.mean(axis=1) @ kernel + bias


def readout_without_bias(latents, kernel, bias, latent_mask):
    return masked_readout(latents, kernel, np.zeros_like(bias), latent_mask)


RIGHT = [
    ("04.1", 4),
    ("04.1", 4.0),
    ("04.1", "4"),
    ("04.1", np.array([4])),
    ("04.2", 75884),
    ("04.2", "75,884"),
    ("04.2", np.int64(75884)),
    ("04.3", (4, 1, 32, 50176)),
    ("04.3", [4, 1, 32, 50176]),
    ("04.3", "(4, 1, 32, 50176)"),
    ("04.3", np.array([4, 1, 32, 50176])),
    ("04.4", "B"),
    ("04.4", "b"),
    ("04.4", "(B)"),
    ("04.5", rows_by_loop),
    ("04.5", rows_jax),
    ("04.6", readout_by_loop),
    ("04.6", masked_readout),
]
WRONG = [
    ("04.1", 2, "side doubles"),
    ("04.1", 16, "M * M"),
    ("04.1", 1, "more pixels"),
    ("04.1", 102760448, "asks for the factor"),
    ("04.1", "many", "expected a number"),
    ("04.2", 303536, "by four"),
    ("04.2", 607072, "by eight"),
    ("04.2", 500242, "without sharing"),
    ("04.2", 126316, "third read"),
    ("04.3", (4, 1, 50176, 32), "queries come before inputs"),
    ("04.3", (4, 32, 50176), "axis of the heads"),
    ("04.3", (4, 4, 32, 32), "latent layer"),
    ("04.3", (4, 4, 32, 50176), "four heads"),
    ("04.3", (4, 1, 32, 224, 224), "one list"),
    ("04.3", 7, "expected a shape"),
    ("04.4", "A", "further read"),
    ("04.4", "C", "moves along"),
    ("04.4", "D", "more latents"),
    ("04.4", "E", "expected one of"),
    ("04.5", rows_pixels_only, "positions stay behind"),
    ("04.5", rows_positions_only, "pixels stay behind"),
    ("04.5", rows_inverse, "inverse"),
    ("04.5", rows_swapped, "come first"),
    ("04.5", lambda images, positions, order: rows_in_order(images, positions, np.arange(len(order))), "old order"),
    ("04.5", lambda images, positions, order: images, "shape"),
    ("04.5", lambda images: images, "raised TypeError"),
    ("04.5", 3, "expected a function"),
    ("04.6", readout_over_all, "divide by all"),
    ("04.6", readout_sum, "sum of the latents"),
    ("04.6", readout_unmasked, "still take part"),
    ("04.6", readout_without_bias, "bias"),
    ("04.6", lambda *arrays: 1 / 0, "raised ZeroDivisionError"),
]


class TestAnswers(Answers):
    number = "04"
    right = RIGHT
    wrong = WRONG


@pytest.fixture(scope="module")
def digits():
    model = recipes.load_shipped(recipes.get("digits_perceiver"))[0]
    batch = pipeline("digits", split="test", batch_size=64, transforms=(to_float,), repeat=False, shuffle=False)
    return model, next(batch)


def test_what_the_lesson_says_about_taking_latents_away(digits):
    model, batch = digits
    masks = np.arange(16)[None] >= np.arange(16)[:, None]  # row k: the first k latents are off
    zero, eight = ablate(model, batch["image"][[0, 3]], masks).ablated.argmax(axis=-1).T
    assert batch["label"][[0, 3]].tolist() == [0, 8]
    assert (zero[:12] == 0).all() and zero[-1] != 0
    assert (eight[:8] == 8).all() and eight[-1] != 8


def test_what_the_lesson_says_about_the_two_reads(digits):
    model, batch = digits
    maps = dict(attention_maps(model, batch["image"])[1])

    def likeness(a, b):
        return np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(a.reshape(-1, 64), b.reshape(-1, 64), strict=True)])

    first, second = maps["read 0"][:, 0], maps["read 1"][:, 0]
    assert likeness(first[:-1], first[1:]) > likeness(first[:, :-1], first[:, 1:]) + 0.1
    assert likeness(second[:, :-1], second[:, 1:]) > likeness(second[:-1], second[1:]) + 0.3


def test_what_the_lesson_says_about_the_shuffle_dial():
    models = {name: recipes.load_shipped(recipes.get(f"jittered_{name}"))[0] for name in ("perceiver", "convnet")}
    transforms = recipes.get("jittered_vit").data.test_transforms
    test = load("mnist_small", "test[:40]")
    batch = next(pipeline(test, batch_size=40, transforms=transforms, repeat=False, shuffle=False))

    def predict(name, images, positions):
        known = {"positions": positions} if name == "perceiver" and positions is not None else {}
        return evaluate(models[name], [{"image": images, "label": batch["label"], **known}]).logits

    dial = ShuffleDial(
        batch["image"], batch["label"], {name: functools.partial(predict, name) for name in models}, shown=1
    )

    def right(strength, along):
        return {found["name"]: found["right"] for found in dial.results(strength, along, 0)}

    whole = right(0, True)
    assert right(100, True)["perceiver"] == whole["perceiver"]
    assert right(10, True)["convnet"] >= whole["convnet"] - 4
    assert right(50, True)["convnet"] < 20
    assert right(10, False)["perceiver"] < right(10, False)["convnet"] - 10
