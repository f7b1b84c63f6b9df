"""Spoken digits, and what happens to a clip between the data set and the batch: functions (record, rng) -> record.

A record has "sound" (8000, 1) float32 in [-1, 1], one second at 8,000 samples a second, and "length", how many of its
samples were recorded: the clip stands at the beginning and silence follows. The functions below change "sound" and hand
on every other feature as it is; the arrays that they are given stay untouched.
"""

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from perceiver_lab.datasets.shipped import read_shipped
from perceiver_lab.ops import mulaw_decode

Record = dict[str, Any]
Transform = Callable[[Record, np.random.Generator], Record]

RATE = 8000  # samples per second
NUM_SAMPLES = 8000  # one second: no clip of the set is longer
SPEAKERS = ("george", "jackson", "nicolas", "theo", "yweweler")
HELD_OUT_SPEAKER = "yweweler"
TEST_TAKES = (0, 1)  # of every word by every speaker; takes 2 to 9 are for training


@dataclass(frozen=True, kw_only=True)
class SpokenDigits:
    """The 500 clips of `fsdd_subset_ulaw.npz`, in the file's order.

    Attributes:
      codes: of each clip, mu-law of G.711.
      label: the digit.
      speaker: a number into `SPEAKERS`.
      take: 0 to 9.
    """

    codes: tuple[UInt8[np.ndarray, " _"], ...]
    label: Int[np.ndarray, " n"]
    speaker: Int[np.ndarray, " n"]
    take: Int[np.ndarray, " n"]

    def record(self, number: int) -> Record:
        """Clip `number` as a record: "sound", "length", "label", "speaker", "take"."""
        return {
            "sound": one_second(mulaw_decode(self.codes[number]), rate=RATE),
            "length": len(self.codes[number]),
            "label": int(self.label[number]),
            "speaker": int(self.speaker[number]),
            "take": int(self.take[number]),
        }

    def where(self, part: str, held_out: str) -> Int[np.ndarray, " m"]:
        """The numbers of the clips that belong to `part`, in the file's order.

        Args:
          part: "train" or "test".
          held_out: "take": the test has the takes of `TEST_TAKES`; "speaker": all of `HELD_OUT_SPEAKER`.

        Raises:
          ValueError: another part or another thing to hold out.
        """
        if part not in ("train", "test") or held_out not in ("take", "speaker"):
            raise ValueError(
                f"part={part!r}, held_out={held_out!r}: expected 'train' or 'test', and 'take' or 'speaker'."
            )
        out = self.speaker == SPEAKERS.index(HELD_OUT_SPEAKER)
        if held_out == "take":
            out = np.isin(self.take, TEST_TAKES)
        return np.flatnonzero(out if part == "test" else ~out)


@functools.lru_cache(maxsize=1)
def spoken_digits() -> SpokenDigits:
    """The clips that ship, read once.

    Raises:
      FileNotFoundError: the file is missing; ValueError: it is not the one that shipped.
    """
    with np.load(io.BytesIO(read_shipped("fsdd_subset_ulaw.npz"))) as file:
        ends = np.cumsum(file["length"])
        codes = tuple(np.split(file["ulaw"], ends[:-1]))
        columns = {name: file[name].astype(np.int64) for name in ("label", "speaker", "take")}
    return SpokenDigits(codes=codes, **columns)


def one_second(samples: Float[np.ndarray, "..."], *, rate: int) -> Float32[np.ndarray, "8000 1"]:
    """A recording as the lab's models read it: cut to one second, or filled up with silence at its end.

    Args:
      samples: (T,) or (T, 1), in [-1, 1].
      rate: samples per second that it was recorded with.

    Raises:
      ValueError: another rate than 8,000, more than one channel, an empty sound, or samples beyond [-1, 1].
    """
    if rate != RATE:
        raise ValueError(
            f"This sound has {rate} samples a second, and the lab's models hear {RATE}. Resample it first, such as "
            f"scipy.signal.resample_poly(samples, {RATE}, {rate}): played at another rate, every pitch would be wrong."
        )
    if samples.ndim > 2 or (samples.ndim == 2 and samples.shape[1] != 1):
        raise ValueError(
            f"This sound has the shape {samples.shape}; expected one channel, (samples,) or (samples, 1). Take one of "
            "its channels, samples[:, 0], or their average, samples.mean(axis=1)."
        )
    samples = samples.reshape(-1)
    if not samples.size:
        raise ValueError("This sound is empty: give at least one sample.")
    if not np.abs(samples).max() <= 1:  # also where there is no number
        raise ValueError(
            f"The samples of this sound reach {np.abs(samples).max():.4g}; expected -1 to 1. Divide 16-bit samples by "
            "32768."
        )
    second = np.zeros((NUM_SAMPLES, 1), np.float32)
    second[: len(samples), 0] = samples[:NUM_SAMPLES]
    return second


def shift_sound(record: Record, rng: np.random.Generator) -> Record:
    """Move the clip to a random place in its second, every place equally likely."""
    room = NUM_SAMPLES - _length(record, "shift_sound")
    return _moved(record, int(rng.integers(room + 1)))


def center_sound(record: Record, rng: np.random.Generator | None = None) -> Record:
    """Move the clip to the middle of its second."""
    return _moved(record, (NUM_SAMPLES - _length(record, "center_sound")) // 2)


def change_speed(amount: float) -> Transform:
    """Play a clip slower or faster by a factor of up to 1 + amount, as a tape would: pitch goes along.

    What would last longer than a second is cut. Wants the clip at the beginning: before `shift_sound`.
    """
    if not 0 < amount <= 0.5:
        raise ValueError(f"change_speed({amount!r}): expected a number above 0, at most 0.5.")

    def play(record, rng):
        length = _length(record, "change_speed")
        factor = float(np.exp(rng.uniform(-1, 1) * np.log1p(amount)))
        played = min(int(length * factor), NUM_SAMPLES)
        sound = np.zeros_like(record["sound"])
        places = np.arange(played) / factor
        sound[:played, 0] = np.interp(places, np.arange(length), record["sound"][:length, 0])
        return {**record, "sound": sound, "length": played}

    return play


def even_loudness(record: Record, rng: np.random.Generator | None = None) -> Record:
    """Scale the sound so that its loudest sample is 1 or -1; silence stays silent.

    The speakers of the spoken digits differ by a factor of ten.
    """
    peak = np.abs(record["sound"]).max()
    return {**record, "sound": record["sound"] / max(peak, np.float32(1e-6))}


def turn_down(decibels: float) -> Transform:
    """Make the sound softer by 0 to `decibels`, each as likely; 6 decibels halve it."""
    if not decibels > 0:
        raise ValueError(f"turn_down({decibels!r}): expected a number of decibels above 0.")

    def turn(record, rng):
        return {**record, "sound": record["sound"] * np.float32(10 ** (-rng.uniform(0, decibels) / 20))}

    return turn


def add_noise(level: float) -> Transform:
    """Add white noise whose standard deviation is drawn between 0 and `level`, cut off at -1 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"add_noise({level!r}): expected a number between 0 and 1.")

    def add(record, rng):
        sound = record["sound"]
        noise = rng.standard_normal(sound.shape, np.float32) * np.float32(rng.uniform(0, level))
        return {**record, "sound": np.clip(sound + noise, -1, 1)}

    return add


def _length(record, caller):
    if "length" not in record:
        raise ValueError(
            f"{caller} wants the record's 'length', how many samples stand at the beginning of its second, and this "
            "record has none: was it moved already? Put change_speed before shift_sound or center_sound, and take one "
            "of these two."
        )
    return int(record["length"])


def _moved(record, begin):
    """The clip begins at sample `begin`; "length" goes, since it would no longer say where the clip is."""
    sound = np.zeros_like(record["sound"])
    sound[begin:] = record["sound"][: NUM_SAMPLES - begin]
    moved = {**record, "sound": sound}
    del moved["length"]
    return moved
