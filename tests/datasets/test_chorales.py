"""Chorales: exact there and back, no tune in two splits, and other keys only where they fit."""

from fractions import Fraction

import numpy as np
import pytest

from perceiver_lab.datasets import chorales, crop_events, load, shipped
from perceiver_lab.datasets.chorales import ONSET, TOKENS, VALUES
from perceiver_lab.datasets.musicxml import Tone
from perceiver_lab.ops.sequences import EOS, SOS

GRID = np.array(
    [[72 + ONSET, 65 + ONSET, 0, 40 + ONSET], [72, 67 + ONSET, 57 + ONSET, 40], [72 + ONSET, 0, 57, 40]], np.uint8
)
VALUES_OF_GRID = [[38, 31, 1, 6], [0, 33, 23, 0], [38, 1, 0, 0]]


def test_tokens_by_hand():
    events = chorales.grid_events(GRID)
    expected = 3 + VALUES * np.arange(4) + np.array(VALUES_OF_GRID)
    np.testing.assert_array_equal(events, [SOS, *expected.reshape(-1), EOS])
    assert events.dtype == np.int32 and TOKENS == 195
    np.testing.assert_array_equal(chorales.events_grid(events), GRID)
    np.testing.assert_array_equal(chorales.events_grid(events[:8]), GRID[:1])  # a row that is not whole is left out
    assert chorales.events_grid([SOS]).shape == (0, 4)


def test_every_piece_there_and_back():
    names, rows = [], 0
    for part in chorales.PARTS:
        source = load("chorales", part)
        for index in range(len(source)):
            grid = source[index]["grid"]
            events = chorales.grid_events(grid)
            np.testing.assert_array_equal(chorales.events_grid(events), grid)
            assert len(events) == 2 + 4 * len(grid) <= chorales.LONGEST
            names.append(source[index]["name"].decode())
            rows += len(grid)
    assert (len(names), len(set(names)), rows) == (360, 360, 78376)


def test_no_tune_is_in_two_splits():
    parts, grids = chorales.split(), chorales.grids()
    assert {part: len(names) for part, names in parts.items()} == {"test": 39, "validation": 36, "train": 285}
    tunes = {}
    for part, names in parts.items():
        for name in names:
            melody = grids[name][::4, 0].astype(int) % ONSET
            tunes.setdefault(tuple(np.diff(melody[melody > 0])[:8]), set()).add(part)
    assert {len(found) for found in tunes.values()} == {1}


def test_voices_as_a_grid():
    soprano, alto = Tone(Fraction(0), Fraction(1), 60), Tone(Fraction(1), Fraction(3, 2), 55)
    grid = chorales.voices_grid([[soprano], [alto], [], []])
    np.testing.assert_array_equal(grid[:, 0], [60 + ONSET, 60, 60, 60, 0, 0])
    np.testing.assert_array_equal(grid[:, 1], [0, 0, 0, 0, 55 + ONSET, 55])
    assert grid.shape == (6, 4) and grid.dtype == np.uint8 and not grid[:, 2:].any()
    assert chorales.voices_grid([[soprano._replace(end=Fraction(9, 8))], [], [], []]) is None
    assert chorales.voices_grid([[soprano._replace(start=Fraction(1, 3))], [], [], []]) is None


def test_other_keys():
    higher = chorales.transpose(GRID, 2)
    np.testing.assert_array_equal(higher[GRID > 0], GRID[GRID > 0] + 2)
    np.testing.assert_array_equal(chorales.transpose(higher, -2), GRID)
    keys = [chorales.change_key({"grid": GRID, "name": "a"}, np.random.default_rng(seed)) for seed in range(100)]
    assert {int(record["grid"][0, 0]) - int(GRID[0, 0]) for record in keys} == set(range(-4, 7))  # 40 - 5 has no token
    assert keys[0]["name"] == "a" and GRID[0, 0] == 72 + ONSET
    with pytest.raises(
        ValueError, match="Moved by 10 semitones, tones reach MIDI 50 to 82; there are tokens for 36 to 81"
    ):
        chorales.transpose(GRID, 10)


def test_records_become_batches():
    record = {"grid": GRID, "name": b"a"}
    assert set(chorales.chorale_events()(record)) == {"events"}
    padded = chorales.chorale_events(20)(record)["events"]
    assert padded.shape == (20,) and (padded[:14] != 0).all() and not padded[14:].any()
    crop = crop_events(context=8, fewest=4)(chorales.chorale_events()(record), np.random.default_rng(0))
    assert crop["inputs"].shape == crop["targets"].shape == (8,)
    with pytest.raises(ValueError, match="A piece of 14 events does not fit into 12; the longest has 3090"):
        chorales.chorale_events(12)(record)


def broken(row, voice, value):
    grid = GRID.copy()
    grid[row, voice] = value
    return grid


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (GRID.astype(int), r"A grid of int64 of shape \(3, 4\): expected uint8 \(T, 4\)"),
        (GRID[:, :3], r"of shape \(3, 3\)"),
        (broken(0, 0, 82 + ONSET), "with pitches from 40 to 82"),
        (broken(0, 0, ONSET), "with pitches from 0 to 72"),
        (broken(0, 2, 57), "At sixteenth 0 a tone goes on that has not begun"),
        (broken(2, 2, 58), "At sixteenth 2 a tone goes on"),
    ],
)
def test_what_is_no_grid(grid, message):
    with pytest.raises(ValueError, match=message):
        chorales.grid_events(grid)


def test_what_are_no_events():
    events = chorales.grid_events(GRID)
    for wrong in (np.roll(events[1:-1], 1), [TOKENS, *events[2:5]], [-1, *events[2:5]]):
        with pytest.raises(ValueError, match="no chorale events: .* the voices take turns, Soprano, Alto, Tenor, Bass"):
            chorales.events_grid(wrong)
    lasting = [3 + VALUES * voice for voice in range(4)]
    assert not chorales.events_grid(lasting).any()  # what goes on from nothing is silence


def test_other_scores_and_no_music21(monkeypatch, tmp_path):
    read = shipped.read_packaged_folder
    with pytest.raises(ValueError, match="The 408 files bwv.* inside music21 are not those .* requirements.lock"):
        read("music21", "corpus/bach", "bwv*.mxl", "0" * 64)
    monkeypatch.setattr(shipped.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(FileNotFoundError, match="music21 is not installed.*pip install music21"):
        read("music21", "corpus/bach", "bwv*.mxl", chorales.SCORES_SHA256)
    files = {"b": b"1", "a": b"2"}
    assert shipped.folder_sha256(files) != shipped.folder_sha256(dict(sorted(files.items())))
