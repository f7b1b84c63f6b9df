"""Questions about the plays: labels are what the text says, and no answer is a good guess."""

import collections

import numpy as np
import pytest

from perceiver_lab.datasets import decode_ids, load, play_tasks, plays
from perceiver_lab.datasets.play_tasks import PLAYS, TASKS, labelled_pieces

FIRST_WORDS = (
    b"First Citizen:\nBefore we proceed",
    b"GLOUCESTER:\nNow is the winter",
    b"KING RICHARD II:\nOld John of Gaunt",
    b"SAMPSON:\nGregory",
    b"WARWICK:\nI wonder how the king",
    b"ARCHIDAMUS:\nIf you shall chance",
    b"DUKE VINCENTIO:\nEscalus.",
    b"SLY:\nI'll pheeze you",
    b"Master:\nBoatswain!",
)


def test_plays_begin_where_they_say():
    text = plays.whole_text()
    for (_, kind, begin), words in zip(PLAYS, FIRST_WORDS, strict=True):
        assert text[begin:].startswith(words) and (begin == 0 or text[:begin].endswith(b"\n\n"))
        assert kind in TASKS["kind"]


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("task", TASKS)
def test_pieces_have_a_label_and_no_label_is_a_good_guess(task, part):
    found = labelled_pieces(task, part)
    assert all(32 <= len(piece) <= 64 for piece, _ in found)
    shares = collections.Counter(label for _, label in found)
    assert set(shares) == set(TASKS[task])
    assert max(shares.values()) / len(found) < {"speaker": 0.2, "kind": 0.5, "verse": 0.6, "continues": 0.51}[task]


def test_tasks_have_about_as_many_pieces_in_training():
    counts = [len(labelled_pieces(task, "train")) for task in TASKS]
    assert max(counts) < 1.5 * min(counts)


def test_what_is_tested_is_not_read_in_training():
    training = b"\n\n\n".join(plays.texts("train"))
    for task in ("kind", "speaker"):
        pieces = [piece for piece, _ in labelled_pieces(task, "test")]
        assert sum(piece in training for piece in pieces) <= 0.002 * len(pieces)  # some lines of the plays return
    whole = training.replace(b"\n", b" ")
    assert sum(piece in whole for piece, _ in labelled_pieces("verse", "test")) == 0


def test_verse_and_prose_by_hand():
    verse = (b"Now is the winter", b"Made glorious summer", b"And all the clouds")
    assert play_tasks.is_verse(verse) is True
    assert play_tasks.is_verse((b"If you shall chance, Camillo,", b"the like occasion", b"on foot, you shall")) is False
    assert play_tasks.is_verse(verse[:2]) is None
    assert play_tasks.is_verse((*verse, *verse, b"and")) is None  # one line of seven runs on
    assert not any(b"\n" in piece for piece, _ in labelled_pieces("verse", "test"))


@pytest.mark.parametrize("part", ["train", "test"])
def test_halves(part):
    text = plays.whole_text()
    found = labelled_pieces("continues", part)
    assert all(len(piece) == 64 for piece, _ in found)
    for piece, label in found[:200]:
        assert piece[:32] in text and piece[32:] in text
        assert (piece in text) == (label == "continues")


def test_what_there_is_not():
    with pytest.raises(ValueError, match="There is no task 'mood'; there are speaker, kind, verse, continues"):
        labelled_pieces("mood", "train")
    with pytest.raises(ValueError, match="part must be 'train' or 'test', got 'lab'"):
        labelled_pieces("kind", "lab")


def test_records(prepared):
    whole = load("play_tasks", "test", data_dir=prepared)
    each = {task: load("play_tasks", f"test_{task}", data_dir=prepared) for task in TASKS}
    assert len(whole) == sum(map(len, each.values())) == sum(len(labelled_pieces(task, "test")) for task in TASKS)
    first = [whole[index] for index in range(100)]
    assert {record["task"] for record in first} == {0, 1, 2, 3}
    for number, (task, records) in enumerate(each.items()):
        known = {piece.decode(): label for piece, label in labelled_pieces(task, "test")}
        for record in (records[index] for index in range(0, len(records), 50)):
            assert record["task"] == number and record["bytes"].shape == (64,)
            assert known[decode_ids(record["bytes"])] == TASKS[task][record["label"]]
        labels = np.array([records[index]["label"] for index in range(len(records))])
        assert (np.diff(labels) != 0).mean() > 0.2  # mixed
