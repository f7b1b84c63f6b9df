"""Notes: what a keyboard can play survives events and MIDI files exactly; MAESTRO is read from its folder."""

import sys

import mido
import numpy as np
import pytest

from perceiver_lab.datasets import chorales, crop_events, maestro
from perceiver_lab.datasets.midi import read_midi, write_midi
from perceiver_lab.datasets.notes import (
    NOTE_OFF,
    NOTE_ON,
    TIME_SHIFT,
    TOKENS,
    VELOCITY,
    Note,
    grid_notes,
    performance_events,
    performance_notes,
    piano_notes,
)
from perceiver_lab.ops.sequences import EOS, SOS

C, E = 60, 64


def test_events_by_hand():
    events = performance_events([Note(5, 260, C, 82), Note(5, 7, E, 83), Note(7, 8, E, 10)])
    assert events.tolist() == [
        SOS,
        TIME_SHIFT + 4,
        VELOCITY + 20,
        NOTE_ON + C,
        NOTE_ON + E,
        TIME_SHIFT + 1,
        NOTE_OFF + E,
        VELOCITY + 2,
        NOTE_ON + E,
        TIME_SHIFT + 0,
        NOTE_OFF + E,
        TIME_SHIFT + 99,
        TIME_SHIFT + 99,
        TIME_SHIFT + 51,
        NOTE_OFF + C,
        EOS,
    ]
    assert TOKENS == 3 + 128 + 128 + 100 + 32 and events.dtype == np.int32
    assert performance_events([]).tolist() == [SOS, EOS]


def test_what_a_keyboard_can_play():
    notes = [Note(0, 8, C), Note(2, 4, C), Note(2, 6, C, voice=3), Note(6, 9, C), Note(0, 1, E, 127)]
    assert piano_notes(notes) == [Note(0, 1, E, 126), Note(0, 2, C), Note(2, 6, C), Note(6, 9, C)]


def random_notes(rng):
    starts, lengths = rng.integers(0, 400, 60), rng.integers(1, 250, 60)
    pitches, velocities = rng.integers(50, 60, 60), rng.integers(1, 128, 60)
    rows = zip(starts.tolist(), (starts + lengths).tolist(), pitches.tolist(), velocities.tolist(), strict=True)
    return [Note(*row) for row in rows]


@pytest.mark.parametrize("seed", range(5))
def test_there_and_back(seed, tmp_path):
    notes = random_notes(np.random.default_rng(seed))
    played = piano_notes(notes)
    assert performance_notes(performance_events(notes)) == played == piano_notes(played)
    write_midi(tmp_path / "a.mid", played, steps_per_beat=50, beats_per_minute=120)
    assert read_midi(tmp_path / "a.mid") == played


def test_every_sixth_chorale_as_a_performance_and_back():
    """To the last note, but for two voices on one key, of which a keyboard has one."""
    for grid in list(chorales.grids().values())[::6]:
        notes = grid_notes(grid)
        assert len(notes) == (grid >= 128).sum() and sum(note.end - note.start for note in notes) == (grid > 0).sum()
        assert performance_notes(performance_events(notes)) == piano_notes(notes)


def test_chorales_as_files_and_back(tmp_path):
    for name in chorales.split()["test"][:3]:
        notes = grid_notes(chorales.grids()[name])
        write_midi(tmp_path / "a.mid", notes, steps_per_beat=4, beats_per_minute=90)
        assert read_midi(tmp_path / "a.mid", steps_per_second=6) == notes


def test_what_no_hand_does():
    said = [NOTE_OFF + C, NOTE_ON + C, TIME_SHIFT, NOTE_ON + C, NOTE_OFF + C, NOTE_ON + E, TIME_SHIFT + 2]
    assert performance_notes(said) == [Note(0, 1, C, 66), Note(1, 4, E, 66)]
    with pytest.raises(ValueError, match="Tokens from 3 to 391 were given, but they go from 0 to 390"):
        performance_notes([3, TOKENS])
    for wrong in (Note(3, 3, C), Note(0, 1, 128), Note(0, 1, C, 0), Note(-1, 1, C)):
        with pytest.raises(ValueError, match="is no note: expected 0 <= start < end"):
            performance_events([wrong])


def file_of(path, *messages):
    """`messages`: (ticks since the last one, kind, values); 480 ticks a beat, a beat is half a second."""
    file, track = mido.MidiFile(ticks_per_beat=480), mido.MidiTrack()
    for time, kind, values in messages:
        track.append(mido.Message(kind, time=time, **values))
    file.tracks.append(track)
    file.save(path)
    return path


def test_the_pedal(tmp_path):
    down, up = ({"control": 64, "value": value} for value in (127, 0))
    path = file_of(
        tmp_path / "pedal.mid",
        (0, "note_on", {"note": C, "velocity": 80}),
        (0, "control_change", down),
        (96, "note_off", {"note": C}),  # 0.1 s
        (96, "note_on", {"note": C, "velocity": 60}),
        (96, "note_on", {"note": C, "velocity": 0}),
        (96, "control_change", up),  # 0.4 s
        (96, "note_on", {"note": E, "velocity": 50}),
        (0, "note_on", {"note": 35, "velocity": 99, "channel": 9}),
        (96, "note_off", {"note": C}),
    )
    assert read_midi(path) == [Note(0, 20, C, 80), Note(20, 40, C, 60), Note(50, 60, E, 50)]


def test_files_that_are_none(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        read_midi(tmp_path / "none.mid")
    (tmp_path / "bad.mid").write_bytes(b"MThd\0\0")
    with pytest.raises(ValueError, match=r"bad\.mid cannot be read as a MIDI file .* Fetch it again"):
        read_midi(tmp_path / "bad.mid")
    for notes in ([], [Note(0, 1, C, voice=9)]):
        with pytest.raises(ValueError, match="expected at least one, and voices from 0 to 8"):
            write_midi(tmp_path / "a.mid", notes, steps_per_beat=4, beats_per_minute=90)
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(ModuleNotFoundError, match="by the package mido, which is not installed.*pip install mido"):
        read_midi(tmp_path / "bad.mid")


def test_a_folder_of_maestro(tmp_path):
    """Two made-up performances in the true layout of version 3."""
    (tmp_path / "2018").mkdir()
    notes = {"train": [Note(0, 120, C), Note(50, 90, E)], "test": [Note(10, 20, E)]}
    rows = ["canonical_composer,canonical_title,split,year,midi_filename,audio_filename,duration"]
    for part, played in notes.items():
        write_midi(tmp_path / "2018" / f"{part}.midi", played, steps_per_beat=50, beats_per_minute=120)
        rows.append(f'Alban Berg,"Sonata, Op. 1",{part},2018,2018/{part}.midi,2018/{part}.wav,1.2')
    with pytest.raises(FileNotFoundError, match="no table maestro-v.*magenta.tensorflow.org/datasets/maestro"):
        maestro(tmp_path, "train")
    (tmp_path / "maestro-v3.0.0.csv").write_text("\n".join(rows))
    for part, played in notes.items():
        (record,) = maestro(tmp_path, part)
        assert performance_notes(record["events"]) == played and record["name"] == "Alban Berg: Sonata, Op. 1"
    crop = crop_events(context=8, fewest=2)(maestro(tmp_path, "train")[0], np.random.default_rng(0))
    assert crop["inputs"].shape == (8,)
    with pytest.raises(ValueError, match="split='valid' is unknown; MAESTRO has 'train', 'validation', 'test'"):
        maestro(tmp_path, "valid")
    with pytest.raises(FileNotFoundError, match=r"Every validation piece of .* missing"):
        maestro(tmp_path, "validation")
    (tmp_path / "2018" / "test.midi").unlink()
    with pytest.raises(FileNotFoundError, match=r"test\.midi and 0 other files are missing"):
        maestro(tmp_path, "test")
    (tmp_path / "maestro-v3.0.0.csv").write_text("split,year\ntrain,2018")
    with pytest.raises(ValueError, match=r"has the columns \['split', 'year'\]; expected"):
        maestro(tmp_path, "train")
