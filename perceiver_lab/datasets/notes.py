"""Notes, and the events of a piano performance (1808.03715; 1809.04281): what MAESTRO is read as.

Time is counted in steps, of whatever length: 10 ms in performances, a sixteenth in chorales.

    velocity 20, note on 60, time 50, note off 60        note on = the key goes down; off = it is let go
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int32, UInt8

from perceiver_lab.datasets.chorales import ONSET, check_grid
from perceiver_lab.ops.sequences import EOS, NUM_SPECIAL_TOKENS, SOS

STEPS_PER_SECOND = 100  # of performances
VELOCITIES, LONGEST_SHIFT = 32, 100
PITCHES = 128
NOTE_ON = NUM_SPECIAL_TOKENS
NOTE_OFF = NOTE_ON + PITCHES
TIME_SHIFT = NOTE_OFF + PITCHES  # by 1 step; the token after it by 2, and so on
VELOCITY = TIME_SHIFT + LONGEST_SHIFT
TOKENS = VELOCITY + VELOCITIES
_COARSE = 128 // VELOCITIES  # velocities of MIDI that one token stands for


class Note(NamedTuple):
    """One note.

    Attributes:
      start, end: in steps.
      pitch: MIDI number, 60 = middle C.
      velocity: how hard the key is struck, 1..127.
      voice: 0 is the highest; the channel in a MIDI file.
    """

    start: int
    end: int
    pitch: int
    velocity: int = 82
    voice: int = 0


def grid_notes(grid: UInt8[np.ndarray, "t 4"]) -> list[Note]:
    """The notes of a chorale, by their beginnings, in sixteenths.

    Raises:
      ValueError: no grid.
    """
    check_grid(grid)
    notes = []
    for voice, column in enumerate(grid.T.astype(int)):
        changes = np.flatnonzero((column >= ONSET) | (column == 0))
        for start, end in zip(changes, [*changes[1:], len(column)], strict=True):
            if column[start]:
                notes.append(Note(int(start), int(end), int(column[start] - ONSET), voice=voice))
    return sorted(notes)


def piano_notes(notes: Iterable[Note]) -> list[Note]:
    """What one keyboard can play of the notes, by their beginnings: a key that is down cannot go down again.

    A note ends where the next one of its pitch begins. Of several that begin together on one key the longest stays. Its
    velocity becomes that of its token, 4 k + 2; voices are forgotten.
    """
    found: dict[int, list[Note]] = {}
    for note in sorted(notes):
        played = note._replace(velocity=note.velocity // _COARSE * _COARSE + _COARSE // 2, voice=0)
        earlier = found.setdefault(note.pitch, [])
        if earlier and earlier[-1].start == note.start:  # sorted by their ends: this one is at least as long
            earlier.pop()
        elif earlier and earlier[-1].end > note.start:
            earlier[-1] = earlier[-1]._replace(end=note.start)
        earlier.append(played)
    return sorted(note for notes in found.values() for note in notes)


def performance_events(notes: Iterable[Note]) -> Int32[np.ndarray, " m"]:
    """The start token, the events of a performance, and the end token.

    At one moment keys are let go first, then others go down from the lowest on; a velocity holds until the next one.
    Exact for what a keyboard can play: `performance_notes(performance_events(notes)) == piano_notes(notes)`.

    Raises:
      ValueError: notes that end before they begin, or outside of MIDI's numbers.
    """
    notes = list(notes)
    for note in notes:
        if not (0 <= note.start < note.end and 0 <= note.pitch < PITCHES and 1 <= note.velocity < 128):
            raise ValueError(f"{note} is no note: expected 0 <= start < end, a pitch of 0..127, a velocity of 1..127.")
    played = piano_notes(notes)
    moments = sorted([(note.end, 0, note.pitch, 0) for note in played] + [
        (note.start, 1, note.pitch, note.velocity // _COARSE) for note in played
    ])  # fmt: skip
    events, now, loudness = [SOS], 0, None
    for time, goes_down, pitch, velocity in moments:
        whole, rest = divmod(time - now, LONGEST_SHIFT)
        events += [TIME_SHIFT + LONGEST_SHIFT - 1] * whole + [TIME_SHIFT + rest - 1] * (rest > 0)
        if goes_down and velocity != loudness:
            events.append(VELOCITY + velocity)
            loudness = velocity
        events.append((NOTE_ON if goes_down else NOTE_OFF) + pitch)
        now = time
    return np.array([*events, EOS], np.int32)


def performance_notes(events: Int[np.ndarray, " m"] | Sequence[int]) -> list[Note]:
    """The notes of a performance, by their beginnings.

    A model may say what no hand does: letting go of a key that is up does nothing, striking one that is down strikes it
    anew, and what is still down at the end is let go there. Special tokens are left out.

    Raises:
      ValueError: numbers that are no token.
    """
    events = np.asarray(events, np.int64).reshape(-1)
    if events.size and not 0 <= events.min() <= events.max() < TOKENS:
        raise ValueError(
            f"Tokens from {events.min()} to {events.max()} were given, but they go from 0 to {TOKENS - 1}."
        )
    now, loudness, down, notes = 0, VELOCITIES // 2, {}, []

    def let_go(pitch):
        start, velocity = down.pop(pitch, (now, 0))
        if start < now:
            notes.append(Note(start, now, pitch, velocity * _COARSE + _COARSE // 2))

    for event in events.tolist():
        if event >= VELOCITY:
            loudness = event - VELOCITY
        elif event >= TIME_SHIFT:
            now += event - TIME_SHIFT + 1
        elif event >= NOTE_OFF:
            let_go(event - NOTE_OFF)
        elif event >= NOTE_ON:
            let_go(event - NOTE_ON)
            down[event - NOTE_ON] = (now, loudness)
    for pitch in list(down):
        let_go(pitch)
    return sorted(notes)
