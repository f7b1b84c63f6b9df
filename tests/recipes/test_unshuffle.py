"""Shuffled cells of photos: batches, the measure on positions that are known, what starts where, what was learned."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import mean_cells, random_crop, shipped, smooth_cells
from perceiver_lab.introspect import grid_neighbours
from perceiver_lab.recipes import unshuffle
from perceiver_lab.recipes.unshuffle_measure import NUM_CELLS, PERMUTATION, SIDE
from perceiver_lab.training import make_train_step

GRID = (SIDE, SIDE)
SMALL = {"model.num_latents": (4,), "model.latent_channels": (16,)}


@pytest.fixture
def windows(monkeypatch):
    """Windows of two photos, drawn here instead of the prepared set."""
    photos, rng = shipped.photos()[2:4], np.random.default_rng(7)
    crop, shrink = random_crop(56), mean_cells(14)
    cells = [shrink(crop({"image": photos[number % 2]}, rng))["image"] for number in range(300)]
    found = {"image": np.rint(cells).astype(np.uint8)}
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: found)
    return found["image"]


def test_batches_are_windows_in_one_other_order(windows):
    recipe = recipes.get("unshuffle_hip").override({"budgets.ci.test_part": ""})
    batch = next(recipe.train_batches("ci"))
    assert batch["image"].shape == (8, NUM_CELLS, 3) and batch["image"].dtype == np.float32
    np.testing.assert_allclose(batch["image"].mean(axis=(1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(batch["image"].std(axis=(1, 2)), 1, atol=1e-3)
    tested = next(recipe.test_batches("ci"))
    for row, number in zip(tested["image"][:3], tested["record"][:3], strict=True):
        cells = smooth_cells({"image": windows[number]})["image"].reshape(NUM_CELLS, 3)
        np.testing.assert_allclose(row, ((cells - cells.mean()) / cells.std())[PERMUTATION], atol=1e-3)


def test_neighbours_are_alike_in_photos_and_not_in_noise(windows):
    """What there is to learn from."""
    found = {}
    for name in ("unshuffle_hip", "unshuffle_noise"):
        batches = recipes.get(name).train_batches("lab")
        rows = np.concatenate([next(batches)["image"] for _ in range(8)]).mean(axis=-1)
        found[name] = np.corrcoef(rows.T)
    assert grid_neighbours(found["unshuffle_hip"], GRID, PERMUTATION).value > 0.5
    assert grid_neighbours(found["unshuffle_hip"], GRID).value < 0.1
    assert grid_neighbours(found["unshuffle_noise"], GRID, PERMUTATION).value < 0.1


def test_the_measure_knows_a_grid_from_a_table_of_chance(windows):
    recipe = recipes.get("unshuffle_hip")
    model = recipe.make_model(nnx.Rngs(0))
    table = model.positions["0_image"].table.table
    assert float(table[...].std()) == pytest.approx(1, abs=0.05)
    before = recipe.metrics(model, "ci")
    assert before["total"] == len(windows) and abs(before["neighbour_precision"] - before["chance"]) < 0.04
    assert before["hidden_error"] == pytest.approx(1, abs=0.2)  # it says the mean
    cells = np.stack(np.divmod(np.arange(NUM_CELLS), SIDE), axis=-1)[PERMUTATION]
    table[...] = table[...].at[:, :2].set(100.0 * cells)
    after = recipe.metrics(model, "ci")
    assert after["neighbour_precision"] == after["neighbour_precision_high"] == 1
    assert "neighbour precision 1 (300 records" in recipe.tell(after)


def test_steps_make_the_loss_smaller(windows):
    recipe = recipes.get("unshuffle_hip").override(SMALL)
    step = make_train_step(recipe.make_model(nnx.Rngs(0)), recipe.optimizer.make(40), recipe.loss)
    batches, state, losses = recipe.train_batches("ci"), step.init(), []
    for number in range(40):
        *state, metrics = step(*state, {"image": next(batches)["image"]}, jax.random.key(number))
        losses.append(float(metrics["image_hidden"]))
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:3])


def digits(monkeypatch):
    images, labels = shipped.mnist_digits("test")
    found = {"image": images[:64, ..., None], "label": labels[:64]}
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: found)


def test_digits_are_filled_in_from_learned_or_drawn_positions(monkeypatch):
    """The same start but for the table, which one step leaves as it is where it is frozen."""
    from perceiver_lab.recipes.starting import initial_model

    digits(monkeypatch)
    donor = recipes.load_shipped(recipes.get("unshuffle_hip"))[0]
    learned, drawn, trained = (recipes.get(f"digits_{name}") for name in ("learned", "random", "trained"))
    models = [initial_model(recipe, 0) for recipe in (learned, drawn, trained)]
    tables = [np.asarray(model.queries()["image"]) for model in models]
    np.testing.assert_allclose(tables[0], donor.queries()["image"], atol=1e-6)
    np.testing.assert_array_equal(tables[1], tables[2])
    assert tables[0].std() == pytest.approx(tables[1].std(), rel=0.1)
    assert learned.optimizer == drawn.optimizer and learned.optimizer.frozen == ("positions",)
    assert not hasattr(trained.optimizer, "frozen") and trained.start_from is drawn.start_from is None
    step = make_train_step(models[0], learned.optimizer.make(2), learned.loss)
    batch = {"image": next(learned.train_batches("ci"))["image"]}
    assert batch["image"].shape == (16, NUM_CELLS, 1)
    state = step.init()
    for number in range(2):  # the first has a rate of 0
        *state, metrics = step(*state, batch, jax.random.key(number))
    assert float(metrics["loss"]) == pytest.approx(1, abs=0.2)  # it says the mean
    after = step.merge(*state[:2])
    np.testing.assert_array_equal(np.asarray(after.queries()["image"]), tables[0])
    assert float(np.abs(after.unembeds["0_image"].kernel[...]).max()) > 0


def about(name):
    return json.loads(recipes.shipped_path(name).with_suffix(".json").read_text())


def test_the_grid_was_rebuilt_within_two_minutes():
    """The weights as they ship; a run's minutes are those of two cores."""
    story = about("unshuffle_hip")
    model = recipes.load_shipped(recipes.get("unshuffle_hip"))[0]
    found = grid_neighbours(model.queries()["image"], GRID, PERMUTATION)
    assert found.value > 0.3 and found.chance < 0.05
    assert story["minutes"] <= 2 and story["metrics"]["neighbour_precision"] == pytest.approx(found.value, abs=1e-6)
    seeds = story["seeds"].values()
    assert len(seeds) == 3 and all(one["neighbour_precision_low"] > 0.3 and one["minutes"] <= 2 for one in seeds)


def test_learned_positions_help_with_digits():
    """Three seeds each: the worst with learned positions is better than the best with others."""
    seeds = {
        name: [one["hidden_error"] for one in about(f"digits_{name}")["seeds"].values()]
        for name in ("learned", "random", "trained")
    }
    assert all(len(found) == 3 for found in seeds.values())
    assert max(seeds["learned"]) < min(seeds["trained"]) and max(seeds["trained"]) < min(seeds["random"])


def test_the_permutation_is_part_of_the_fingerprint():
    recipe = recipes.get("unshuffle_hip")
    other = unshuffle.permute_pixels(PERMUTATION[::-1])
    transforms = tuple(other if "permute" in one.__qualname__ else one for one in recipe.data.train_transforms)
    changed = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, train_transforms=transforms))
    assert recipe.override({}).fingerprint() == recipe.fingerprint() != changed.fingerprint()
