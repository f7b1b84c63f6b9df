"""Lesson 13: what its text claims of the shipped weights, of its own length and of the leak."""

import pathlib
import re

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets.clouds import SHAPES, cloud
from perceiver_lab.introspect import attention_maps
from perceiver_lab.recipes import battle

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "notebooks" / "source" / "13_clinic_and_capstone.py"
TEXT = SOURCE.read_text("utf-8")


@pytest.fixture(scope="module")
def shipped():
    return {name: recipes.load_shipped(recipes.get(f"clouds_{name}")) for name in ("perceiver", "pointnet")}


@pytest.fixture(scope="module")
def fresh():
    """200 clouds that are in no split, and their shapes."""
    labels = np.arange(200) % len(SHAPES)
    return np.stack([cloud(int(label), np.random.default_rng([13, seed])) for seed, label in enumerate(labels)]), labels


def test_the_capstone_has_as_many_lines_as_it_says():
    cells = [re.search(rf"(?ms)^{begin}.*?(?=^# %%)", TEXT)[0] for begin in ("class Points", "held_out = ")]
    lines = [sum(bool(line.strip()) for line in cell.splitlines()) for cell in cells]
    told = re.search(r"training are (\d+) lines, and the score below takes\s(?:# )?(\d+) more", TEXT)
    assert lines == [int(one) for one in told.groups()] and sum(lines) < 40


def test_yours_is_the_recipe_and_a_tenth_of_its_steps():
    recipe = recipes.get("clouds_perceiver")
    assert "steps = budget(ci=6, lab=400)" in TEXT and recipe.budget("full").steps == 4000
    one, other = (recipes.get(f"clouds_{name}").num_parameters() for name in ("perceiver", "pointnet"))
    assert one == pytest.approx(other, rel=0.03)


def test_the_two_are_close(shipped):
    low, high = (
        about["metrics"] for _, about in sorted(shipped.values(), key=lambda one: one[1]["metrics"]["accuracy"])
    )
    assert high["accuracy_low"] < low["accuracy_high"]
    assert (shipped["perceiver"][1]["metrics"]["correct"], shipped["pointnet"][1]["metrics"]["correct"]) == (951, 937)


def test_alike_in_the_score_and_not_alike(shipped, fresh):
    """Few points, or ten that are nowhere, are too much for a maximum, and not for a mean."""
    points, labels = fresh
    astray = points.copy()
    astray[:, :10] = np.random.default_rng(2).uniform(-1, 1, (len(points), 10, 3))
    lottery = np.random.default_rng(0).permuted(np.tile(np.arange(1024), (len(points), 1)), axis=1)
    call = nnx.jit(lambda model, points, mask: model(points, mask=mask).argmax(axis=-1))
    right = {}
    for name, (model, _) in shipped.items():
        for trial, seen, kept in (("256", points, 256), ("64", points, 64), ("astray", astray, 1024)):
            said = np.asarray(call(model, jnp.asarray(seen), jnp.asarray(lottery < kept)))
            right[name, trial] = float((said == labels).mean())
    assert right["pointnet", "256"] >= right["perceiver", "256"] > 0.9
    for trial in ("64", "astray"):
        assert right["perceiver", trial] > right["pointnet", trial] + 0.1, right


def test_where_they_look(shipped, fresh):
    """PointNet's critical points are enough, and lie further apart than those that the Perceiver reads most."""
    some = jnp.asarray(fresh[0][[2, 4, 6, 8]])
    pointnet, perceiver = shipped["pointnet"][0], shipped["perceiver"][0]
    critical = [np.unique(one) for one in np.asarray(pointnet.pool(some)[1])]
    only = jnp.asarray([np.isin(np.arange(1024), kept) for kept in critical])
    np.testing.assert_allclose(pointnet(some, mask=only), pointnet(some), atol=1e-4)
    looked = attention_maps(perceiver, some)[1][0].weights.mean(axis=(1, 2))
    for points, kept, weights in zip(np.asarray(some), critical, looked, strict=True):
        most = np.argsort(weights)[::-1][: len(kept)]
        near = [np.sort(np.linalg.norm(one[:, None] - one[None], axis=-1), axis=1)[:, 1].mean()
                for one in (points[kept], points[most])]  # fmt: skip
        assert near[0] > near[1]


def test_units_of_a_game():
    one, other, alone = (
        recipes.shipped_story(recipes.get(f"battle_{name}"))["metrics"]
        for name in ("perceiver_io", "transformer", "mlp")
    )
    lead = {size: 100 * (other[f"accuracy_{size}"] - one[f"accuracy_{size}"]) for size in (16, 32, 64, 128, 256)}
    assert max(abs(lead[size]) for size in (16, 32, 64)) < 0.4, lead
    assert 0.4 < lead[128] < 0.6 and 0.9 < lead[256] < 1.1, lead
    assert alone["accuracy"] < 0.4
    costs = [battle.cost_of(recipes.get(f"battle_{name}"), 512).flops for name in ("perceiver_io", "transformer")]
    assert round(costs[1] / costs[0], 1) == 5.1


def test_one_set_of_weights_beside_three():
    together = recipes.shipped_story(recipes.get("one_for_all"))["metrics"]
    apart = {
        sense: recipes.shipped_story(recipes.get(f"one_for_{sense}"))["metrics"]
        for sense in ("image", "sound", "bytes")
    }
    lost = {sense: 100 * (one["accuracy"] - together[f"{sense}_accuracy"]) for sense, one in apart.items()}
    assert 1 < lost["image"] < 1.5 and lost["sound"] == pytest.approx(4)
    assert together["sound_accuracy_high"] > apart["sound"]["accuracy_low"] and apart["sound"]["total"] == 100
    for low in (together["bytes_accuracy_low"], apart["bytes"]["accuracy_low"]):
        assert low < 62 / 548  # the speaker who says most
