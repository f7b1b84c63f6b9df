"""Records of one sense each: a picture, a sound or a text, and nothing in the place of the other two.

What is absent is zeros, and "sense" says what is there. All three have ten labels: the digit that is drawn, the digit
that is said, the one of ten who speaks in a play.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from perceiver_lab.datasets.plays import PIECE, SPEAKERS
from perceiver_lab.datasets.sound import NUM_SAMPLES

Record = dict[str, Any]
Transform = Callable[[Record, np.random.Generator], Record]

SENSES = ("bytes", "image", "sound")
TASKS = {"digit": tuple(map(str, range(10))), "speaker": SPEAKERS}
ASKED = {"bytes": "speaker", "image": "digit", "sound": "digit"}  # what each sense is asked
SIDE = 28  # of a picture

NOTHING = {
    "bytes": np.zeros(PIECE, np.int32),
    "image": np.zeros((SIDE, SIDE, 1), np.uint8),
    "sound": np.zeros((NUM_SAMPLES, 1), np.float32),
    "length": 0,  # samples of the sound
}


def only_of(sense: str, transforms: Sequence[Transform]) -> Transform:
    """Apply transforms to the records of one sense, and leave those of the others as they are.

    "length" goes in all of them, as it does where a sound is moved: records of one batch have the same features.

    Raises:
      ValueError: another sense; from the transform, a record that does not say of which sense it is.
    """
    if sense not in SENSES:
        raise ValueError(f"only_of({sense!r}, ...): the senses are {', '.join(SENSES)}.")
    number, transforms = SENSES.index(sense), tuple(transforms)

    def apply(record, rng):
        if "sense" not in record:
            raise ValueError(
                f"only_of({sense!r}, ...) was given a record with {', '.join(sorted(record))}; it wants 'sense' too, a "
                f"number into {SENSES}."
            )
        if int(record["sense"]) == number:
            for transform in transforms:
                record = transform(record, rng)
        return {name: value for name, value in record.items() if name != "length"}

    return apply
