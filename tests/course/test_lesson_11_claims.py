"""Lesson 11: what its text claims of the data and of the shipped weights."""

import json
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import arrays, in_a_row, permute_pixels, smooth_cells, standardise
from perceiver_lab.introspect import flatten, grid_neighbours, lay_out, square_up, turn_cells, upright
from perceiver_lab.recipes.hip_scenes_measure import colour_masks, judge_kinds
from perceiver_lab.recipes.scenes_measure import scene_iou
from perceiver_lab.recipes.unshuffle_measure import PERMUTATION, SIDE

GRID = (SIDE, SIDE)


def shipped(name):
    """The learned positions of a recipe's shipped model, and what is known of it."""
    model, about = recipes.load_shipped(recipes.get(name))
    return np.asarray(model.queries()["image"]), about


def test_the_data_know_nine_in_ten_neighbours():
    rows = []
    for image in arrays("photo_windows", "test")["image"]:
        record = {"image": image}
        for change in (smooth_cells, standardise, permute_pixels(PERMUTATION), in_a_row):
            record = change(record)
        rows.append(record["image"].mean(axis=-1))
    found = grid_neighbours(np.corrcoef(np.stack(rows).T), GRID, PERMUTATION)
    assert found.value == pytest.approx(0.9, abs=0.03) and found.chance == pytest.approx(0.036, abs=5e-4)


def test_three_in_ten_after_fifty_seconds_and_four_in_the_end():
    table, about = shipped("unshuffle_hip")
    assert grid_neighbours(table, GRID, PERMUTATION).value == pytest.approx(0.4, abs=0.05)
    ends = [one["neighbour_precision"] for one in about["seeds"].values()]
    assert ends == pytest.approx([0.41, 0.51, 0.47], abs=0.005)
    known = {one["step"]: one["test_neighbour_precision"] for one in about["history"] if "test_loss" in one}
    seconds = {one["step"]: one["seconds"] for one in about["history"] if "seconds" in one}
    assert known[1500] > 0.3 and max(value for step, value in seconds.items() if step <= 1500) < 55


def test_most_cells_find_their_places_in_one_of_eight_ways():
    table, _ = shipped("unshuffle_hip")
    cells = lay_out(square_up(flatten(table), GRID), GRID)
    found, best = upright(cells, PERMUTATION, SIDE)
    assert (found == PERMUTATION).mean() > 0.75
    others = [(turns, mirror) for turns in range(4) for mirror in (False, True) if (turns, mirror) != best]
    assert max((turn_cells(cells, SIDE, turns=t, mirror=m) == PERMUTATION).mean() for t, m in others) < 0.2


def test_noise_leaves_a_heap_and_the_loss_at_the_variance():
    table, about = shipped("unshuffle_noise")
    assert grid_neighbours(table, GRID, PERMUTATION).value < 0.08
    assert about["metrics"]["hidden_error"] == pytest.approx(1, abs=0.03)
    losses = [one["loss"] for one in about["history"] if "loss" in one]
    assert np.mean(losses[-10:]) == pytest.approx(1, abs=0.03)


def test_masks_beside_a_threshold_and_the_models_of_lesson_06():
    """The shipped figures, and the baseline on the same 1,000 scenes."""
    found = {
        name: json.loads(recipes.shipped_path(name).with_suffix(".json").read_text("utf-8"))["metrics"]
        for name in ("hip_scenes", "scenes_kind", "scenes_perceiver_io")
    }
    scenes = arrays("scenes", "test")
    by_threshold = colour_masks(scenes["image"], 90.0)
    by_colour = judge_kinds(by_threshold.astype(np.uint8), scenes["kinds"])
    model = recipes.load_shipped(recipes.get("hip_scenes"))[0]
    name_pixels = nnx.jit(lambda model, image: model(image).argmax(axis=-1))
    parts = np.split(scenes["image"].astype(np.float32) / 127.5 - 1, 20)
    kinds = np.concatenate([np.asarray(name_pixels(model, jnp.asarray(part))) for part in parts])
    hip, colour = (scene_iou(masks > 0, scenes["kinds"] > 0) for masks in (kinds, by_threshold))
    assert (colour > hip).mean() == pytest.approx(2 / 3, abs=0.03)
    assert (colour < 0.5).mean() == pytest.approx(0.14, abs=0.005) and hip.min() > 0.5
    assert found["hip_scenes"]["total"] == 1000
    ours, alone, longer = (found[name] for name in ("hip_scenes", "scenes_kind", "scenes_perceiver_io"))
    assert ours["mask_iou"] == pytest.approx(0.87, abs=0.005) and ours["kind_iou"] == pytest.approx(0.22, abs=0.005)
    assert ours["pixel_accuracy"] == pytest.approx(0.92, abs=0.005)
    assert ours["background"] == pytest.approx(0.88, abs=0.005)
    story = recipes.shipped_story(recipes.get("hip_scenes"))
    (early,) = (one["test_mask_iou"] for one in story["history"] if one["step"] == 2500 and "test_mask_iou" in one)
    assert story["steps"] == 8000 and early == pytest.approx(0.80, abs=0.005)
    assert early < by_colour["mask_iou"] < ours["mask_iou"]
    unet = recipes.shipped_story(recipes.get("unet_scenes"))
    assert unet["metrics"]["mask_iou"] == pytest.approx(0.96, abs=0.005)
    assert unet["metrics"]["kind_iou"] == pytest.approx(0.16, abs=0.005)
    assert alone["mask_iou"] == pytest.approx(0.73, abs=0.005) and alone["kind_iou"] == pytest.approx(0.19, abs=0.005)
    assert longer["mask_iou"] == pytest.approx(0.90, abs=0.005) and longer["kind_iou"] == pytest.approx(0.89, abs=0.005)
    assert by_colour["mask_iou"] == pytest.approx(0.83, abs=0.005)


def test_a_million_pixels_on_a_laptop():
    """The stored result of benchmarks/hip.py."""
    found = json.loads((pathlib.Path(__file__).parents[2] / "benchmarks" / "results" / "hip.json").read_text("utf-8"))
    assert found["inputs"] == 1024 * 1024 and found["gibibytes"] == pytest.approx(4.6, abs=0.06)
    assert found["seconds"] == pytest.approx(4, abs=0.5)
    one, other = (found["beside"][name] for name in ("hip_256", "hip_flat_50m"))
    assert other["step_temporary_gibibytes"] == pytest.approx(41, abs=0.5)
    assert other["forward_seconds"] == pytest.approx(66, abs=0.5)
    assert one["forward_seconds"] == pytest.approx(1, abs=0.5)
    flops = {name: one["flops"] for name, one in found["step"].items()}
    assert flops["hip_flat_50m"] / flops["hip_256"] == pytest.approx(141, abs=0.5)
