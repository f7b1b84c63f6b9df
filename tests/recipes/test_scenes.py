"""The questions about scenes: their losses, what is measured at pixels and between them, and the recipes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import scenes
from perceiver_lab.recipes import scenes_measure as measure
from perceiver_lab.recipes import scenes_tasks as tasks

RNG = np.random.default_rng(0)
SCENE_RECIPES = [name for name in recipes.names() if name.startswith("scenes_")]


def made_up(count=6):
    """Flat scenes with a square of another colour, at both sizes."""
    small, fine = {}, {}
    for target, factor in ((small, 1), (fine, scenes.FINE)):
        side = scenes.SIDE * factor
        image, kinds = np.full((count, side, side, 3), 60, np.uint8), np.zeros((count, side, side), np.uint8)
        for index in range(count):
            part = slice((10 + index) * factor, (25 + index) * factor)
            image[index, part, part], kinds[index, part, part] = (200, 90, 10), 2
        target |= {"image": image, "kinds": kinds}
    small |= {"label": np.ones(count, np.int64), "count": np.ones(count, np.int64), "record": np.arange(count)}
    return small, fine


class Oracle(nnx.Module):
    """Answers rightly, but for colours that are off by `off`, since it is told what there is."""

    def __init__(self, batch, off):
        self.image, self.kinds, self.off = jnp.asarray(batch["image"]), jnp.asarray(batch["kinds"]), off

    def __call__(self, image):
        size = len(image)
        return {
            "class": jnp.asarray([[0.0, 5.0, 0.0, 0.0]] * size),
            "count": jnp.asarray([[5.0, 0.0, 0.0]] * (size - 1) + [[0.0, 5.0, 0.0]]),
            "colour": image.reshape(size, -1, 3) + self.off,
            "kind": 9.0 * jax.nn.one_hot(self.kinds.reshape(size, -1), 5),
        }


def batch_of(small):
    return {**small, "image": (small["image"] / 127.5 - 1).astype(np.float32)}


def test_measure_of_an_oracle():
    batch = batch_of(made_up()[0])
    numbers = measure.measure_scenes(Oracle(batch, 0.2), [batch])
    assert numbers["total"] == 6
    assert numbers["class_accuracy"] == 1.0 and numbers["class_accuracy_low"] < 0.7
    assert numbers["count_accuracy"] == pytest.approx(5 / 6)
    assert numbers["colour_psnr"] == pytest.approx(20.0, abs=1e-3)  # 0.2 of a range of 2
    assert numbers["colour_psnr_low"] <= numbers["colour_psnr"] <= numbers["colour_psnr_high"]
    assert numbers["mask_iou"] == 1.0
    assert numbers["colour_loss"] == pytest.approx(0.04, abs=1e-6)
    parts = sum(weight * numbers[f"{task}_loss"] for task, weight in tasks.WEIGHTS.items())
    assert numbers["loss"] == pytest.approx(parts, rel=1e-6)


def test_a_model_with_one_task_is_measured_by_it():
    batch = batch_of(made_up()[0])

    class OnlyCount(Oracle):
        def __call__(self, image):
            return {"count": super().__call__(image)["count"]}

    numbers = measure.measure_scenes(OnlyCount(batch, 0.0), [batch])
    assert set(numbers) == {
        "count_accuracy", "count_accuracy_low", "count_accuracy_high", "count_loss", "loss", "total",
    }  # fmt: skip
    assert numbers["loss"] == tasks.WEIGHTS["count"] * numbers["count_loss"]


def test_iou_and_psnr_by_hand():
    found, truth = np.zeros((2, 4, 4), bool), np.zeros((2, 4, 4), bool)
    truth[:, :2], found[0, :1], found[1] = True, True, True
    np.testing.assert_allclose(measure.scene_iou(found, truth), [0.5, 0.5])
    colours = np.zeros((1, 4, 3))
    assert measure.scene_psnr(colours + 2, colours) == pytest.approx([0.0])
    where = np.array([[True, False, False, False]])
    colours[0, 0] = 0.2
    assert measure.scene_psnr(colours, np.zeros((1, 4, 3)), where) == pytest.approx([20.0])


def test_losses_at_some_cells_are_those_of_the_parts():
    batch = {name: jnp.asarray(value) for name, value in batch_of(made_up(2)[0]).items()}
    outputs = {
        "colour": jnp.asarray(RNG.normal(size=(2, 2304, 3)), jnp.float32),
        "kind": jnp.asarray(RNG.normal(size=(2, 2304, 5)), jnp.float32),
    }
    whole = tasks.task_losses(outputs, batch)
    halves = []
    for cells in np.split(RNG.permutation(2304).astype(np.int32), 2):
        chosen = jnp.asarray(np.stack([cells, cells]))
        halves.append(tasks.task_losses({name: rows[:, cells] for name, rows in outputs.items()}, batch, chosen))
    for name in ("colour", "kind"):
        assert (halves[0][name] + halves[1][name]) / 2 == pytest.approx(float(whole[name]), rel=1e-5)
    colour = np.asarray(outputs["colour"]).reshape(2, 48, 48, 3)
    assert float(whole["colour"]) == pytest.approx(float(((colour - batch["image"]) ** 2).mean()), rel=1e-5)


def test_points_between_pixels_interpolate_exactly_what_is_linear():
    rows, columns = np.meshgrid(np.arange(48.0), np.arange(48.0), indexing="ij")
    ramp = np.stack([rows, 2 * columns - rows, np.ones_like(rows)], axis=-1)[None].astype(np.float32)
    points = measure.fine_points()
    assert points.shape == (188 * 188, 2) and -1 <= points.min() < -0.99 and 0.99 < points.max() <= 1
    pixels = (points.astype(np.float64) + 1) / 2 * 47
    expected = np.stack([pixels[:, 0], 2 * pixels[:, 1] - pixels[:, 0], np.ones(len(points))], axis=-1)
    np.testing.assert_allclose(measure.bilinear(ramp)[0].reshape(-1, 3), expected, atol=1e-4)


def test_fine_points_are_the_centres_of_the_fine_pixels():
    """The average of the fine ramp's pixels in a block is the block's own place."""
    fine = np.repeat(np.arange(192, dtype=np.uint8)[None, :, None], 192, axis=2)
    places = (measure.fine_points()[:, 0].reshape(188, 188) + 1) / 2 * 47
    np.testing.assert_allclose((measure.inside(fine)[0].astype(float) + 0.5) / 4 - 0.5, places, atol=1e-5)


@pytest.fixture(scope="module")
def untrained():
    recipe = recipes.get("scenes_perceiver_io")
    return recipe, recipe.make_model(nnx.Rngs(0))


def test_between_pixels(untrained):
    """The interpolated input is nearly right, an untrained model is not; batches change nothing."""
    small, fine = made_up(3)
    numbers = measure.between_pixels(untrained[1], small, fine, batch_size=3)
    assert numbers["total"] == 3
    assert numbers["psnr_input"] > 25 > numbers["psnr_edge_input"] > 12
    assert numbers["iou_input"] == 1.0  # these squares end where pixels end
    assert numbers["psnr_asked"] < 15
    again = measure.between_pixels(untrained[1], small, fine, batch_size=2)
    assert again == pytest.approx(numbers, rel=1e-4)


def test_the_pixels_themselves_are_points_too(untrained):
    """Asked at the coordinates of the pixels, the model says what it says at its cells."""
    model = untrained[1]
    image = jnp.asarray(batch_of(made_up(2)[0])["image"])
    axis = np.linspace(-1, 1, 48, dtype=np.float32)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(1, -1, 2)
    points = jnp.broadcast_to(jnp.asarray(points), (2, 2304, 2))
    asked = model(image, query_positions={"colour": points, "kind": points})
    plain = model(image)
    assert {name: part.shape for name, part in plain.items()} == {
        "class": (2, 4), "colour": (2, 2304, 3), "count": (2, 3), "kind": (2, 2304, 5),
    }  # fmt: skip
    for name, part in plain.items():
        np.testing.assert_allclose(asked[name], part, atol=1e-4)


@pytest.mark.parametrize("name", SCENE_RECIPES)
def test_the_loss_is_of_the_tasks_that_the_recipe_has(name):
    recipe = recipes.get(name)
    model = recipe.make_model(nnx.Rngs(0))
    asked = recipe.options["tasks"]
    batch = {key: jnp.asarray(value) for key, value in batch_of(made_up(2)[0]).items() if key != "record"}
    cells = jnp.asarray(np.stack([RNG.permutation(2304)[:16] for _ in range(2)]), jnp.int32)
    loss, report = recipe.loss(model, {**batch, "cells": cells}, nnx.Rngs(0))
    assert {f"{task}_loss" for task in asked} <= report.keys()
    weighted = sum(tasks.WEIGHTS[task] * report[f"{task}_loss"] for task in asked)
    assert float(loss) == pytest.approx(float(weighted), rel=1e-6)
    assert recipe.num_parameters() * 4 < 2 * 2**20


def test_recipes_to_compare_differ_only_in_what_they_ask():
    whole = recipes.get("scenes_perceiver_io")
    for name in SCENE_RECIPES:
        recipe = recipes.get(name)
        assert (recipe.model, recipe.optimizer) == (whole.model, whole.optimizer)
        assert {**recipe.options, "tasks": None} == {**whole.options, "tasks": None}
        assert recipe.headline in (
            "class_accuracy", "colour_psnr", "count_accuracy", "mask_iou",
        )  # fmt: skip
