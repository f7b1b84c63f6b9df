"""Video, sound and label of one digit: the pairing is synthetic, its parts are real.

A real handwritten digit (MNIST) drifts through eight small frames while a real voice says the same digit (Free Spoken
Digit Dataset). Nobody filmed this: which drawing goes with which voice, and how it moves, was drawn at random by us.
The lessons say so. What both halves share is the digit, and nothing else: neither who wrote or spoke it nor when.
"""

import numpy as np
from jaxtyping import Int, UInt8

from perceiver_lab.datasets.sound import HELD_OUT_SPEAKER, SPEAKERS, SpokenDigits

FRAMES, SIDE = 8, 32  # eight frames in the second that the sound lasts
SPEED = 3.0  # pixels per frame along either axis, at most
PARTS = ("train", "test", "test_speaker")


def moving_digit(ink: UInt8[np.ndarray, "28 28"], rng: np.random.Generator) -> UInt8[np.ndarray, "8 32 32 1"]:
    """A digit on its way through eight frames: at a steady speed, turned back where it meets an edge.

    The digit's ink keeps its pixels and moves by whole ones. Where it starts and how fast it moves, up to 3 pixels per
    frame along either axis, is drawn at random.

    Args:
      ink: 0 = paper to 255 = ink.
      rng: the only source of chance. Give each example its own: `np.random.default_rng([seed, stream, index])`.

    Raises:
      ValueError: an image of another shape or type, or one without ink.
    """
    if ink.shape != (28, 28) or ink.dtype != np.uint8 or not ink.any():
        raise ValueError(
            f"This digit is {ink.dtype} of shape {ink.shape} with {np.count_nonzero(ink)} inked pixels; expected "
            "uint8 of shape (28, 28) with ink. Take 'image' of mnist_small with [..., 0]."
        )
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    tops, lefts = (_places(SIDE - extent, rng) for extent in box.shape)
    video = np.zeros((FRAMES, SIDE, SIDE, 1), np.uint8)
    for frame, top, left in zip(video, tops, lefts, strict=True):
        frame[top : top + box.shape[0], left : left + box.shape[1], 0] = box
    return video


def choose_clip(clips: SpokenDigits, numbers: Int[np.ndarray, " m"], label: int, rng: np.random.Generator) -> int:
    """One of the clips `numbers` that say `label`, each as likely."""
    said = numbers[clips.label[numbers] == label]
    return int(said[rng.integers(len(said))])


def clips_of(clips: SpokenDigits, part: str) -> Int[np.ndarray, " m"]:
    """The clips of a part: for training takes 2 to 9 of four speakers; for the test, their takes 0 and 1.

    "test_speaker" has the fifth speaker, who is heard in neither of the others.

    Raises:
      ValueError: another part.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}; got {part!r}.")
    if part == "test_speaker":
        return clips.where("test", "speaker")
    known = clips.where(part, "take")
    return known[clips.speaker[known] != SPEAKERS.index(HELD_OUT_SPEAKER)]


def _places(room, rng):
    """Whole places from 0 to `room` in each frame: a straight line, folded back at both ends."""
    start, speed = rng.uniform(0, room), rng.uniform(-SPEED, SPEED)
    path = start + speed * np.arange(FRAMES)
    # A triangle wave of period 2 room: 0 at 0, room at room, 0 again at 2 room.
    folded = room - np.abs(room - np.abs(path) % (2 * room))
    return np.rint(folded).astype(int)
