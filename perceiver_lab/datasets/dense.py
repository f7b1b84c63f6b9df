"""Transforms of records that say something about every pixel: what is at each of them, which of them are asked for."""

from collections.abc import Callable
from typing import Any

import numpy as np

Record = dict[str, Any]


def turn_and_mirror(record: Record, rng: np.random.Generator) -> Record:
    """Turn "image" by a random number of right angles and mirror it or not, and "kinds" with it: eight equal chances.

    Raises:
      ValueError: an image that is not square: turned, it would have another shape.
    """
    image = record["image"]
    if image.ndim != 3 or image.shape[0] != image.shape[1]:
        raise ValueError(
            f"turn_and_mirror was given an image of shape {image.shape}; expected height x width x channels with equal "
            "sides. Crop it first."
        )
    quarter, mirror = int(rng.integers(4)), bool(rng.integers(2))
    turned = {}
    for key in ("image", "kinds"):
        if key in record:
            array = np.rot90(record[key], quarter)
            turned[key] = np.ascontiguousarray(array[:, ::-1] if mirror else array)
    return {**record, **turned}


def sample_cells(count: int) -> Callable[[Record, np.random.Generator], Record]:
    """Choose `count` pixels of the image that are asked for, without replacement: "cells" (count,) int32, row-major.

    Unlike `sample_pixels`, which leaves the others out of what is read, it changes nothing else.
    """
    if not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 1:
        raise ValueError(f"sample_cells({count!r}): expected a whole number of pixels, at least 1.")

    def sample(record, rng):
        height, width = record["image"].shape[:2]
        if count > height * width:
            raise ValueError(
                f"sample_cells({count}) was given an image of {height} x {width} = {height * width} pixels. Ask for at "
                "most as many as there are."
            )
        chosen = rng.choice(height * width, count, replace=False, shuffle=False)
        return {**record, "cells": chosen.astype(np.int32)}

    return sample
