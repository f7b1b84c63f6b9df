"""Synthetic scenes: one to three coloured shapes on a plain or a photo background, drawn at any resolution.

The shapes are synthetic and a lesson that shows them must say so; the textures are real photos. A scene is described
first (`describe`) and drawn afterwards (`draw`), so that the same scene exists at 48 x 48, which a model reads, and at
192 x 192, which tells what is right between the pixels. Shapes are decided by whole-number arithmetic and averaged over
whole blocks, so that two machines draw the same bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Shaped, UInt8
from PIL import Image

from perceiver_lab.datasets.canvases import check_photos

SIDE = 48  # pixels that are read
FINE = 4  # fine pixels in each of them: the fine picture is 192 x 192
GRAIN = 4  # samples in each fine pixel, along either axis
UNIT = FINE * GRAIN  # samples in one pixel
KINDS = ("circle", "square", "triangle", "star")
MAX_SHAPES = 3
SECOND = 0.8  # no shape's size exceeds this share of the largest one's: which is the largest is never a close call
COLOUR_GAP = 90  # of a shape to the middle of its background, as a distance in RGB

Photo = UInt8[np.ndarray, "_ _ 3"]  # unnamed axes: photos differ in size


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One shape, in samples (768 along each side of the scene).

    Attributes:
      kind: one of `KINDS`.
      row, column: its centre.
      size: the square root of its area.
      turn: in radians.
      colour: (red, green, blue), each 0..255.
    """

    kind: str
    row: int
    column: int
    size: float
    turn: float
    colour: tuple[int, int, int]

    @property
    def reach(self) -> float:
        """The radius of the circle around it."""
        return self.size * _REACH[self.kind]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What there is to see.

    Attributes:
      background: (192, 192, 3) uint8.
      textured: whether the background is a photo; otherwise it is plain.
      shapes: one to three that do not touch, the largest first.
    """

    background: UInt8[np.ndarray, "192 192 3"]
    textured: bool
    shapes: tuple[Shape, ...]


# Radius of the surrounding circle of a shape of area 1: all kinds are equally large at the same size.
_STAR_INNER = 0.5  # radius of a star's dents, of that of its tips
_REACH = {
    "circle": math.sqrt(1 / math.pi),
    "square": math.sqrt(1 / 2),
    "triangle": math.sqrt(4 / (3 * math.sqrt(3))),
    "star": math.sqrt(1 / (5 * _STAR_INNER * math.sin(math.pi / 5))),
}


def describe(photos: Sequence[Photo], rng: np.random.Generator) -> Scene:
    """Think of a scene.

    One, two or three shapes are equally likely, and so are the four kinds. The largest has the side of a square of 12
    to 17 pixels, and the others have 7 pixels to 0.8 of the largest. They lie wholly inside the image and do not touch.
    Half of the backgrounds are plain and half are crops of photos, paled.

    Args:
      photos: at least one RGB photo, uint8, each side at least 96 pixels.
      rng: the only source of chance. Give each example its own: `np.random.default_rng([seed, stream, index])`.

    Raises:
      ValueError: no photos, or one of another shape, type or size.
    """
    background, textured = draw_background(photos, rng)
    middle = background.reshape(-1, 3).mean(axis=0)
    kinds = rng.choice(KINDS, int(rng.integers(1, MAX_SHAPES + 1))).tolist()
    while True:  # the kinds stay: compact ones fit more often and would otherwise be more frequent
        largest = rng.uniform(12, 17)
        sizes = [largest, *sorted(rng.uniform(7, SECOND * largest, len(kinds) - 1), reverse=True)]
        shapes = [_random_shape(kind, UNIT * size, middle, rng) for kind, size in zip(kinds, sizes, strict=True)]
        if not touching(shapes):
            return Scene(background=background, textured=textured, shapes=tuple(shapes))


def draw_background(photos: Sequence[Photo], rng: np.random.Generator) -> tuple[UInt8[np.ndarray, "192 192 3"], bool]:
    """A background, plain or a crop of a photo with equal chances, and whether it is a photo.

    Raises:
      ValueError: as `describe`.
    """
    check_photos(photos)
    textured = bool(rng.integers(2))
    return (_photo_crop(photos, rng) if textured else _plain(rng)), textured


def draw(scene: Scene) -> tuple[UInt8[np.ndarray, "192 192 3"], UInt8[np.ndarray, "192 192"]]:
    """Draw a scene at 192 x 192, its edges smooth.

    Returns:
      The picture (192, 192, 3) uint8, and what is where (192, 192) uint8: 0 = background, 1 + the place of its kind in
      `KINDS` where a shape covers at least half of the pixel.
    """
    image, full = scene.background.copy(), GRAIN * GRAIN
    kinds = np.zeros(image.shape[:2], np.uint8)
    for shape in scene.shapes:
        place, cover = _cover(shape)
        part, colour = image[place].astype(np.int32), np.array(shape.colour, np.int32)
        image[place] = ((full - cover)[..., None] * part + cover[..., None] * colour + full // 2) // full
        kinds[place][2 * cover >= full] = 1 + KINDS.index(shape.kind)
    return image, kinds


def shrink(
    image: UInt8[np.ndarray, "192 192 3"], kinds: UInt8[np.ndarray, "192 192"]
) -> tuple[UInt8[np.ndarray, "48 48 3"], UInt8[np.ndarray, "48 48"]]:
    """A drawn scene as it is read: each pixel the average of its 16 fine ones, and the kind that half of them have."""
    blocks, count = block_sums(image, FINE), FINE * FINE
    small = np.zeros((SIDE, SIDE), np.uint8)
    for kind in range(1, len(KINDS) + 1):
        small[2 * block_sums(kinds == kind, FINE) >= count] = kind
    return ((blocks + count // 2) // count).astype(np.uint8), small


def block_sums(image: Shaped[np.ndarray, "height width *channels"], size: int) -> Int32[np.ndarray, "..."]:
    """The sums over blocks of `size` x `size` pixels, (height / size, width / size, ...), size a divisor of both."""
    # Adding slices: NumPy's sum over two axes of length 4 takes several times as long.
    rows = sum(image[start::size].astype(np.int32) for start in range(size))
    return sum(rows[:, start::size] for start in range(size))


def _random_shape(kind, size, middle, rng):
    """A shape of this kind and size anywhere inside the image."""
    reach = math.ceil(size * _REACH[kind])
    row, column = (int(rng.integers(reach, SIDE * UNIT - reach + 1)) for _ in range(2))
    turn = rng.uniform(0, 2 * math.pi)
    while True:
        colour = rng.integers(0, 256, 3)
        vivid = colour.max() - colour.min() >= 100
        if vivid and np.linalg.norm(colour - middle) >= COLOUR_GAP:
            break
    colour = tuple(int(level) for level in colour)
    return Shape(kind=kind, row=row, column=column, size=float(size), turn=float(turn), colour=colour)


def touching(shapes: Sequence[Shape]) -> bool:
    """Whether two of the surrounding circles come closer than a pixel."""
    pairs = ((one, other) for place, one in enumerate(shapes) for other in shapes[:place])
    return any(
        math.hypot(one.row - other.row, one.column - other.column) < one.reach + other.reach + UNIT
        for one, other in pairs
    )


def _cover(shape):
    """The fine pixels around a shape as slices, and how many of the 16 samples of each lie inside it (int32)."""
    reach = math.ceil(shape.reach) + 1
    spans = []
    for centre in (shape.row, shape.column):
        first, last = max(centre - reach, 0) // GRAIN, -(-min(centre + reach, SIDE * UNIT) // GRAIN)
        spans.append(slice(first, last))
    # Samples lie in the middle between whole numbers; at twice the scale everything is whole.
    rows, columns = (
        2 * np.arange(span.start * GRAIN, span.stop * GRAIN) + 1 - 2 * centre
        for span, centre in zip(spans, (shape.row, shape.column), strict=True)
    )
    inside = _inside(shape, rows[:, None], columns[None, :])
    return tuple(spans), block_sums(inside, GRAIN)


def _inside(shape, rows, columns):
    radius = 2 * shape.reach
    if shape.kind == "circle":
        return rows**2 + columns**2 <= int(radius**2)
    if shape.kind == "star":
        return _inside_polygon(_corners(10, radius, shape.turn, _STAR_INNER), rows, columns)
    number = {"square": 4, "triangle": 3}[shape.kind]
    return _inside_polygon(_corners(number, radius, shape.turn), rows, columns)


def _corners(number, radius, turn, inner=1.0):
    """Corners around the origin in whole numbers, every second one drawn in to `inner`."""
    angles = turn + 2 * np.pi * np.arange(number) / number
    radii = radius * np.where(np.arange(number) % 2, inner, 1.0)
    return np.rint(np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=-1)).astype(np.int64)


def _inside_polygon(corners, rows, columns):
    """Even-odd rule: a sample is inside when a line from it crosses the outline an odd number of times."""
    inside = np.zeros(np.broadcast_shapes(rows.shape, columns.shape), bool)
    for (row, column), (next_row, next_column) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        height = next_row - row
        if not height:
            continue
        between = ((row > rows) != (next_row > rows))[:, 0]
        # column of the outline in this row > column of the sample, multiplied out so that nothing is rounded
        beyond = (next_column - column) * (rows[between] - row) - (columns - column) * height
        inside[between] ^= beyond > 0 if height > 0 else beyond < 0
    return inside


def _plain(rng):
    """One colour, not too strong."""
    colour = rng.integers(40, 216) + rng.integers(-30, 31, 3)
    return np.broadcast_to(np.clip(colour, 0, 255).astype(np.uint8), (SIDE * FINE, SIDE * FINE, 3)).copy()


def _photo_crop(photos, rng):
    """A square crop of a random photo at a random place and zoom, mirrored or not, with half of its contrast."""
    photo = photos[int(rng.integers(len(photos)))]
    extent = int(rng.integers(96, min(*photo.shape[:2]) + 1))
    top, left = (int(rng.integers(0, length - extent + 1)) for length in photo.shape[:2])
    crop = photo[top : top + extent, left : left + extent]
    if rng.integers(2):
        crop = crop[:, ::-1]
    fine = Image.fromarray(crop).resize((SIDE * FINE, SIDE * FINE), Image.Resampling.BILINEAR)
    level = int(rng.integers(60, 197))
    return ((np.asarray(fine).astype(np.int32) + level + 1) // 2).astype(np.uint8)
