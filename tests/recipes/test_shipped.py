"""What ships fits the recipes as they stand, and still gives the logits it was shipped with."""

import json

import pytest

from perceiver_lab import recipes

SHIPPED = [name for name in recipes.names() if recipes.shipped_path(name).exists()]


def test_something_ships():
    assert "digits_perceiver" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_the_logits_are_those_that_were_shipped(name):
    recipes.check_shipped(recipes.get(name))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_story_is_complete(name):
    about = json.loads(recipes.shipped_path(name).with_suffix(".json").read_text())
    recipe = recipes.get(name)
    assert {"fingerprint", "metrics", "seeds", "steps", "minutes", "device", "history", "sha256"} <= about.keys()
    assert about["numerics"] == recipe.numerics
    # All that a small source holds: 297 digits, 100 takes of spoken ones, 39 chorales of a thousand tokens each.
    assert about["metrics"]["total"] >= {"spoken_digits": 100, "chorales": 39}.get(recipe.data.name, 297)
    assert set(about["seeds"]) == {str(seed) for seed in recipe.budget("full").seeds}


def test_no_orphans():
    """Every file in data/weights belongs to a recipe."""
    folder = recipes.shipped_path("digits_perceiver").parent
    stems = {path.stem for path in folder.iterdir() if path.suffix in (".safetensors", ".json")}
    assert stems <= set(recipes.names())
    total = sum(path.stat().st_size for path in folder.iterdir())
    assert total <= 25 * 2**20
