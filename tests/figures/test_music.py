"""Notes as a picture and as a sound."""

import numpy as np
import pytest

from perceiver_lab import figures
from perceiver_lab.datasets.notes import Note

NOTES = [Note(0, 8, 72), Note(8, 16, 74), Note(0, 16, 48, voice=3)]


def test_a_piano_roll_says_what_it_shows():
    roll = figures.piano_roll(NOTES, prompt=8)
    assert roll.webp() == figures.piano_roll(NOTES, prompt=8).webp()
    assert roll.alt == (
        "Piano roll of 3 notes in 1 bars: Soprano from C5 to D5, Bass from C3 to C3. The first 8 steps were given."
    )
    for notes in ([], [Note(0, 1, 60, voice=4)]):
        with pytest.raises(ValueError, match="notes for 4 voices: give at least one note, and a name for each voice"):
            figures.piano_roll(notes)


def test_a_tone_has_its_pitch_and_its_length():
    sound = figures.synthesise([Note(0, 4, 69), Note(8, 12, 57)], steps_per_second=4)
    assert sound.dtype == np.float32 and np.abs(sound).max() == pytest.approx(0.9)
    assert len(sound) == pytest.approx(3.25 * 16_000, abs=2)
    for start, expected in ((0.0, 440.0), (2.0, 220.0)):
        part = sound[int(start * 16_000) : int((start + 1) * 16_000)]
        assert np.abs(np.fft.rfft(part)).argmax() == pytest.approx(expected, abs=1)
    assert not sound[int(1.25 * 16_000) : int(1.95 * 16_000)].any()
    with pytest.raises(ValueError, match="no notes to play"):
        figures.synthesise([], steps_per_second=4)
