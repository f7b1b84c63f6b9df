"""From learned positions back to a picture: a flat cloud of points, and a grid cell for every one (after 2202.10890).

    table (M, E) --flatten--> points (M, 2) --lay_out--> cells (M,), each used once

Neither is told where an element lies. The four sides of a square look alike, so what comes out may be turned by quarter
turns and mirrored: eight pictures fit equally well. Only who knows the answer can tell which of them is upright.
"""

import numpy as np
from jaxtyping import Array, Float, Int

ANGLES = 24  # tried within a quarter turn
Table = Float[Array, "m e"] | Float[np.ndarray, "m e"]


def flatten(table: Table, like: Float[np.ndarray, "m 2"] | None = None) -> Float[np.ndarray, "m 2"]:
    """The two directions in which a table's rows differ most: centred, of mean square 1 per direction, float64.

    Args:
      table: a learned vector for every element.
      like: points (M, 2) that these are turned and mirrored towards, such as those of a later step of training.

    Raises:
      ValueError: fewer than three rows or two columns.
    """
    table = np.asarray(table, np.float64)
    if len(table) < 3 or table.shape[1] < 2:
        raise ValueError(f"A table of {table.shape} has no two directions to choose; give at least (3, 2).")
    left, sizes, _ = np.linalg.svd(table - table.mean(axis=0), full_matrices=False)
    points = left[:, :2] * sizes[:2]
    points /= max(float(np.sqrt(np.mean(points**2))), 1e-12)
    if like is None:
        return points
    first, _, second = np.linalg.svd(points.T @ like)
    return points @ (first @ second)


def lay_out(points: Float[np.ndarray, "m 2"], grid: tuple[int, int]) -> Int[np.ndarray, " m"]:
    """A grid cell for every point, so that the sum of squared distances is smallest (Hungarian method).

    Args:
      points: from `flatten`.
      grid: rows and columns.

    Returns:
      Cells, counted row by row; each occurs once.

    Raises:
      ValueError: another number of cells than points.
    """
    return _assign(points, _corners(points, grid))[0]


def square_up(points: Float[np.ndarray, "m 2"], grid: tuple[int, int]) -> Float[np.ndarray, "m 2"]:
    """Points turned within a quarter turn so that they lie best on a grid: a square may stand on its corner."""
    target = _corners(points, grid)
    turned = [_turn(points, angle) for angle in np.linspace(-np.pi / 4, np.pi / 4, ANGLES, endpoint=False)]
    return min(turned, key=lambda one: _assign(one, target)[1])


def turn_cells(cells: Int[np.ndarray, " m"], side: int, *, turns: int, mirror: bool) -> Int[np.ndarray, " m"]:
    """Cells of a square grid after it is mirrored left to right, if so, and then turned by quarters to the left."""
    numbers = np.arange(side * side).reshape(side, side)
    moved = np.rot90(numbers[:, ::-1] if mirror else numbers, turns).ravel()  # moved[new cell] = old cell
    return np.argsort(moved)[cells]


def upright(
    cells: Int[np.ndarray, " m"], truth: Int[np.ndarray, " m"], side: int
) -> tuple[Int[np.ndarray, " m"], tuple[int, bool]]:
    """Of the eight ways to hold a square, the one that brings the cells nearest to where they belong.

    Args:
      cells: found for each element.
      truth: the cell of each element: what no model was told.
      side: of the grid.

    Returns:
      The cells as they then lie, and (quarter turns, mirrored).
    """
    ways = [(turns, mirror) for mirror in (False, True) for turns in range(4)]
    held = {way: turn_cells(cells, side, turns=way[0], mirror=way[1]) for way in ways}

    def distance(way):
        return sum(((a - b) ** 2).sum() for a, b in zip(divmod(held[way], side), divmod(truth, side), strict=True))

    best = min(ways, key=distance)
    return held[best], best


def _corners(points, grid):
    """The grid's cells as points, centred and as wide as the points are."""
    if len(points) != grid[0] * grid[1]:
        raise ValueError(f"{len(points)} points cannot take the {grid[0]} x {grid[1]} cells of a grid, one each.")
    cells = np.stack(np.divmod(np.arange(len(points)), grid[1]), axis=-1).astype(np.float64)
    cells -= cells.mean(axis=0)
    return cells * np.sqrt(np.mean((points - points.mean(axis=0)) ** 2) / np.mean(cells**2))


def _assign(points, target):
    from scipy.optimize import linear_sum_assignment  # a fifth of a second that only this needs

    costs = ((points[:, None] - target) ** 2).sum(axis=-1)
    rows, cells = linear_sum_assignment(costs)
    return cells, float(costs[rows, cells].sum())


def _turn(points, angle):
    cosine, sine = np.cos(angle), np.sin(angle)
    return points @ np.array([[cosine, sine], [-sine, cosine]])
