"""Real digits composed with real photos: the large canvases (50,176 pixels after cropping).

Both the digit and the two textures are real; that they meet in one picture is our doing, so a lesson that shows
these canvases must call them composed. Everything is a pure function of its arguments and of `rng`, in Pillow's integer
arithmetic, so that two machines draw the same bytes.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

CANVAS_SIZE = 240  # a training crop of 224 then moves the digit by up to 8 pixels either way
IMAGE_SIZE = 224  # 224 * 224 = 50,176 pixels, the input of the ImageNet Perceiver
DIGIT_SIZE = 168  # a 28-pixel digit tile drawn six times as large; the strokes fill about 120 pixels of it

Photo = UInt8[np.ndarray, "_ _ 3"]  # unnamed axes: photos differ in size


def large_digit(
    digit: UInt8[np.ndarray, "28 28"], photos: Sequence[Photo], rng: np.random.Generator
) -> UInt8[np.ndarray, "240 240 3"]:
    """Draw one digit large, near the centre, in photo texture on photo background.

    The digit is brighter than its background; levels, tint, contrast and texture vary. The brightness of digit and
    background stay in bands that do not meet, so that the digit is always legible.

    Args:
      digit: ink of one 28 x 28 tile, uint8, 0 = paper and 255 = ink.
      photos: at least one RGB photo, uint8, each side at least 96 pixels.
      rng: the only source of chance. Give each example its own: `np.random.default_rng([seed, stream, index])`.

    Returns:
      The canvas, (240, 240, 3) uint8. The digit's tile is 158 to 178 pixels large and off the centre by up to 4.

    Raises:
      ValueError: a digit or photo of another shape, type or size.
    """
    _check(digit, photos)
    size = int(rng.integers(DIGIT_SIZE - 10, DIGIT_SIZE + 11))
    middle = (CANVAS_SIZE - size) // 2
    top, left = (int(middle + rng.integers(-4, 5)) for _ in range(2))
    return _compose(digit, photos, CANVAS_SIZE, (top, left, size), rng, brighter=True)[0]


def cluttered_digit(
    digit: UInt8[np.ndarray, "28 28"], photos: Sequence[Photo], rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "224 224 3"], UInt8[np.ndarray, "224 224"]]:
    """Draw one digit at a random place and scale, in photo texture on photo background.

    Half of the digits are brighter than their background and half darker.

    Args:
      digit: ink of one 28 x 28 tile, uint8, 0 = paper and 255 = ink.
      photos: at least one RGB photo, uint8, each side at least 96 pixels.
      rng: the only source of chance, one per example.

    Returns:
      The image (224, 224, 3) uint8, and its mask (224, 224) uint8: 1 where the digit covers at least half of the
      pixel, else 0. The digit's tile is 56 to 168 pixels large and lies wholly inside the image.

    Raises:
      ValueError: a digit or photo of another shape, type or size.
    """
    _check(digit, photos)
    size = int(rng.integers(56, DIGIT_SIZE + 1))
    top, left = (int(rng.integers(0, IMAGE_SIZE - size + 1)) for _ in range(2))
    image, cover = _compose(digit, photos, IMAGE_SIZE, (top, left, size), rng, brighter=None)
    return image, (cover >= 128).astype(np.uint8)


def _compose(digit, photos, side, place, rng, *, brighter):
    """Blend a textured digit into a textured background: ((side, side, 3) uint8, cover (side, side) uint8).

    The digit is `brighter` than the background or not; None leaves that to chance.
    """
    top, left, size = place
    # Two brightness levels at least 80 apart. A texture leaves its level by at most 0.38 of the gap (_texture), so
    # that the two bands do not meet.
    gap = int(rng.integers(80, 141))
    dark = int(rng.integers(30, 226 - gap))
    brighter = bool(rng.integers(2)) if brighter is None else brighter
    levels = (dark, dark + gap) if brighter else (dark + gap, dark)
    image = _texture(photos, side, levels[0], 0.38 * gap, rng)
    ink = _texture(photos, size, levels[1], 0.38 * gap, rng)
    glyph = _enlarge(digit, size)
    image.paste(ink, (left, top), glyph)
    cover = Image.new("L", (side, side))
    cover.paste(glyph, (left, top))
    return np.array(image), np.array(cover)


def _enlarge(digit, size):
    """Enlarge a tile smoothly, and sharpen the grey ramp of the blow-up back to a stroke with a soft edge."""
    large = Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC)
    return large.point([min(max(2 * (grey - 64), 0), 255) for grey in range(256)])


def _texture(photos, side, level, reach, rng):
    """A photo crop with brightness `level` +- `reach`, its own colours weakened, and a tint: an RGB Pillow image."""
    luma, *chroma = _random_crop(photos, side, rng).convert("YCbCr").split()
    grey, counts = np.arange(256), np.array(luma.histogram())
    detail = grey - int((grey * counts).sum()) // counts.sum()
    # Flat crops gain contrast and harsh ones lose it: the reach is two or three standard deviations of the crop.
    deviation = max(4.0, float(np.sqrt((detail**2 * counts).sum() / counts.sum())))
    strength = min(2.0, reach * rng.uniform(0.35, 0.6) / deviation)
    bright = level + np.clip(np.rint(detail * strength), -reach, reach)
    tints = rng.integers(-32, 33, 2)  # colour only: the brightness stays
    channels = [luma.point(_table(bright))]
    channels += [one.point(_table(128 + tint + (grey - 128) // 2)) for one, tint in zip(chroma, tints, strict=True)]
    return Image.merge("YCbCr", channels).convert("RGB")


def _table(values):
    """A look-up table for Pillow's `point`: 256 whole numbers from 0 to 255."""
    return np.clip(values, 0, 255).astype(int).tolist()


def _random_crop(photos, side, rng):
    """A square crop of a random photo, place and zoom, mirrored or not, resized to `side` x `side`."""
    photo = photos[int(rng.integers(len(photos)))]
    extent = int(rng.integers(96, min(*photo.shape[:2], 2 * side) + 1))
    top, left = (int(rng.integers(0, length - extent + 1)) for length in photo.shape[:2])
    crop = photo[top : top + extent, left : left + extent]
    if rng.integers(2):
        crop = crop[:, ::-1]
    return Image.fromarray(crop).resize((side, side), Image.Resampling.BILINEAR)


def _check(digit, photos):
    if getattr(digit, "shape", None) != (28, 28) or digit.dtype != np.uint8:
        raise ValueError(
            f"digit must be a (28, 28) uint8 array, ink 255 on paper 0; got {getattr(digit, 'dtype', type(digit))} "
            f"of shape {getattr(digit, 'shape', None)}. Take it from the 'image' of mnist_small with [..., 0]."
        )
    check_photos(photos)


def check_photos(photos: Sequence[np.ndarray]) -> None:
    """Photos that backgrounds can be cut from.

    Raises:
      ValueError: there is none, or one is too small or no (height, width, 3) uint8.
    """
    if not len(photos):
        raise ValueError("photos is empty: give at least one (height, width, 3) uint8 photo, each side 96 or more.")
    for number, photo in enumerate(photos):
        if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or min(photo.shape[:2]) < 96:
            raise ValueError(
                f"photos[{number}] is {photo.dtype} of shape {photo.shape}; expected (height, width, 3) uint8 with "
                "each side at least 96 pixels. A grey photo becomes one by np.repeat(grey[..., None], 3, axis=-1)."
            )
