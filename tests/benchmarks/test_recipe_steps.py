"""The benchmark of all recipes' steps measures one; here the smallest mode."""

import importlib.util
import pathlib

import pytest

from perceiver_lab import recipes

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "recipe_steps.py"


@pytest.mark.recipe
def test_a_step_is_timed_and_a_training_reckoned():
    spec = importlib.util.spec_from_file_location("recipe_steps", SCRIPT)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    recipe = recipes.get("digits_perceiver")
    found = benchmark.measure(recipe, "ci", seconds=0)
    assert (found["steps"], found["batch_size"]) == (recipe.budget("ci").steps, recipe.budget("ci").batch_size)
    assert found["milliseconds"] > 0
    assert found["minutes"] == pytest.approx(found["milliseconds"] * found["steps"] / 6e4, abs=0.051)
