"""Experiments by name: model, data, optimiser and budgets in one place.

`get("digits_perceiver")` gives a `Recipe`; `running.run(recipe, "lab")` trains it; `perceiver-lab train NAME` does the
same from a shell. A new file in this folder with a tuple `RECIPES` is found by itself.
"""

from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.registry import get, names
from perceiver_lab.recipes.running import Run, run
from perceiver_lab.recipes.shipping import load_shipped, ship

__all__ = ["Budget", "Data", "Recipe", "Run", "get", "load_shipped", "names", "run", "ship"]
