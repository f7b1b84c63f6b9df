"""What ships fits the recipes as they stand, and still gives the logits it was shipped with."""

import pytest

from perceiver_lab import recipes

SHIPPED = [name for name in recipes.names() if recipes.shipped_path(name).exists()]
COMPARED = [name for name in recipes.names() if recipes.result_path(name).exists()]


def test_something_ships():
    assert "digits_perceiver" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_the_logits_are_those_that_were_shipped(name):
    recipes.check_shipped(recipes.get(name))


@pytest.mark.parametrize("name", SHIPPED + COMPARED)
def test_the_story_is_complete(name):
    recipe = recipes.get(name)
    about = recipes.shipped_story(recipe)
    assert {"metrics", "seeds", "steps", "minutes", "device", "history"} <= about.keys()
    assert ("sha256" in about) == (name in SHIPPED)
    assert all({"minutes", "device", recipe.headline} <= one.keys() for one in about["seeds"].values())
    assert about["numerics"] == recipe.numerics
    # All that a small source holds: 297 digits, 100 takes of spoken ones, 39 chorales of a thousand tokens each, 17
    # runs of 8,192 bytes of plays, or 136 stretches of 1,024.
    few = {"spoken_digits": 100, "one_sense": 100, "chorales": 39, "shakespeare/events": 17, "shakespeare/long": 136}
    assert about["metrics"]["total"] >= few.get(recipe.data.name, 297)
    assert set(about["seeds"]) == {str(seed) for seed in recipe.budget("full").seeds}


def test_no_orphans():
    """Every file belongs to a recipe, and none ships twice."""
    assert not set(SHIPPED) & set(COMPARED)
    assert {path.stem for path in recipes.result_path("copy_ar").parent.iterdir()} == set(COMPARED)
    folder = recipes.shipped_path("digits_perceiver").parent
    stems = {path.stem for path in folder.iterdir() if path.suffix in (".safetensors", ".json")}
    assert stems <= set(recipes.names())
    total = sum(path.stat().st_size for path in folder.iterdir())
    assert total <= 25 * 2**20
