"""Recipes as values: names, fingerprints, settings, batches."""

import dataclasses
import functools

import numpy as np
import pytest

from perceiver_lab import recipes
from perceiver_lab.recipes import Budget, fingerprints, overrides, registry
from perceiver_lab.training import classification_loss


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_is_sound(name):
    """Builds without allocating, has a fingerprint for every mode, and is what its name says."""
    recipe = recipes.get(name)
    assert recipe.name == name
    assert recipe.summary
    assert recipe.num_parameters() > 0
    assert len({recipe.fingerprint(mode) for mode in recipe.budgets}) >= 2
    assert recipe.fingerprint("full") == recipe.fingerprint("full")
    assert recipe.budget("ci").steps <= recipe.budget("lab").steps <= recipe.budget("full").steps


def test_names_are_sorted_and_files_found():
    assert list(recipes.names()) == sorted(recipes.names())
    assert "digits_perceiver" in recipes.names()
    assert registry.get("digits_perceiver") is recipes.get("digits_perceiver")


def test_an_unknown_name():
    with pytest.raises(
        ValueError, match=r"no recipe 'digits_percever'. Did you mean 'digits_perceiver'.*The recipes are"
    ):
        recipes.get("digits_percever")
    with pytest.raises(ValueError, match=r"no recipe 'zzz'. The recipes are"):
        recipes.get("zzz")


def test_an_unknown_mode(tiny):
    with pytest.raises(ValueError, match="There is no mode 'fast'; expected one of ci, lab, full"):
        tiny.budget("fast")
    with pytest.raises(ValueError, match="has budgets for"):
        dataclasses.replace(tiny, budgets={"ci": tiny.budget("ci")})
    with pytest.raises(ValueError, match="A budget needs steps"):
        Budget(steps=0, batch_size=1)


def test_what_a_fingerprint_depends_on(tiny, monkeypatch):
    first = tiny.fingerprint("full")
    different = [
        tiny.override({"model.width": 9}),
        tiny.override({"options.depth": 2}),
        tiny.override({"optimizer.learning_rate": 0.1}),
        tiny.override({"budgets.full.steps": 50}),
        tiny.override({"numerics": 2}),
        dataclasses.replace(tiny, loss=classification_loss(0.1)),
        dataclasses.replace(tiny, data=dataclasses.replace(tiny.data, train_transforms=())),
    ]
    assert len({first, *(one.fingerprint("full") for one in different)}) == len(different) + 1
    same = [
        tiny.override({"budgets.lab.steps": 7}),
        tiny.override({"budgets.full.checkpoint_every": 9, "budgets.full.seeds": (1,)}),
        tiny.override({"data.decode_once": False}),
        dataclasses.replace(tiny, summary="other words"),
    ]
    assert {one.fingerprint("full") for one in same} == {first}
    from perceiver_lab.recipes import base

    monkeypatch.setattr(base, "data_hash", lambda name: "0" * 64)
    assert tiny.fingerprint("full") != first


def test_describing_functions_and_arrays():
    def crop(size):
        return lambda record, rng: size

    assert fingerprints.describe(crop(3)) != fingerprints.describe(crop(4))
    assert fingerprints.describe(functools.partial(int, "3")) != fingerprints.describe(functools.partial(int, "4"))
    assert fingerprints.describe(np.arange(3)) != fingerprints.describe(np.arange(4))
    assert fingerprints.describe(np.arange(3)) == fingerprints.describe(np.arange(3))
    assert "object" not in str(fingerprints.describe(crop(3)))
    with pytest.raises(ValueError, match="has no fingerprint"):
        fingerprints.describe(object())


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("model.width", "16", 16),
        ("model.dropout_rate", "0", 0.0),
        ("model.label", "plain words", "plain words"),
        ("optimizer.clip", "none", None),
        ("optimizer.name", "lamb", "lamb"),
        ("data.decode_once", "false", False),
        ("budgets.full.seeds", "(1, 2)", (1, 2)),
        ("options.depth", "3", 3),
    ],
)
def test_settings_by_text(tiny, key, value, found):
    changed = tiny.override({key: value})
    for part in key.split("."):
        changed = changed[part] if isinstance(changed, dict) else getattr(changed, part)
    assert changed == found
    assert type(changed) is type(found)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("model.widht", "3", r"no setting 'model.widht'. Did you mean 'model.width'"),
        ("modle.width", "3", r"no setting 'modle.width'. Did you mean 'model.width'"),
        ("model.width.more", "3", r"no setting 'model.width.more'. It holds nothing to set"),
        ("model", "3", r"'model' is a group of settings; set one of model.width"),
        ("model.width", "wide", r"model.width=wide cannot be read; expected int, such as 8"),
        ("model.width", "1.5", r"model.width=1.5 is of another kind; expected int"),
        ("model.width", "true", r"model.width=True is of another kind"),
        ("optimizer.learning_rate", "-1", r"learning_rate must be above 0, got -1.0"),
    ],
)
def test_bad_settings(tiny, key, value, said):
    with pytest.raises(ValueError, match=said):
        tiny.override({key: value})


def test_settings_from_the_command_line():
    assert overrides.parse(["a.b=1", "c = x=y"]) == {"a.b": "1", "c": "x=y"}
    for wrong in ("a.b", "=3"):
        with pytest.raises(ValueError, match="write it as key=value"):
            overrides.parse([wrong])


def test_batches(tiny):
    batch = next(tiny.train_batches("full", seed=1))
    assert batch["image"].shape == (20, 3, 3, 1)
    assert batch["image"].dtype == np.float32
    np.testing.assert_array_equal(batch["record"], next(tiny.train_batches("full", seed=1))["record"])
    assert (batch["record"] != next(tiny.train_batches("full", seed=2))["record"]).any()
    tested = list(tiny.test_batches("ci"))
    np.testing.assert_array_equal(np.concatenate([one["record"] for one in tested]), np.arange(10))
