"""Captioned pictures and clips, made by rule: coloured shapes, how many there are, real digits, what came first.

    shapes   "two green circles."                    one to three equal shapes
    digit    "a red 7."                              a real handwritten digit, coloured
    clip     "a red star then a blue circle."        one thing gives way to another
    order    "first? " -> "a red star."              the same clips, with a question
    what     "what? " -> "two circles."              the same pictures as in "shapes", asked for all but the colour

Shapes, colours, places and texts are synthetic, and a lesson that shows them must say so; digits and half of the
backgrounds are real. Six of the 24 pairs of colour and shape are never named in training. They are shown there, but
only with the question "what? ", whose answer leaves the colour out: whoever names them puts together two words that no
caption did. (Not shown at all, they would be learnt to be impossible: red is never square.)
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from perceiver_lab.datasets.scenes import KINDS as SHAPES
from perceiver_lab.datasets.scenes import SIDE as SCENE_SIDE
from perceiver_lab.datasets.scenes import UNIT, Photo, Scene, Shape, block_sums, draw, draw_background, touching

SIDE = 32  # pixels along each side of a frame
FRAMES = 4  # in a clip of the data set
PIXEL = UNIT * SCENE_SIDE // SIDE  # samples of a scene in one pixel of a frame
COLOURS = {
    "red": (215, 45, 45),
    "green": (45, 175, 60),
    "blue": (50, 80, 225),
    "yellow": (235, 215, 45),
    "purple": (150, 50, 185),
    "cyan": (45, 200, 215),
}
JITTER = 25  # of each colour channel, either way
COLOUR_GAP = 90  # of a thing to the middle of its background, as a distance in RGB
NUMBERS = ("a", "two", "three")
LARGEST = (13.0, 10.0, 8.5)  # pixels: the largest size where there are one, two or three
KINDS = ("shapes", "digit", "clip", "order", "what")

Pair = tuple[str, str]  # colour and shape
HELD_OUT: tuple[Pair, ...] = (
    ("red", "square"),
    ("green", "star"),
    ("blue", "circle"),
    ("yellow", "triangle"),
    ("purple", "square"),
    ("cyan", "circle"),
)
KNOWN: tuple[Pair, ...] = tuple(pair for pair in itertools.product(COLOURS, SHAPES) if pair not in HELD_OUT)


@dataclass(frozen=True, kw_only=True)
class Captioned:
    """Frames and what is said about them.

    Attributes:
      frames: (T, 32, 32, 3) uint8, T = 1 for a picture.
      question: what the answer follows; empty for a caption.
      answer: the caption, or the answer.
      other: the wrong answer to a question with two possible ones; empty otherwise.
    """

    frames: UInt8[np.ndarray, "t 32 32 3"]
    question: str
    answer: str
    other: str


def shapes_picture(
    photos: Sequence[Photo], pairs: Sequence[Pair], rng: np.random.Generator, *, ask: bool = False
) -> Captioned:
    """One, two or three shapes of one kind and colour.

    Args:
      photos: for backgrounds, as in `scenes.describe`.
      pairs: of colour and shape, one of which is drawn at random: `KNOWN`, `HELD_OUT` or both.
      rng: the only source of chance. Give each example its own: `np.random.default_rng([seed, stream, index])`.
      ask: ask what there is, and leave its colour out of the answer.

    Raises:
      ValueError: no photos, or one of another shape, type or size.
    """
    colour, kind = pairs[int(rng.integers(len(pairs)))]
    count = int(rng.integers(1, len(NUMBERS) + 1))
    background = _background(photos, [COLOURS[colour]], rng)
    shapes = _apart(kind, colour, count, rng)
    name = f"{kind}{'s' if count > 1 else ''}."
    question, words = ("what? ", name) if ask else ("", f"{colour} {name}")
    answer = f"{NUMBERS[count - 1]} {words}"
    return Captioned(frames=_draw(background, shapes)[None], question=question, answer=answer, other="")


def digit_picture(
    photos: Sequence[Photo], ink: UInt8[np.ndarray, "28 28"], label: int, rng: np.random.Generator
) -> Captioned:
    """A real digit in one of the colours.

    Args:
      photos, rng: as in `shapes_picture`.
      ink: of the digit, 0 = paper and 255 = ink.
      label: which digit it is.

    Raises:
      ValueError: as `shapes_picture`.
    """
    colour = list(COLOURS)[int(rng.integers(len(COLOURS)))]
    image = _shrink(_background(photos, [COLOURS[colour]], rng)).astype(np.int32)
    size = int(rng.integers(26, SIDE + 1))
    top, left = (int(rng.integers(0, SIDE - size + 1)) for _ in range(2))
    glyph = np.asarray(Image.fromarray(ink).resize((size, size), Image.Resampling.BILINEAR), np.int32)[..., None]
    place = slice(top, top + size), slice(left, left + size)
    paint = np.array(_jittered(colour, rng), np.int32)
    image[place] = ((255 - glyph) * image[place] + glyph * paint + 127) // 255
    frames = image.astype(np.uint8)[None]
    return Captioned(frames=frames, question="", answer=f"a {colour} {label}.", other="")


def clip(
    photos: Sequence[Photo],
    pairs: Sequence[Pair],
    rng: np.random.Generator,
    *,
    ask: bool,
    num_frames: int = FRAMES,
) -> Captioned:
    """One thing drifts through the first frames of a clip and another through the rest.

    Args:
      photos, pairs, rng: as in `shapes_picture`.
      ask: ask what came first or what came last, either as likely; else say both in order.
      num_frames: at least 2.

    Raises:
      ValueError: a clip of one frame, or as `shapes_picture`.
    """
    if num_frames < 2:
        raise ValueError(f"num_frames={num_frames}: a clip in which one thing follows another has at least 2 frames.")
    things = [pairs[number] for number in rng.choice(len(pairs), 2, replace=False)]
    background = _background(photos, [COLOURS[colour] for colour, _ in things], rng)
    change = int(rng.integers(1, num_frames))
    shown = []
    for (colour, kind), count in zip(things, (change, num_frames - change), strict=True):
        shape = _shape(kind, colour, PIXEL * rng.uniform(9, 13), rng)
        shown += [_draw(background, [moved]) for moved in _drift(shape, count, rng)]
    names = [f"a {colour} {kind}" for colour, kind in things]
    if not ask:
        return Captioned(frames=np.stack(shown), question="", answer=f"{names[0]} then {names[1]}.", other="")
    asked = int(rng.integers(2))
    question = ("first? ", "last? ")[asked]
    return Captioned(frames=np.stack(shown), question=question, answer=f"{names[asked]}.", other=f"{names[1 - asked]}.")


def _background(photos, colours, rng):
    """A background from whose middle all colours stand out, (192, 192, 3)."""
    while True:
        background, _ = draw_background(photos, rng)
        middle = background.reshape(-1, 3).mean(axis=0)
        if all(np.linalg.norm(np.array(colour) - middle) >= COLOUR_GAP for colour in colours):
            return background


def _apart(kind, colour, count, rng):
    """So many shapes that do not touch, each put where there is room beside those before."""
    shapes, tries = [], 0
    while len(shapes) < count:
        tries += 1
        if tries % 50 == 0:
            shapes = []  # those before are in the way of any other
        shape = _shape(kind, colour, PIXEL * rng.uniform(7, LARGEST[count - 1]), rng)
        if not touching([*shapes, shape]):
            shapes.append(shape)
    return shapes


def _shape(kind, colour, size, rng):
    """A shape of this size, in samples, anywhere inside the picture."""
    turn, paint = float(rng.uniform(0, 2 * math.pi)), _jittered(colour, rng)
    shape = Shape(kind=kind, row=0, column=0, size=float(size), turn=turn, colour=paint)
    low, high = _room(shape)
    row, column = (int(rng.integers(low, high + 1)) for _ in range(2))
    return Shape(kind=kind, row=row, column=column, size=shape.size, turn=turn, colour=paint)


def _drift(shape, count, rng):
    """The same shape in `count` frames, at a steady speed of up to a pixel and a half per frame along either axis."""
    speeds = rng.uniform(-1.5 * PIXEL, 1.5 * PIXEL, 2)
    low, high = _room(shape)
    for frame in range(count):
        row, column = (
            int(np.clip(start + frame * speed, low, high))
            for start, speed in zip((shape.row, shape.column), speeds, strict=True)
        )
        yield Shape(kind=shape.kind, row=row, column=column, size=shape.size, turn=shape.turn, colour=shape.colour)


def _room(shape):
    """Where its centre may be, in samples."""
    reach = math.ceil(shape.reach)
    return reach, SCENE_SIDE * UNIT - reach


def _jittered(colour, rng):
    levels = np.array(COLOURS[colour]) + rng.integers(-JITTER, JITTER + 1, 3)
    return tuple(int(level) for level in np.clip(levels, 0, 255))


def _draw(background, shapes):
    return _shrink(draw(Scene(background=background, textured=False, shapes=tuple(shapes)))[0])


def _shrink(image):
    """(192, 192, 3) -> (32, 32, 3): each pixel the average of its 36 fine ones."""
    fine = len(image) // SIDE
    return ((block_sums(image, fine) + fine * fine // 2) // (fine * fine)).astype(np.uint8)
