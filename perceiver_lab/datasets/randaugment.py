"""RandAugment (Cubuk et al. 2020, 1909.13719) as the released ImageNet models were trained with it.

The sixteen operations are functions of one photo, (height, width, 3) uint8, that return a new one of the same shape;
`randaugment` is the transform that applies some of them. What comes into the picture from beyond its edge is grey.
Where a pixel falls between two, the nearer one is taken.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

from perceiver_lab.datasets.augment import Record, photo_of

Photo = UInt8[np.ndarray, "height width 3"]

GREY = 128
LEVELS = np.arange(256)


def randaugment(num_operations: int, magnitude: int) -> Callable[[Record, np.random.Generator], Record]:
    """Apply `num_operations` of the sixteen operations to "image", drawn with replacement, each equally likely.

    The release's values are 4 and 5. At magnitude 5 photos turn by 15 degrees, shear by 0.15 and move by 50 pixels,
    either way; 2 bits of each level stay; levels from 128 on are inverted, or those below raised by 55; a square of up
    to 40 pixels is cut out. The factors of colour, contrast, brightness and sharpness are then exactly 1: these four
    change nothing, in the release as here.

    Args:
      num_operations: how many, at least 1.
      magnitude: from 0 to 10. All amounts grow in proportion, so that posterising, of which fewer bits are more, and
        solarising grow weaker; a factor f is 0.1 + 0.18 magnitude.

    Raises:
      ValueError: a number out of range; (from the transform) an image that is not (height, width, 3) uint8.
    """
    if not isinstance(num_operations, int | np.integer) or isinstance(num_operations, bool) or num_operations < 1:
        raise ValueError(f"randaugment wants a whole number of operations, at least 1, and got {num_operations!r}.")
    if not 0 <= magnitude <= 10:
        raise ValueError(f"randaugment wants a magnitude from 0 to 10 and got {magnitude!r}; the release's is 5.")

    def augment(record, rng):
        image = photo_of(record, "randaugment")
        for name in rng.choice(list(OPERATIONS), num_operations):
            image = OPERATIONS[name](image, magnitude / 10, rng)
        return {**record, "image": image}

    return augment


def auto_contrast(image: Photo) -> Photo:
    """Stretch each channel so that its lowest level becomes 0 and its highest 255; a flat channel stays."""
    tables = []
    for channel in np.moveaxis(image, -1, 0):
        low, high = int(channel.min()), int(channel.max())
        scale = 255 / max(high - low, 1)
        tables.append(LEVELS * scale - low * scale if high > low else LEVELS)
    return _look_up(image, tables)


def equalise(image: Photo) -> Photo:
    """Spread the levels of each channel so that all become about equally frequent.

    A level's new value is the number of pixels below it in steps of a 255th of the pixels, the brightest ones left out
    of the count. A channel too small or too flat for a step of one pixel stays.
    """
    tables = []
    for channel in np.moveaxis(image, -1, 0):
        counts = np.bincount(channel.reshape(-1), minlength=256)
        step = int(counts.sum() - counts[channel.max()]) // 255
        below = np.cumsum(counts) - counts
        tables.append((below + step // 2) // step if step else LEVELS)
    return _look_up(image, tables)


def invert(image: Photo) -> Photo:
    """Level v becomes 255 - v."""
    return 255 - image


def posterise(image: Photo, bits: int) -> Photo:
    """Keep the highest `bits` of the 8 bits of each level, from 0, which is black, to 8."""
    return _look_up(image, [LEVELS >> (8 - bits) << (8 - bits)] * 3)


def solarise(image: Photo, threshold: int) -> Photo:
    """Invert the levels from `threshold` on."""
    return _look_up(image, [np.where(LEVELS < threshold, LEVELS, 255 - LEVELS)] * 3)


def solarise_add(image: Photo, amount: int) -> Photo:
    """Raise the levels below 128 by `amount`, to 255 at most."""
    return _look_up(image, [np.where(LEVELS < 128, LEVELS + amount, LEVELS)] * 3)


def colour(image: Photo, factor: float) -> Photo:
    """From grey (factor 0) over the photo itself (1) to colours beyond its own: Pillow's `Color`."""
    return _enhance(image, "Color", factor)


def contrast(image: Photo, factor: float) -> Photo:
    """From one grey, the mean brightness (factor 0), over the photo itself (1) and beyond it: Pillow's `Contrast`.

    The release's code takes the number of pixels divided by 256 for the mean, which makes that grey white for most
    photos. With its own magnitude the factor is 1 and nothing is seen of that; other magnitudes differ from it here.
    """
    return _enhance(image, "Contrast", factor)


def brightness(image: Photo, factor: float) -> Photo:
    """Every level times the factor, at most 255: Pillow's `Brightness`."""
    return _enhance(image, "Brightness", factor)


def sharpness(image: Photo, factor: float) -> Photo:
    """From smoothed (factor 0) over the photo itself (1) to sharpened: Pillow's `Sharpness`.

    Smoothed, a pixel is the mean of its 3 x 3 neighbourhood in which it counts five times itself; those at the edge
    stay as they are.
    """
    return _enhance(image, "Sharpness", factor)


def rotate(image: Photo, degrees: float) -> Photo:
    """Turn about the middle, counter-clockwise where `degrees` are above 0."""
    height, width = image.shape[:2]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = (width - 1) / 2, (height - 1) / 2
    return _move(image, (cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y))


def shear_x(image: Photo, amount: float) -> Photo:
    """Shift row y to the left by `amount` x y pixels; the top row stays."""
    return _move(image, (1, amount, 0, 0, 1, 0))


def shear_y(image: Photo, amount: float) -> Photo:
    """Shift column x up by `amount` x x pixels; the left column stays."""
    return _move(image, (1, 0, 0, amount, 1, 0))


def translate_x(image: Photo, pixels: float) -> Photo:
    """Shift to the left."""
    return _move(image, (1, 0, pixels, 0, 1, 0))


def translate_y(image: Photo, pixels: float) -> Photo:
    """Shift up."""
    return _move(image, (1, 0, 0, 0, 1, pixels))


def cutout(image: Photo, half: int, rng: np.random.Generator) -> Photo:
    """Make a square of 2 x `half` pixels a side grey, its middle anywhere in the photo; part of it may lie outside."""
    row, column = (int(rng.integers(extent)) for extent in image.shape[:2])
    cut = image.copy()
    cut[max(row - half, 0) : row + half, max(column - half, 0) : column + half] = GREY
    return cut


# In the release's order. `level` is a tenth of the magnitude.
OPERATIONS: dict[str, Callable[[Photo, float, np.random.Generator], Photo]] = {
    "auto_contrast": lambda image, level, rng: auto_contrast(image),
    "equalise": lambda image, level, rng: equalise(image),
    "invert": lambda image, level, rng: invert(image),
    "rotate": lambda image, level, rng: rotate(image, _either_way(30 * level, rng)),
    "posterise": lambda image, level, rng: posterise(image, int(4 * level)),
    "solarise": lambda image, level, rng: solarise(image, int(256 * level)),
    "colour": lambda image, level, rng: colour(image, 0.1 + 1.8 * level),
    "contrast": lambda image, level, rng: contrast(image, 0.1 + 1.8 * level),
    "brightness": lambda image, level, rng: brightness(image, 0.1 + 1.8 * level),
    "sharpness": lambda image, level, rng: sharpness(image, 0.1 + 1.8 * level),
    "shear_x": lambda image, level, rng: shear_x(image, _either_way(0.3 * level, rng)),
    "shear_y": lambda image, level, rng: shear_y(image, _either_way(0.3 * level, rng)),
    "translate_x": lambda image, level, rng: translate_x(image, _either_way(100 * level, rng)),
    "translate_y": lambda image, level, rng: translate_y(image, _either_way(100 * level, rng)),
    "cutout": lambda image, level, rng: cutout(image, int(40 * level), rng),
    "solarise_add": lambda image, level, rng: solarise_add(image, int(110 * level)),
}


def _either_way(amount, rng):
    return amount if rng.integers(2) else -amount


def _look_up(image, tables):
    """Each channel through its own table of 256 values, cut off at 0 and 255 and rounded down."""
    tables = np.clip(tables, 0, 255).astype(np.uint8)
    return np.stack([table[image[..., channel]] for channel, table in enumerate(tables)], axis=-1)


def _enhance(image, kind, factor):
    from PIL import Image, ImageEnhance

    return np.array(getattr(ImageEnhance, kind)(Image.fromarray(image)).enhance(factor))


def _move(image, matrix):
    """The pixel at (x, y) shows what was at (a x + b y + c, d x + e y + f), `matrix` = (a, b, c, d, e, f)."""
    from PIL import Image

    a, b, c, d, e, f = matrix
    # Pillow counts from the corner of the first pixel, we from its centre.
    matrix = (a, b, c + (1 - a - b) / 2, d, e, f + (1 - d - e) / 2)
    height, width = image.shape[:2]
    moved = Image.fromarray(image).transform((width, height), Image.Transform.AFFINE, matrix, fillcolor=(GREY,) * 3)
    return np.array(moved)
