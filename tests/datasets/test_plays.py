"""The plays: nothing that is read in training is tested, whatever the task, and speeches are whose they say."""

import collections
import itertools

import numpy as np
import pytest

from perceiver_lab.datasets import decode_ids, encode_text, is_text, load, plays


def test_runs_of_the_two_parts_fill_the_text_and_do_not_overlap():
    runs = sorted([*plays.ranges("train"), *plays.ranges("test")])
    assert (runs[0][0], runs[-1][1]) == (0, len(plays.whole_text())) and len(plays.whole_text()) == 1_115_394
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(runs))
    assert {end - start for start, end in plays.ranges("test")} == {8192} and len(plays.ranges("test")) == 17
    assert plays.ranges("train", size=60_000) == [(0, 57_344)] and plays.ranges("test", size=60_000) == [
        (57_344, 60_000)
    ]
    with pytest.raises(ValueError, match="part must be 'train' or 'test', got 'validation'"):
        plays.ranges("validation")


def test_no_test_window_is_read_in_training():
    """By content: of windows of 64 bytes, hardly any occurs in the training text, and those are where plays repeat."""
    training = b"\n\n\n".join(plays.texts("train"))
    windows = [stretch[:64] for stretch in plays.stretches("test")]
    assert len(windows) == 2159
    assert sum(window in training for window in windows) == 0


def test_windows_of_the_test_do_not_overlap():
    joined = b"".join(stretch[:64] for stretch in plays.stretches("test")[:127])
    assert joined == plays.texts("test")[0][: 127 * 64]


def test_speeches_are_where_they_say():
    text, speeches = plays.whole_text(), plays.speeches()
    assert len(speeches) == 7097
    for speech in (speeches[0], speeches[1234], speeches[-1]):
        assert text[speech.start : speech.start + len(speech.words)] == speech.words
        assert text[: speech.start].endswith(speech.speaker.encode() + b":\n")
    assert speeches[0].speaker == "First Citizen"
    assert speeches[0].words == b"Before we proceed any further, hear me speak."


def test_what_is_no_speech_is_a_name_without_words():
    names = {speech.speaker for speech in plays.speeches()}
    blocks = [block for block in plays.whole_text().split(b"\n\n") if b":\n" not in block]
    assert len(blocks) == 125
    assert all(b"\n" not in block.strip() and block.strip().endswith(b":") for block in blocks)
    assert sum(block.strip()[:-1].decode() in names for block in blocks) > 100
    assert len(names) == 299 and not any("\n" in name or ":" in name for name in names)


def test_the_speakers_are_those_who_say_most():
    said = collections.Counter()
    for speech in plays.speeches():
        said[speech.speaker] += len(speech.words)
    assert tuple(name for name, _ in said.most_common(len(plays.SPEAKERS))) == plays.SPEAKERS


@pytest.mark.parametrize("part", ["train", "test"])
def test_pieces_are_said_by_their_speaker_inside_of_their_part(part):
    pieces = plays.spoken_pieces(part)
    text = b"\n\n\n".join(plays.texts(part))
    assert all(32 <= len(piece) <= 64 and piece in text for piece, _ in pieces)
    assert not any(name.encode() + b":" in piece for piece, _ in pieces for name in plays.SPEAKERS)
    shares = np.array([sum(name == speaker for _, name in pieces) for speaker in plays.SPEAKERS]) / len(pieces)
    assert shares.max() < 0.16 and shares.min() > 0.06  # no speaker is a good guess


def test_records(prepared):
    stretches = load("shakespeare", "train", data_dir=prepared)
    assert (len(stretches), len(load("shakespeare", "test", data_dir=prepared))) == (15_234, 2_159)
    assert decode_ids(stretches[0]["bytes"]).startswith("First Citizen:\nBefore we proceed")
    np.testing.assert_array_equal(stretches[1]["bytes"][:64], stretches[0]["bytes"][64:])
    spoken = load("shakespeare/speakers", "test", data_dir=prepared)
    assert (len(load("shakespeare/speakers", "train", data_dir=prepared)), len(spoken)) == (3_497, 548)
    pieces = plays.spoken_pieces("test")
    for index in (0, 100, 547):
        record, (piece, speaker) = spoken[index], pieces[index]
        assert decode_ids(record["bytes"]) == piece.decode() and record["bytes"].shape == (64,)
        assert is_text(record["bytes"]).sum() == len(encode_text(piece))
        assert plays.SPEAKERS[record["label"]] == speaker
    assert "public domain" in spoken.dataset_info.redistribution_info.license
