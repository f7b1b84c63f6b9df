"""Bach's four-part chorales on a grid of sixteenths, and as the tokens that a Perceiver AR reads (2202.07765).

A grid (T, 4) has a row for each sixteenth and a column for each voice: soprano, alto, tenor, bass. A cell is the MIDI
pitch that sounds, plus 128 where it begins, or 0 for silence. As tokens the rows follow each other, and in each row the
voices from the top down. Each voice has values of its own, as the colour channels of a picture may have in the release:

    token = 3 + 48 * voice + value        value 0: goes on        1: falls silent        2..47: begins MIDI 36..81

The scores are read from the installed package music21, where the encodings are by permission: neither they nor grids of
them are ours to pass on.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Int32, UInt8

from perceiver_lab.datasets.musicxml import Tone, read_voices
from perceiver_lab.datasets.shipped import read_packaged_folder
from perceiver_lab.ops.sequences import EOS, NUM_SPECIAL_TOKENS, PAD, SOS

Record = dict[str, Any]
Transform = Callable[[Record, np.random.Generator], Record]

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
PER_QUARTER = 4  # rows of a quarter note
PER_BAR = 16  # rows of a bar of four quarters
ONSET = 128
LOWEST, HIGHEST = 36, 81  # MIDI, of all chorales
GOES_ON, SILENT, FIRST_PITCH = 0, 1, 2  # values of a voice
VALUES = FIRST_PITCH + HIGHEST - LOWEST + 1
TOKENS = NUM_SPECIAL_TOKENS + len(VOICES) * VALUES
LONGEST = 3090  # events of a piece, start and end counted
SHIFTS = range(-5, 7)  # semitones by which a piece may be moved in training

# Over the 408 compressed scores in music21's folder of Bach, which are the same in its versions 9.1 to 10.5.
SCORES_SHA256 = "247ad905e76dcc93cbe32f2eaeb6bb623372631f76a23de6ff51cbdb9f233190"
PARTS = {"train": 0, "validation": 36, "test": 36}  # pieces at least; training has the rest
TUNE = 8  # quarters of melody that tell a tune


@functools.cache
def grids() -> Mapping[str, UInt8[np.ndarray, "_ 4"]]:
    """All chorales for four voices that sixteenths can hold, by name ("bwv66.6"), in the order of their names.

    Left out are scores with instruments, three with finer rhythm, and one that is another one again.

    Raises:
      FileNotFoundError: music21 is not installed.
      ValueError: its scores are other ones.
    """
    found, seen = {}, set()
    for name, content in read_packaged_folder("music21", "corpus/bach", "bwv*.mxl", SCORES_SHA256).items():
        voices = read_voices(content, VOICES)
        grid = None if voices is None else voices_grid(voices)
        if grid is not None and grid.tobytes() not in seen:
            seen.add(grid.tobytes())
            found[name.removesuffix(".mxl")] = grid
    return found


def voices_grid(voices: Sequence[Sequence[Tone]]) -> UInt8[np.ndarray, "_ 4"] | None:
    """The grid of what four voices sing, up to the last tone; None where a tone begins or ends between sixteenths."""
    ends = [tone.end for tones in voices for tone in tones]
    grid = np.zeros((int(max(ends, default=0) * PER_QUARTER), len(VOICES)), np.uint8)
    for voice, tones in enumerate(voices):
        for tone in tones:
            start, end = tone.start * PER_QUARTER, tone.end * PER_QUARTER
            if start.denominator > 1 or end.denominator > 1:
                return None
            grid[int(start) : int(end), voice] = tone.pitch
            grid[int(start), voice] |= ONSET
    return grid


@functools.cache
def split() -> Mapping[str, tuple[str, ...]]:
    """The names of the pieces for "train", "validation" and "test".

    Bach set many a tune more than once. So pieces whose melodies move alike through the first eight quarters are of one
    part: no tune of the test is heard in training.
    """
    tunes: dict[tuple[int, ...], list[str]] = {}
    for name, grid in grids().items():
        melody = grid[::PER_QUARTER, 0].astype(int) % ONSET
        tunes.setdefault(tuple(np.diff(melody[melody > 0])[:TUNE].tolist()), []).append(name)
    order, parts = iter(np.random.default_rng(0).permutation(len(tunes))), {}
    groups = list(tunes.values())
    for part in ("test", "validation", "train"):
        chosen: list[str] = []
        for number in order:
            chosen += groups[number]
            if PARTS[part] and len(chosen) >= PARTS[part]:
                break
        parts[part] = tuple(name for name in grids() if name in set(chosen))
    return parts


def grid_events(grid: UInt8[np.ndarray, "t 4"]) -> Int32[np.ndarray, " m"]:
    """The start token, four tokens for each sixteenth, and the end token: (2 + 4 T,) int32.

    Raises:
      ValueError: no grid, or pitches beyond 36..81.
    """
    check_grid(grid)
    pitch, begins = grid % ONSET, grid >= ONSET
    before = np.concatenate([np.full((1, len(VOICES)), ONSET - 1, np.uint8), pitch[:-1]])
    falls_silent = (pitch == 0) & (before != 0)
    values = np.where(begins, FIRST_PITCH + pitch.astype(np.int32) - LOWEST, np.where(falls_silent, SILENT, GOES_ON))
    tokens = NUM_SPECIAL_TOKENS + VALUES * np.arange(len(VOICES)) + values
    return np.concatenate([[SOS], tokens.reshape(-1), [EOS]]).astype(np.int32)


def events_grid(events: Int[np.ndarray, " m"] | Sequence[int]) -> UInt8[np.ndarray, "_ 4"]:
    """The grid of events; special tokens are left out, and so is a last row that has not all its voices.

    Raises:
      ValueError: numbers that are no token, or voices in another order.
    """
    events = np.asarray(events, np.int64).reshape(-1)
    symbols = events[(events < PAD) | (events >= NUM_SPECIAL_TOKENS)] - NUM_SPECIAL_TOKENS
    symbols = symbols[: len(symbols) // len(VOICES) * len(VOICES)].reshape(-1, len(VOICES))
    if (symbols // VALUES != np.arange(len(VOICES))).any():
        raise ValueError(
            f"These are no chorale events: after the start token the voices take turns, {', '.join(VOICES)}, with "
            f"tokens 3 + {VALUES} * voice + value below {TOKENS}. Let `generate` know the {len(VOICES)} channels."
        )
    values, grid = symbols % VALUES, np.zeros(symbols.shape, np.uint8)
    sounding = np.zeros(len(VOICES), np.uint8)
    for row, value in enumerate(values):
        begins = value >= FIRST_PITCH
        sounding = np.where(begins, value - FIRST_PITCH + LOWEST, np.where(value == SILENT, 0, sounding))
        grid[row] = sounding + ONSET * begins
    return grid


def chorale_events(length: int | None = None) -> Transform:
    """A transform: the record's "grid" becomes "events", and its name is left out, which is no number.

    Args:
      length: to which events are padded, so that pieces of any length stack; by default they are not.

    Raises:
      ValueError: from the transform, a piece that is longer.
    """

    def encode(record, rng=None):
        events = grid_events(np.asarray(record["grid"]))
        if length is not None and len(events) > length:
            raise ValueError(f"A piece of {len(events)} events does not fit into {length}; the longest has {LONGEST}.")
        return {"events": events if length is None else np.pad(events, (0, length - len(events)))}

    return encode


def change_key(record: Record, rng: np.random.Generator) -> Record:
    """A transform for training: the "grid" moved by -5 to 6 semitones, as far as it stays within MIDI 36..81."""
    grid = np.asarray(record["grid"])
    return {**record, "grid": transpose(grid, int(rng.choice(keys(grid))))}


def keys(grid: UInt8[np.ndarray, "t 4"]) -> list[int]:
    """By how many semitones, -5 to 6, a piece can be moved so that all its tones have tokens."""
    pitches = grid[grid > 0].astype(int) % ONSET
    return [step for step in SHIFTS if LOWEST <= pitches.min() + step and pitches.max() + step <= HIGHEST]


def transpose(grid: UInt8[np.ndarray, "t 4"], semitones: int) -> UInt8[np.ndarray, "t 4"]:
    """All tones moved, silence left as it is.

    Raises:
      ValueError: no grid, or tones that leave 36..81.
    """
    check_grid(grid)
    moved = np.where(grid > 0, grid.astype(np.int64) + semitones, 0)
    pitches = moved[moved > 0] % ONSET
    if pitches.size and (pitches.min() < LOWEST or pitches.max() > HIGHEST):
        raise ValueError(
            f"Moved by {semitones} semitones, tones reach MIDI {pitches.min()} to {pitches.max()}; there are tokens "
            f"for {LOWEST} to {HIGHEST}. Move them less far."
        )
    return moved.astype(np.uint8)


def check_grid(grid: np.ndarray) -> None:
    """Refuse what is no grid.

    Raises:
      ValueError: another shape or dtype, pitches beyond 36..81, or a tone that goes on without having begun.
    """
    expected = f"expected uint8 (T, {len(VOICES)}): MIDI {LOWEST} to {HIGHEST}, plus {ONSET} where a tone begins"
    if grid.ndim != 2 or grid.shape[1] != len(VOICES) or grid.dtype != np.uint8:
        raise ValueError(f"A grid of {grid.dtype} of shape {grid.shape}: {expected}.")
    pitch = grid % ONSET
    tones = pitch[grid > 0]
    if tones.size and (tones.min() < LOWEST or tones.max() > HIGHEST):
        raise ValueError(f"A grid with pitches from {tones.min()} to {tones.max()}: {expected}.")
    before = np.concatenate([np.zeros((1, len(VOICES)), np.uint8), pitch[:-1]])
    lost = ((pitch > 0) & (grid < ONSET) & (pitch != before)).any(axis=1)
    if lost.any():
        raise ValueError(f"At sixteenth {int(lost.argmax())} a tone goes on that has not begun; {expected}.")
