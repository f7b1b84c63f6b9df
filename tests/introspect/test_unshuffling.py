"""From positions back to a picture, on grids that are known."""

import numpy as np
import pytest

from perceiver_lab.introspect import flatten, grid_neighbours, lay_out, square_up, turn_cells, upright

SIDE = 6
GRID = (SIDE, SIDE)
TRUTH = np.random.default_rng(0).permutation(SIDE**2)
SHEET = np.stack(np.divmod(TRUTH, SIDE), axis=-1).astype(np.float64)


def lifted(noise=0.05):
    """The grid's coordinates, turned somehow in eight dimensions, with a little noise."""
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    return np.pad(SHEET, ((0, 0), (0, 6))) @ turn + noise * rng.normal(size=(SIDE**2, 8)) + 3


def test_a_sheet_is_put_together_up_to_turns_and_mirrors():
    points = square_up(flatten(lifted()), GRID)
    assert points.mean(axis=0) == pytest.approx(0, abs=1e-9) and np.mean(points**2) == pytest.approx(1, rel=1e-6)
    cells = lay_out(points, GRID)
    found, (turns, mirror) = upright(cells, TRUTH, SIDE)
    np.testing.assert_array_equal(found, TRUTH)
    np.testing.assert_array_equal(turn_cells(cells, SIDE, turns=turns, mirror=mirror), TRUTH)
    worse = [turn_cells(cells, SIDE, turns=t, mirror=m) for t in range(4) for m in (False, True)]
    assert sum(bool((one == TRUTH).all()) for one in worse) == 1


def test_a_square_that_stands_on_its_corner_is_turned():
    centred = SHEET - SHEET.mean(axis=0)
    for angle in (0.3, np.pi / 4, 1.2):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        found, _ = upright(lay_out(square_up(centred @ turn, GRID), GRID), TRUTH, SIDE)
        np.testing.assert_array_equal(found, TRUTH)


def test_points_are_turned_towards_others():
    points, later = flatten(lifted(0.3)), flatten(lifted())[:, ::-1] * [1, -1]
    near = flatten(lifted(0.3), later)
    assert ((near - later) ** 2).sum() <= ((points - later) ** 2).sum()
    assert np.abs(near - later).max() < 0.5
    distances = [np.linalg.norm(one[:, None] - one, axis=-1) for one in (points, near)]
    np.testing.assert_allclose(*distances, atol=1e-9)


def test_noise_alone_puts_nothing_together():
    table = np.random.default_rng(2).normal(size=(SIDE**2, 8))
    cells = lay_out(square_up(flatten(table), GRID), GRID)
    assert sorted(cells) == list(range(SIDE**2))
    assert (upright(cells, TRUTH, SIDE)[0] == TRUTH).mean() < 0.3
    assert grid_neighbours(table, GRID, TRUTH).value < 0.3


def test_turns_of_cells_are_those_of_pictures():
    picture = np.random.default_rng(3).integers(0, 99, SIDE**2)
    elements = picture[TRUTH]
    for turns in range(4):
        for mirror in (False, True):
            moved = np.zeros(SIDE**2, int)
            moved[turn_cells(TRUTH, SIDE, turns=turns, mirror=mirror)] = elements
            expected = np.rot90(np.fliplr(picture.reshape(GRID)) if mirror else picture.reshape(GRID), turns)
            np.testing.assert_array_equal(moved.reshape(GRID), expected)


def test_what_cannot_be_laid_out():
    with pytest.raises(ValueError, match=r"A table of \(5, 1\) has no two directions"):
        flatten(np.zeros((5, 1)))
    with pytest.raises(ValueError, match="5 points cannot take the 2 x 3 cells"):
        lay_out(np.zeros((5, 2)), (2, 3))
