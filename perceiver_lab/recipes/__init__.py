"""Experiments by name: model, data, optimiser and budgets in one place.

`get("digits_perceiver")` gives a `Recipe`; `running.run(recipe, "lab")` trains it; `perceiver-lab train NAME` does the
same from a shell. A new file in this folder with a tuple `RECIPES` is found by itself.
"""

from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.overrides import parse as parse_settings
from perceiver_lab.recipes.registry import get, names
from perceiver_lab.recipes.running import Run, load_run, run, run_folder
from perceiver_lab.recipes.shipping import (
    check_shipped,
    load_shipped,
    result_path,
    ship,
    shipped_path,
    shipped_story,
    time_told,
    weights_ship,
)

__all__ = [
    "Budget",
    "Data",
    "Recipe",
    "Run",
    "check_shipped",
    "get",
    "load_run",
    "load_shipped",
    "names",
    "parse_settings",
    "result_path",
    "run",
    "run_folder",
    "ship",
    "shipped_path",
    "shipped_story",
    "time_told",
    "weights_ship",
]
