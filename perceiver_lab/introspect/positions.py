"""What a table of learned positions knows of the grid that it was never told (after 2202.10890)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float, Int


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """How many of the nearest rows of a table lie next to each other on a grid.

    Attributes:
      precision: of each row (M,): with k neighbours above, below, left and right of its cell (4, at the border 3 or 2),
        the share of its k nearest rows that are those.
      chance: what rows in any order give on average.
    """

    precision: Float[np.ndarray, " m"]
    chance: float

    @property
    def value(self) -> float:
        """The mean over all rows."""
        return float(self.precision.mean())


def grid_neighbours(
    table: Float[Array, "m e"] | Float[np.ndarray, "m e"],
    grid: tuple[int, int],
    cells: Int[np.ndarray, " m"] | None = None,
) -> Neighbours:
    """Compare the nearest rows of a table, by Euclidean distance, with the neighbours on a grid.

    Args:
      table: a learned vector for every element.
      grid: rows and columns.
      cells: the cell of each row of the table, counted row by row; by default they are in order. Of pixels that were
        shuffled by `datasets.permute_pixels(permutation)`, the permutation.

    Raises:
      ValueError: a grid of fewer than three cells or of another number than the table has rows, or cells that are no
        permutation.
    """
    table = np.asarray(table, np.float64)
    size = grid[0] * grid[1]
    cells = np.arange(size) if cells is None else np.asarray(cells)
    if size < 3 or len(table) != size or not np.array_equal(np.sort(cells), np.arange(size)):
        raise ValueError(
            f"A table of {len(table)} rows is compared with a grid of {grid[0]} x {grid[1]} cells, of which cells "
            f"(shape {cells.shape}) must name each once. Grids have at least three cells."
        )
    rows, columns = np.divmod(cells, grid[1])
    steps = np.abs(rows[:, None] - rows) + np.abs(columns[:, None] - columns)
    adjacent = steps == 1
    counts = adjacent.sum(axis=1)
    squares = (table**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * table @ table.T
    np.fill_diagonal(distances, np.inf)
    # Of rows at the same distance, such as those of a table of zeros, none comes first for its number.
    order = np.lexsort((np.random.default_rng(0).random(distances.shape), distances), axis=1)
    nearest = np.arange(size) < counts[:, None]
    hits = (np.take_along_axis(adjacent, order, axis=1) & nearest).sum(axis=1)
    return Neighbours(precision=hits / counts, chance=float((counts / (size - 1)).mean()))
