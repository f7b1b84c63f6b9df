"""Point clouds: sets of points on the surface of one of ten shapes. Synthetic: `surfaces` says which.

The shape is turned at random, stretched a little along each axis and seen by a sensor that is a little off: what is
left to tell it by is how the points lie to each other. A cloud is a set, so that its order means nothing.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64

from perceiver_lab.datasets.surfaces import SURFACES, spread

Record = dict[str, Any]
Transform = Callable[[Record, np.random.Generator], Record]

SHAPES = tuple(SURFACES)
POINTS = 1024
GRAIN = 4096  # coordinates are whole multiples of 1 / GRAIN in [-1, 1], so that a last bit makes no other record
CELLS = 64  # along each side of the cube, a power of two: as finely as a curve tells points apart
_STRETCH, _NOISE = 0.2, 0.015


def cloud(label: int, rng: np.random.Generator) -> Float32[np.ndarray, "1024 3"]:
    """The points of one record, in random order.

    Stretched by 0.8 to 1.2 along each axis, turned at random, each point moved by a normal distribution with a standard
    deviation of 0.015, and fitted into the unit cube.

    Args:
      label: number of the shape in `SHAPES`.
      rng: the only source of chance. Give each example its own: `np.random.default_rng([seed, stream, index])`.

    Raises:
      ValueError: there is no such shape.
    """
    if not 0 <= label < len(SHAPES):
        raise ValueError(f"label={label}: there are {len(SHAPES)} shapes, from 0, {SHAPES[0]}, to {SHAPES[-1]}.")
    points = spread(SURFACES[SHAPES[label]](rng), POINTS, rng)
    points = unit_cube(points * rng.uniform(1 - _STRETCH, 1 + _STRETCH, 3)) @ rotation(rng).T
    points = unit_cube(points + _NOISE * rng.normal(size=points.shape))
    return (np.round(points * GRAIN) / GRAIN).astype(np.float32)


def unit_cube(points: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, "m 3"]:
    """Move the mean of the points to 0, and scale the largest coordinate to 1.

    Raises:
      ValueError: points that are all in one place or no numbers; no cube is around them.
    """
    centred = points - points.mean(axis=0)
    largest = np.abs(centred).max()
    if not 0 < largest < np.inf:
        raise ValueError(
            f"These {len(points)} points lie all in one place, or some of their coordinates are no numbers: they "
            "cannot be fitted into a cube."
        )
    return centred / largest


def rotation(rng: np.random.Generator) -> Float64[np.ndarray, "3 3"]:
    """A turn in space, all equally likely: that of a random unit quaternion."""
    w, x, y, z = (one := rng.normal(size=4)) / np.sqrt((one**2).sum())
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def turn_points(record: Record, rng: np.random.Generator) -> Record:
    """Turn "points" at random, and fit them into the unit cube again."""
    points = unit_cube(record["points"] @ rotation(rng).astype(np.float32).T)
    return {**record, "points": points.astype(np.float32)}


def sample_points(count: int) -> Transform:
    """Keep `count` of "points", drawn at random, each at most once, in random order.

    Raises:
      ValueError: no whole number of points; from the transform, a cloud with fewer.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"sample_points({count!r}): expected a whole number of points, at least 1.")

    def sample(record, rng):
        points = record["points"]
        if len(points) < count:
            raise ValueError(
                f"This cloud has {len(points)} points, fewer than the {count} that are asked for. Ask for fewer."
            )
        return {**record, "points": points[rng.permutation(len(points))[:count]]}

    return sample


def along_curve(record: Record, rng: np.random.Generator | None = None) -> Record:
    """Put "points" in the order in which a curve meets them that fills the cube: Morton's, cell by cell of 64 a side.

    Points that follow each other lie near each other, mostly; it turns one cloud into the same row whatever its order,
    but for points in one cell.

    Raises:
      ValueError: coordinates outside [-1, 1].
    """
    points = record["points"]
    if np.abs(points).max() > 1:
        raise ValueError(
            f"along_curve was given coordinates up to {np.abs(points).max():.3g}; fit them into [-1, 1] by `unit_cube`."
        )
    cells = np.minimum(((points + 1) * (CELLS / 2)).astype(np.int64), CELLS - 1)
    bits = (cells[..., None] >> np.arange(CELLS.bit_length() - 1)) & 1  # (points, axes, bits)
    places = 3 * np.arange(bits.shape[-1]) + np.arange(3)[:, None]
    return {**record, "points": points[np.argsort((bits << places).sum(axis=(1, 2)), kind="stable")]}
