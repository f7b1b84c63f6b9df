"""Finding recipes by name."""

import difflib
import functools
import importlib
import pkgutil
from pathlib import Path

from perceiver_lab.recipes.base import Recipe


def names() -> tuple[str, ...]:
    """The names of all recipes, sorted."""
    return tuple(sorted(_recipes()))


def get(name: str) -> Recipe:
    """A recipe by name.

    Raises:
      ValueError: no such recipe; near names are suggested.
    """
    recipes = _recipes()
    if name not in recipes:
        near = difflib.get_close_matches(str(name), recipes, n=3)
        said = f"Did you mean {' or '.join(repr(one) for one in near)}? " if near else ""
        raise ValueError(f"There is no recipe {name!r}. {said}The recipes are {', '.join(names())}.")
    return recipes[name]


@functools.cache
def _recipes():
    recipes = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        for recipe in getattr(importlib.import_module(f"perceiver_lab.recipes.{module.name}"), "RECIPES", ()):
            if recipe.name in recipes:
                raise ValueError(f"Two recipes are called {recipe.name!r}; rename the one in {module.name}.py.")
            recipes[recipe.name] = recipe
    return recipes
