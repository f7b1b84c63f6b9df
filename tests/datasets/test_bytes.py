"""The byte tokeniser: ids as released, exact both ways, and errors that name the place."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_lab.adapters.sequences import BYTE_VOCABULARY
from perceiver_lab.datasets import bytes as tokens
from perceiver_lab.datasets import decode_ids, encode_text, hide_ids, is_text, pad_ids

VECTOR = Path(__file__).parents[1] / "parity" / "vectors" / "perceiver_io" / "model_mlm.npz"


def test_ids_are_those_of_the_release():
    assert (tokens.PAD, tokens.BOS, tokens.EOS, tokens.MASK, tokens.CLS, tokens.SEP) == (0, 1, 2, 3, 4, 5)
    assert tokens.VOCABULARY == BYTE_VOCABULARY == 262
    assert encode_text("Hi!\n").tolist() == [78, 111, 39, 16]
    assert encode_text("é").tolist() == [0xC3 + 6, 0xA9 + 6]
    assert encode_text(b"\x00\xff").tolist() == [6, 261]
    assert encode_text("Hi").dtype == np.int32
    assert encode_text("").shape == (0,) and decode_ids(encode_text("")) == ""


def test_the_ids_of_the_reference_are_ids_of_this_tokeniser():
    """What the reference model read is one row of ids, padded on the right with 0 where its mask says so."""
    with np.load(VECTOR, allow_pickle=False) as file:
        rows = [value for key, value in file.items() if key.startswith("input/") and value.dtype.kind in "iu"]
    ids = next(row for row in rows if row.ndim == 2)
    assert ids.min() >= 0 and ids.max() < tokens.VOCABULARY
    assert all(len(decode_ids(row)) <= len(row) for row in ids)


@given(st.text())
def test_texts_come_back(text):
    assert decode_ids(encode_text(text)) == text
    assert is_text(encode_text(text)).all()


@given(st.binary(max_size=40), st.integers(0, 20))
def test_padding_and_special_ids_are_not_decoded(content, more):
    ids = pad_ids(encode_text(content), len(content) + more)
    assert ids.shape == (len(content) + more,) and ids.dtype == np.int32
    assert (ids[len(content) :] == tokens.PAD).all() and is_text(ids).sum() == len(content)
    framed = np.concatenate([[tokens.CLS], ids, [tokens.SEP, tokens.BOS, tokens.EOS, tokens.MASK]])
    assert decode_ids(framed) == content.decode("utf-8", errors="replace")


def test_what_is_no_utf8_is_replaced():
    assert decode_ids([255 + 6, ord("a") + 6]) == "\ufffda"


def test_half_a_character_is_refused():
    """As files have it that were decoded with surrogateescape."""
    text = b"caf\xe9".decode("utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=r"This text has '\\udce9' at place 3, half a character.*open\(path, 'rb'\)"):
        encode_text(text)


def test_places_are_hidden():
    ids = encode_text("This is an incomplete sentence where some words are missing.")
    hidden = hide_ids(ids, slice(51, 60))
    assert decode_ids(hidden) == "This is an incomplete sentence where some words are"
    assert (hidden[51:60] == tokens.MASK).all() and ids.min() > tokens.SEP  # the ids given stay
    assert decode_ids(hide_ids(hidden, [0, 51])) == "his is an incomplete sentence where some words are"
    assert hide_ids(ids, slice(None)).tolist() == [tokens.MASK] * 60


@pytest.mark.parametrize("places", [[5], [-1], [0, 7], slice(3, 6), slice(5, 9), []])
def test_places_outside_of_the_text(places):
    padded = pad_ids(encode_text("Hello"), 8)
    with pytest.raises(ValueError, match=r"The places to hide are .* but this text has 5 bytes, numbered from 0"):
        hide_ids(padded, places)


def test_special_ids_are_not_hidden():
    with pytest.raises(ValueError, match=r"special ids and no bytes at \[0, 2\]"):
        hide_ids([tokens.CLS, 70, tokens.SEP], [0, 1, 2])


def test_a_text_that_is_too_long():
    with pytest.raises(ValueError, match="A text of 5 bytes does not fit into 4. Cut it into pieces"):
        pad_ids(encode_text("Hello"), 4)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ([262], "Ids from 262 to 262 were given, but they go from 0 to 261"),
        ([-1, 7], "Ids from -1 to 7 were given"),
        ([0.5], r"one row of whole numbers \(M,\); got float64 of shape \(1,\)"),
        ([[7, 8]], r"got int64 of shape \(1, 2\)"),
    ],
)
def test_what_are_no_ids(ids, said):
    for use in (decode_ids, lambda ids: pad_ids(ids, 9), lambda ids: hide_ids(ids, [0])):
        with pytest.raises(ValueError, match=said):
            use(np.asarray(ids))
