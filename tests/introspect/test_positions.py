"""How much of a grid a table of positions knows."""

import numpy as np
import pytest

from perceiver_lab.introspect import grid_neighbours

GRID = (6, 5)
CELLS = np.stack(np.divmod(np.arange(30), 5), axis=-1).astype(np.float32)


def test_a_grid_knows_all_its_neighbours():
    found = grid_neighbours(CELLS, GRID)
    assert found.value == 1 and found.precision.shape == (30,)


def test_turned_mirrored_and_embedded_it_is_the_same_grid():
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    lifted = np.pad(CELLS[:, ::-1], ((0, 0), (0, 6))) @ rotation + rng.normal(size=8)
    assert grid_neighbours(lifted.astype(np.float32), GRID).value == 1


def test_a_shuffled_table_needs_its_permutation():
    permutation = np.random.default_rng(1).permutation(30)
    assert grid_neighbours(CELLS[permutation], GRID, permutation).value == 1
    assert grid_neighbours(CELLS[permutation], GRID).value < 0.5


@pytest.mark.parametrize("grid", [(6, 5), (10, 10)])
def test_random_tables_find_neighbours_by_chance_only(grid):
    size, rng = grid[0] * grid[1], np.random.default_rng(2)
    values = [grid_neighbours(rng.normal(size=(size, 8)), grid) for _ in range(200)]
    chance = values[0].chance
    assert chance == pytest.approx(2 * (2 * size - sum(grid)) / size / (size - 1))
    mean, error = np.mean([one.value for one in values]), np.std([one.value for one in values]) / np.sqrt(200)
    assert abs(mean - chance) < 4 * error


def test_equal_rows_are_no_better_than_chance():
    assert abs(grid_neighbours(np.zeros((100, 4)), (10, 10)).value - 3.6 / 99) < 0.04


def test_noise_costs_precision():
    noise = np.random.default_rng(3).normal(size=CELLS.shape)
    values = [grid_neighbours(CELLS + level * noise, GRID).value for level in (0, 0.3, 1, 10)]
    assert values == sorted(values, reverse=True) and values[-1] < 0.4


@pytest.mark.parametrize(
    ("table", "grid", "cells"),
    [
        (CELLS, (5, 5), None),
        (CELLS, GRID, np.zeros(30, int)),
        (CELLS, GRID, np.arange(29)),
        (CELLS[:2], (1, 2), None),
    ],
    ids=["another grid", "no permutation", "too few cells", "too small"],
)
def test_what_cannot_be_compared_is_named(table, grid, cells):
    with pytest.raises(ValueError, match=f"A table of {len(table)} rows is compared with a grid of {grid[0]} x"):
        grid_neighbours(table, grid, cells)
