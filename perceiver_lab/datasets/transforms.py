"""What happens to one record between the data set and the batch: functions (record, rng) -> record.

A record is a dict with "image", height x width x channels. The functions below change "image" (and add "positions")
and hand on every other feature as it is; the arrays that they are given stay untouched. `rng` belongs to this record
in this epoch (see `pipeline`) and is the only source of chance.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

Record = dict[str, Any]
Transform = Callable[[Record, np.random.Generator], Record]

DIGIT_LEVELS = 16  # full ink of the 8 x 8 digits; every other set has 255


def to_float(record: Record, rng: np.random.Generator | None = None) -> Record:
    """Scale "image" from uint8 to float32 in [-1, 1]: black, or paper, to -1 and white, or ink, to 1.

    The levels are 0..255, except for the 8 x 8 digits (an image of shape (8, 8, 1)), where they are 0..16. Those
    digits must therefore be scaled before a transform changes their shape. Any other image may be scaled at any
    place; it is cheapest after cropping and sampling.

    Raises:
      ValueError: no image, one that is not uint8, or an 8 x 8 image with levels above 16.
    """
    image = _present(record, "to_float")
    if image.dtype != np.uint8:
        raise ValueError(f"to_float scales uint8 images, and this one is {image.dtype}: was it scaled already?")
    top = 255
    if _is_small_digit(image):
        top = DIGIT_LEVELS
        if image.max() > top:
            raise ValueError(
                f"This (8, 8, 1) image has a level of {image.max()}. Images of that shape are taken for the digits of "
                "8 x 8 pixels with levels 0 to 16; scale images of levels 0 to 255 before they are cut so small."
            )
    return {**record, "image": _scale_table(top).take(image)}


def standardise(record: Record, rng: np.random.Generator | None = None) -> Record:
    """Shift and scale "image", all its pixels and channels alike, to mean 0 and standard deviation 1, in float32.

    Of a selection of pixels, those that were selected count. A flat image becomes zeros.

    Raises:
      ValueError: no image, or one without pixels.
    """
    image = _present(record, "standardise").astype(np.float32)
    centred = image - image.mean()
    return {**record, "image": centred / max(float(centred.std()), 1e-6)}


def jitter_positions(amount: float) -> Transform:
    """Stretch, turn and shear "positions" a little: each entry of the 2 x 2 matrix moves by up to `amount`.

    A record without positions gets those of its pixels, (height * width, 2), and keeps its image. To a model that takes
    positions as they are given, this is the picture itself being stretched and turned, at the price of one small matrix
    product; no pixel is interpolated.
    """
    if not 0 <= amount < 0.5:
        raise ValueError(f"jitter_positions({amount!r}): expected a number from 0 to below 0.5.")

    def jitter(record, rng):
        positions = record.get("positions")
        if positions is None:
            positions = pixel_positions(*_image(record, "jitter_positions").shape[:2])
        matrix = np.eye(2, dtype=np.float32) + rng.uniform(-amount, amount, (2, 2)).astype(np.float32)
        return {**record, "positions": positions @ matrix}

    return jitter


def random_crop(size: int) -> Transform:
    """Cut a square of `size` pixels out of the image, every place equally likely."""
    check_size("random_crop", size)

    def crop(record, rng):
        image = _image(record, "random_crop", at_least=size)
        top, left = (int(rng.integers(extent - size + 1)) for extent in image.shape[:2])
        return {**record, "image": image[top : top + size, left : left + size]}

    return crop


def center_crop(size: int) -> Transform:
    """Cut a square of `size` pixels out of the middle of the image (half a pixel up and left where that is uneven)."""
    check_size("center_crop", size)

    def crop(record, rng=None):
        image = _image(record, "center_crop", at_least=size)
        top, left = ((extent - size) // 2 for extent in image.shape[:2])
        return {**record, "image": image[top : top + size, left : left + size]}

    return crop


def random_shift(frame: int) -> Transform:
    """Lay the image into a square frame of `frame` pixels, every place equally likely; the rest of it is paper.

    Paper is 0 in a uint8 image and -1 in a scaled one. A 28 x 28 digit in a frame of 36 moves by 4 pixels either way.
    """
    check_size("random_shift", frame)

    def shift(record, rng):
        image = _image(record, "random_shift", at_most=frame)
        height, width, channels = image.shape
        top, left = (int(rng.integers(frame - extent + 1)) for extent in (height, width))
        laid = np.full((frame, frame, channels), 0 if image.dtype == np.uint8 else -1, image.dtype)
        laid[top : top + height, left : left + width] = image
        return {**record, "image": laid}

    return shift


def sample_pixels(count: int) -> Transform:
    """Keep `count` pixels of the image, drawn without replacement, and where they were.

    The record's "image" becomes (count, channels), and "positions" (count, 2) float32: row and column of each pixel in
    [-1, 1] from the image's first to its last, as `ops.positions.grid_coordinates` gives them. A Perceiver trained on
    a random tenth of the pixels reads all of them when it is tested.
    """
    check_size("sample_pixels", count)

    def sample(record, rng):
        image = _image(record, "sample_pixels")
        height, width = image.shape[:2]
        if count > height * width:
            raise ValueError(
                f"sample_pixels({count}) was given an image of {height} x {width} = {height * width} pixels. "
                "Sample at most as many as there are."
            )
        chosen = rng.choice(height * width, count, replace=False, shuffle=False)
        rows, columns = np.divmod(chosen, width)
        return {**record, "image": image[rows, columns], "positions": pixel_positions(height, width)[chosen]}

    return sample


def permute_pixels(permutation: Sequence[int] | np.ndarray, *, with_positions: bool = False) -> Transform:
    """Move all pixels of every image by one fixed permutation; the image keeps its shape.

    Args:
      permutation: (height * width,) the numbers 0 .. height * width - 1 in any order, such as
        `np.random.default_rng(seed).permutation(28 * 28)`. Pixel i of the result, counted row by row, is pixel
        permutation[i] of the image.
      with_positions: also give "positions" (height * width, 2), where each pixel of the result came from. With them a
        Perceiver sees the same set of (pixel, position) pairs as before; without, it sees confetti.

    Raises:
      ValueError: not a permutation, or (from the transform) an image of another number of pixels.
    """
    order = np.array(permutation)
    if order.ndim != 1 or order.dtype.kind not in "iu" or not np.array_equal(np.sort(order), np.arange(order.size)):
        raise ValueError(
            f"permutation (shape {order.shape}, {order.dtype}) does not hold each of 0 .. n - 1 once. Draw one with "
            "np.random.default_rng(seed).permutation(height * width)."
        )

    def permute(record, rng=None):
        image = _image(record, "permute_pixels")
        height, width, channels = image.shape
        if height * width != order.size:
            raise ValueError(
                f"The permutation is of {order.size} pixels, the image has {height} x {width} = {height * width}. "
                "Draw the permutation for the images as they are at this point of the pipeline."
            )
        moved = {**record, "image": image.reshape(-1, channels)[order].reshape(image.shape)}
        if with_positions:
            moved["positions"] = pixel_positions(height, width)[order]
        return moved

    return permute


@functools.lru_cache(maxsize=16)
def pixel_positions(height: int, width: int) -> Float32[np.ndarray, "pixels 2"]:
    """Row and column of every pixel, row by row, each from -1 at the first to 1 at the last (read-only)."""
    axes = (np.linspace(-1.0, 1.0, extent, dtype=np.float32) for extent in (height, width))
    positions = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    positions.flags.writeable = False
    return positions


@functools.cache
def _scale_table(top):
    """The scaled value of each level. A look-up is as fast as arithmetic on the pixels and rounds once."""
    levels = np.arange(256, dtype=np.float32)
    return (levels * 2 - top) / np.float32(top)


def _is_small_digit(image):
    return image.shape == (8, 8, 1) and image.dtype == np.uint8


def _present(record, caller):
    """The record's image, of any shape that holds something."""
    image = record.get("image")
    if image is None or not image.size:
        held = "no image" if image is None else f"an image of shape {image.shape}"
        raise ValueError(f"{caller} was given a record of {sorted(record)} with {held}; expected one with pixels.")
    return image


def _image(record, caller, *, at_least=1, at_most=None):
    """The record's image, after checking that it is one and of a fitting size."""
    image = _present(record, caller)
    if image.ndim != 3:
        raise ValueError(
            f"{caller} was given an image of shape {image.shape}; expected height x width x channels. Put it before "
            "transforms that flatten the image, such as sample_pixels."
        )
    height, width = image.shape[:2]
    if min(height, width) < at_least or (at_most is not None and max(height, width) > at_most):
        limit = f"at least {at_least}" if at_most is None else f"at most {at_most}"
        raise ValueError(f"{caller} was given an image of {height} x {width} pixels and needs {limit} a side.")
    if _is_small_digit(image):
        raise ValueError(
            f"{caller} was given an unscaled digit of 8 x 8 pixels, whose levels are 0 to 16. Put to_float before "
            f"{caller}: afterwards its levels could not be told from the usual 0 to 255."
        )
    return image


def check_size(caller: str, size: Any) -> None:
    """Refuse what is no number of pixels, in the name of the transform that was given it.

    Raises:
      ValueError: no whole number, or one below 1.
    """
    if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
        raise ValueError(f"{caller}({size!r}): expected a whole number of pixels, at least 1.")
