"""Crops, mirror, resizing and normalising of photos: what the released ImageNet models were trained and tested with.

In training a record goes through `random_area_crop`, `random_mirror`, `randaugment` (of its own file), `resize_cubic`
and `normalise`, in the test through `evaluation_crop`, `resize_cubic` and `normalise` (training code released with
2107.14795). A record has "image", a photo (height, width, 3) uint8; photos may differ in size until they are resized.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from perceiver_lab.datasets.transforms import check_size

Record = dict[str, Any]

MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255  # of ImageNet's red, green and blue, in levels of 0 to 255
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32) * 255

SMALLEST_AREA = 0.08  # what crops are drawn from, as a share of the photo
SMALLEST_KEPT = 0.1  # and what they must have to be kept
ASPECTS = (3 / 4, 4 / 3)  # width by height
ATTEMPTS = 10
MIDDLE = 224 / (224 + 32)  # the side of the test's crop, as a share of the photo's shorter side


def random_area_crop(record: Record, rng: np.random.Generator) -> Record:
    """Cut a rectangle of random area, shape and place out of "image".

    Width by height is uniform from 3/4 to 4/3, then the height uniform among the whole numbers for which the crop has
    at least 0.08 of the photo's area and fits into it. A crop of less than a tenth of the area is drawn again, as the
    release does without saying so. After ten attempts, which only panoramas and stripes need, it is `evaluation_crop`.

    Raises:
      ValueError: an image that is no photo, or one of less than 2 pixels a side.
    """
    image = photo_of(record, "random_area_crop")
    height, width = image.shape[:2]
    for _ in range(ATTEMPTS):
        aspect = rng.uniform(*ASPECTS)
        lowest = round(math.sqrt(SMALLEST_AREA * height * width / aspect))
        highest = min(height, int(width / aspect))
        if lowest > highest:
            continue
        rows = int(rng.integers(lowest, highest + 1))
        columns = round(rows * aspect)
        if rows * columns < SMALLEST_KEPT * height * width:
            continue
        top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        return {**record, "image": image[top : top + rows, left : left + columns]}
    return evaluation_crop(record)


def evaluation_crop(record: Record, rng: np.random.Generator | None = None) -> Record:
    """Cut the middle square out of "image", 224/256 of its shorter side (half a pixel down and right where uneven).

    Raises:
      ValueError: an image that is no photo, or one of less than 2 pixels a side.
    """
    image = photo_of(record, "evaluation_crop")
    height, width = image.shape[:2]
    side = int(MIDDLE * min(height, width))
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    return {**record, "image": image[top : top + side, left : left + side]}


def random_mirror(record: Record, rng: np.random.Generator) -> Record:
    """Mirror "image" left to right, or not, each equally likely."""
    image = photo_of(record, "random_mirror")
    return {**record, "image": np.ascontiguousarray(image[:, ::-1])} if rng.integers(2) else record


def resize_cubic(size: int) -> Callable[[Record, np.random.Generator | None], Record]:
    """Resize "image" to `size` x `size` pixels by cubic convolution: float32, in the image's own units.

    Each new pixel is a mean of 4 x 4 old ones, weighted by Keys' cubic (1981) with a = -1/2; those beyond the edge are
    left out. As in the release, values overshoot 0 and 255 beside sharp edges and stay so, and an image that shrinks is
    not smoothed first. Pillow's BICUBIC is the same where it enlarges an image of floats; it smooths what it shrinks,
    and cuts overshoots off in uint8.

    Raises:
      ValueError: a size below 1; (from the transform) an image that is not height x width x channels.
    """
    check_size("resize_cubic", size)

    def resize(record, rng=None):
        image = np.asarray(record.get("image"))
        if image.ndim != 3 or 0 in image.shape:
            raise ValueError(
                f"resize_cubic was given an image of shape {image.shape}; expected height x width x channels. Put it "
                "before transforms that flatten the image, such as sample_pixels."
            )
        rows, row_weights = _cubic_taps(image.shape[0], size)
        columns, column_weights = _cubic_taps(image.shape[1], size)
        image = sum(image[rows[k]] * row_weights[k][:, None, None] for k in range(4))
        image = sum(image[:, columns[k]] * column_weights[k][None, :, None] for k in range(4))
        return {**record, "image": image}

    return resize


def normalise(record: Record, rng: np.random.Generator | None = None) -> Record:
    """Shift and scale "image", levels 0 to 255 in uint8 or float, by ImageNet's mean and deviation: float32.

    Raises:
      ValueError: an image without three channels.
    """
    image = np.asarray(record.get("image"))
    if not image.ndim or not image.size or image.shape[-1] != 3:
        raise ValueError(
            f"normalise was given an image of shape {image.shape}; expected three channels last, for which ImageNet's "
            "means are known. Scale images of other kinds with to_float."
        )
    return {**record, "image": (image.astype(np.float32) - MEAN) / DEVIATION}


def photo_of(record: Record, caller: str) -> np.ndarray:
    """The record's image, if it is a photo: (height, width, 3) uint8, at least 2 pixels a side.

    Raises:
      ValueError: it is not; `caller` is named.
    """
    image = np.asarray(record.get("image"))
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or min(image.shape) < 2:
        raise ValueError(
            f"{caller} was given an image of shape {image.shape} and type {image.dtype}; expected a photo, (height, "
            "width, 3) uint8 with at least 2 pixels a side. Put it before transforms that scale or flatten the image."
        )
    return image


@functools.lru_cache(maxsize=1024)
def _cubic_taps(extent, size):
    """Which four old pixels each of `size` new ones is made of, and their weights: (4, size) int and float32."""
    place = (np.arange(size) + 0.5) * extent / size - 0.5  # of a new pixel's centre, in old pixels
    taps = np.floor(place).astype(int) + np.arange(-1, 3)[:, None]
    distance = np.abs(place - taps)
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0)) * ((taps >= 0) & (taps < extent))
    return np.clip(taps, 0, extent - 1), (weights / weights.sum(axis=0)).astype(np.float32)
