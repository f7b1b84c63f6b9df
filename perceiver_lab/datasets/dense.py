"""Transforms of records that say something about every pixel: what is at each of them, which of them are asked for."""

from collections.abc import Callable
from typing import Any

import numpy as np

from perceiver_lab.datasets.transforms import center_crop, check_size

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
    check_size("sample_cells", count)

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


def spread_cells(height: int, width: int) -> Callable[[Record, np.random.Generator], Record]:
    """Choose one pixel of every block of `height` x `width` that is asked for: "cells" int32, block after block.

    As many as `sample_cells(H * W // (height * width))` chooses, and each as likely. But no region is left out: since
    neighbours look alike, the loss at these pixels is nearer to that at all of them.
    """
    for size in (height, width):
        if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
            raise ValueError(f"spread_cells({height!r}, {width!r}): expected whole numbers of pixels, at least 1.")

    def spread(record, rng):
        rows, columns = record["image"].shape[:2]
        if rows % height or columns % width:
            raise ValueError(
                f"spread_cells({height}, {width}) was given an image of {rows} x {columns} pixels, which these blocks "
                "do not fill. Choose divisors of its sides."
            )
        tops, lefts = np.mgrid[0:rows:height, 0:columns:width].reshape(2, -1)
        row = tops + rng.integers(height, size=tops.size)
        column = lefts + rng.integers(width, size=lefts.size)
        return {**record, "cells": (row * columns + column).astype(np.int32)}

    return spread


def pet_kinds(side: int) -> Callable[[Record, np.random.Generator], Record]:
    """What `oxford_iiit_pet` (TFDS) records become: the middle square of the photo, `side` x `side` pixels.

    "kinds" (side, side) uint8 takes the place of "segmentation_mask": 0 = background, 1 = the animal, 2 = its outline.
    The photo is averaged, of the mask the nearest pixel counts. All but "image", "kinds" and "label" is left out.
    """
    check_size("pet_kinds", side)

    def change(record, rng=None):
        from PIL import Image  # here: a closure over a module would have no fingerprint

        image, mask = np.asarray(record["image"]), np.asarray(record["segmentation_mask"])
        if image.shape[:2] != mask.shape[:2] or not set(np.unique(mask)) <= {1, 2, 3}:
            raise ValueError(
                f"pet_kinds was given a photo {image.shape} and a mask {mask.shape} with the levels "
                f"{np.unique(mask).tolist()}; expected the same height and width, and levels 1 (animal), 2 "
                "(background) and 3 (outline), as in TFDS's oxford_iiit_pet."
            )
        extent = min(image.shape[:2])
        image, mask = (center_crop(extent)({"image": array})["image"] for array in (image, mask))
        photo = Image.fromarray(image).resize((side, side), Image.Resampling.BOX)
        nearest = (np.arange(side) * 2 + 1) * extent // (2 * side)
        kinds = _PET_KINDS[mask[..., 0][np.ix_(nearest, nearest)]]
        return {"image": np.asarray(photo), "kinds": kinds, "label": record["label"]}

    return change


_PET_KINDS = np.array([0, 1, 0, 2], np.uint8)  # of the set's levels
