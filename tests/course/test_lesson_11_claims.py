"""Lesson 11: what its text claims of the data and of the shipped weights."""

import numpy as np
import pytest

from perceiver_lab import recipes
from perceiver_lab.datasets import arrays, in_a_row, permute_pixels, smooth_cells, standardise
from perceiver_lab.introspect import grid_neighbours
from perceiver_lab.recipes.unshuffle_measure import PERMUTATION, SIDE

GRID = (SIDE, SIDE)


def shipped(name):
    """The learned positions of a recipe's shipped model, and what is known of it."""
    model, about = recipes.load_shipped(recipes.get(name))
    return np.asarray(model.queries()["image"]), about


def test_the_data_know_their_neighbours():
    rows = []
    for image in arrays("photo_windows", "test")["image"]:
        record = {"image": image}
        for change in (smooth_cells, standardise, permute_pixels(PERMUTATION), in_a_row):
            record = change(record)
        rows.append(record["image"].mean(axis=-1))
    found = grid_neighbours(np.corrcoef(np.stack(rows).T), GRID, PERMUTATION)
    assert found.value > 0.9 and found.chance == pytest.approx(0.036, abs=5e-4)
