"""Hiding bytes: shares are what was asked for, padding is never touched, words stay whole, spans do not overlap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_lab.datasets import encode_text, first_window, is_text, mask_spans, mask_words, pad_ids, random_window
from perceiver_lab.datasets.bytes import CLS, FIRST_BYTE, MASK, PAD, SEP

TEXT = b"To be, or not to be: that is the question.\nWhether 'tis nobler  in the mind"


def masked(transform, ids, seed=0):
    record = {"bytes": ids, "label": 3}
    before = ids.copy()
    out = transform(record, np.random.default_rng(seed))
    np.testing.assert_array_equal(ids, before)  # what was given stays
    assert record.keys() == {"bytes", "label"} and out["label"] == 3
    np.testing.assert_array_equal(out["targets"], before)
    assert out["hidden"].shape == out["bytes"].shape == ids.shape
    return out


def runs(hidden):
    """Lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], hidden.astype(int), [0]])))
    return (edges[1::2] - edges[::2]).tolist()


texts = st.binary(min_size=1, max_size=70)
shares = st.tuples(st.floats(0.01, 1.0), st.floats(0, 0.5), st.floats(0, 0.5))


@given(texts, st.integers(0, 9), shares, st.integers(0, 2**31), st.booleans())
def test_only_hidden_bytes_change_and_padding_is_never_hidden(text, padding, chances, seed, words):
    rate, kept, random = chances
    ids = np.concatenate([[CLS], pad_ids(encode_text(text), len(text) + padding), [SEP]]).astype(np.int32)
    make = mask_words if words else mask_spans
    out = masked(make(rate, kept=kept, random=random), ids, seed)
    assert not out["hidden"][~is_text(ids)].any()
    np.testing.assert_array_equal(out["bytes"][~out["hidden"]], ids[~out["hidden"]])
    changed = out["bytes"] != ids
    assert (changed <= out["hidden"]).all()
    assert ((out["bytes"][changed] == MASK) | (out["bytes"][changed] >= FIRST_BYTE)).all()


@given(texts, st.floats(0.01, 1.0), st.integers(0, 2**31))
def test_words_are_hidden_whole(text, rate, seed):
    ids = encode_text(text)
    out = masked(mask_words(rate), ids, seed)
    shown = bytes(b if not h else 0 for b, h in zip(text, out["hidden"], strict=True))
    words, seen = text.split(), shown.split()
    assert len(words) == len(seen)
    assert all(after in (before, bytes(len(before))) for before, after in zip(words, seen, strict=True))
    count = sum(after == bytes(len(after)) != before for before, after in zip(words, seen, strict=True))
    zeros = sum(set(word) == {0} for word in words)  # such a word looks hidden either way
    expected = rate * len(words)
    assert not words or max(1, int(expected)) - zeros <= count <= max(1, int(expected) + 1)
    assert (out["bytes"][out["hidden"]] == MASK).all()


@given(texts, st.floats(0.01, 1.0), st.integers(1, 5), st.integers(0, 2**31))
def test_spans_are_whole_and_do_not_overlap(text, rate, length, seed):
    if len(text) < length:
        return
    out = masked(mask_spans(rate, length), encode_text(text), seed)
    assert all(run % length == 0 for run in runs(out["hidden"]))
    expected, most = rate * len(text) / length, len(text) // length
    assert min(max(1, int(expected)), most) <= out["hidden"].sum() // length <= min(int(expected) + 1, most)


@pytest.mark.parametrize("transform", [mask_words(0.15), mask_spans(0.15), mask_spans(0.15, 3)])
def test_the_share_is_right_on_average_and_every_place_is_hidden_at_times(transform):
    ids = encode_text(TEXT)
    hidden = np.stack([masked(transform, ids, seed)["hidden"] for seed in range(2000)])
    letters = np.array([not bytes([byte]).isspace() for byte in TEXT])
    if transform.__qualname__.startswith("mask_words"):
        assert hidden[:, letters].mean() == pytest.approx(0.15, abs=0.01)
        assert not hidden[:, ~letters].any() and hidden[:, letters].any(axis=0).all()
    else:
        assert hidden.mean() == pytest.approx(0.15, abs=0.01) and hidden.any(axis=0).all()


def test_what_becomes_of_hidden_bytes():
    ids = encode_text(TEXT * 200)
    out = masked(mask_spans(0.5, kept=0.1, random=0.2), ids)
    hidden, seen = out["hidden"], out["bytes"]
    stays, mask = (seen == ids)[hidden].mean(), (seen == MASK)[hidden].mean()
    assert stays == pytest.approx(0.1, abs=0.02) and mask == pytest.approx(0.7, abs=0.02)
    others = seen[hidden & (seen != ids) & (seen != MASK)]
    assert others.min() >= FIRST_BYTE and len(set(others.tolist())) > 200  # any byte, not only those of the text


def test_equal_seeds_hide_the_same():
    for transform in (mask_words(0.3, random=0.5), mask_spans(0.3, 2, kept=0.5)):
        one, other = (masked(transform, encode_text(TEXT), seed=5) for _ in range(2))
        np.testing.assert_array_equal(one["bytes"], other["bytes"])


def test_white_space_alone_stays_as_it_is():
    out = masked(mask_words(0.5), encode_text(" \n\t "))
    assert not out["hidden"].any()


@given(st.integers(1, 20), st.integers(0, 10), st.integers(0, 2**31))
def test_windows(length, more, seed):
    ids = np.arange(length + more, dtype=np.int32) + 6
    first = first_window(length)({"bytes": ids}, None)["bytes"]
    somewhere = random_window(length)({"bytes": ids}, np.random.default_rng(seed))["bytes"]
    assert first.tolist() == ids[:length].tolist()
    assert somewhere.tolist() == list(range(somewhere[0], somewhere[0] + length))


def test_every_window_is_drawn():
    ids = np.arange(6, 16)
    starts = [random_window(7)({"bytes": ids}, np.random.default_rng(seed))["bytes"][0] for seed in range(100)]
    assert set(starts) == {6, 7, 8, 9}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: mask_words(0.0), "mask_words: rate=0.0, .* expected a rate above 0 and at most 1"),
        (lambda: mask_words(1.1), "mask_words: rate=1.1"),
        (
            lambda: mask_spans(0.1, kept=0.6, random=0.6),
            "mask_spans: .*kept=0.6, random=0.6; .* together are at most 1",
        ),
        (lambda: mask_spans(0.1, kept=-0.1), "kept=-0.1"),
        (lambda: mask_spans(0.1, 0), "mask_spans: the length is 0; expected a whole number of bytes, at least 1"),
        (lambda: first_window(0), "first_window: the length is 0"),
        (lambda: random_window(2.5), "random_window: the length is 2.5"),
    ],
)
def test_bad_arguments(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("transform", [mask_words(), mask_spans(), first_window(4), random_window(4)])
@pytest.mark.parametrize("ids", [None, np.zeros((2, 3), np.int32), np.array([0.5]), np.array([262]), np.array([-1])])
def test_what_is_no_text(transform, ids):
    record = {} if ids is None else {"bytes": ids}
    with pytest.raises(ValueError, match="wants a record with 'bytes', one row of ids from 0 to 261"):
        transform(record, np.random.default_rng(0))


def test_texts_that_are_too_short():
    with pytest.raises(ValueError, match="random_window wants at least 9 ids, and this text has 8"):
        random_window(9)({"bytes": np.full(8, 70)}, np.random.default_rng(0))
    padded = {"bytes": pad_ids(encode_text("ab"), 8)}
    with pytest.raises(ValueError, match="hides spans of 3 bytes, but this text has 2"):
        mask_spans(0.15, 3)(padded, np.random.default_rng(0))
    assert padded["bytes"][-1] == PAD
