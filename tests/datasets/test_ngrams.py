"""Counts of neighbours against a slow count, probabilities that sum to one, and what they are worth on real text."""

import numpy as np
import pytest

from perceiver_lab.datasets import (
    NeighbourCounts,
    PrecedingCounts,
    encode_text,
    mask_spans,
    pad_ids,
    plays,
    speaker_guesses,
)

SIDES = [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (2, 1), (1, 2), (2, 2)]
TRAIN = [b"abracadabra, abracadabra!", b"a cab, a bra"]


def one_place(text, place):
    ids = encode_text(text)[None]
    hidden = np.zeros(ids.shape, bool)
    hidden[0, place] = True
    return ids, hidden


def slow(text, place, left, right, visible):
    """The same by reading the text again and again."""
    steps = [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2)]
    a = b = 0
    while a < left and place - a - 1 >= 0 and visible[place - a - 1]:
        a += 1
    while b < right and place + b + 1 < len(text) and visible[place + b + 1]:
        b += 1
    chance = 1 / 256
    for x, y in dict.fromkeys((min(x, a), min(y, b)) for x, y in steps):
        before, after, byte = text[place - x : place], text[place + 1 : place + 1 + y], text[place]
        middles = [
            run[at]
            for run in TRAIN
            for at in range(x, len(run) - y)
            if run[at - x : at] == before and run[at + 1 : at + 1 + y] == after
        ]
        total, kinds = len(middles), len(set(middles))
        if total:
            chance = (middles.count(byte) + kinds * chance) / (total + kinds)
    return -np.log2(chance)


@pytest.mark.parametrize(("left", "right"), SIDES)
def test_against_a_slow_count(left, right):
    counts, rng = NeighbourCounts(TRAIN), np.random.default_rng(0)
    for text in (b"abracadabra", b"a bra cab", b"xyz abra"):
        for place in range(len(text)):
            ids, hidden = one_place(text, place)
            visible = rng.random(ids.shape) < 0.7
            found = counts.bits(ids, hidden, visible, left=left, right=right)
            assert found == pytest.approx([slow(text, place, left, right, visible[0])])


@pytest.mark.parametrize(("left", "right"), SIDES)
def test_probabilities_sum_to_one(left, right):
    counts = NeighbourCounts(TRAIN)
    ids, hidden = one_place(b"dabra a", 3)
    rows = np.repeat(ids, 256, axis=0)
    rows[:, 3] = np.arange(256) + 6
    everywhere = np.repeat(hidden, 256, axis=0)
    bits = counts.bits(rows, everywhere, ~everywhere, left=left, right=right)
    assert (2.0**-bits).sum() == pytest.approx(1)


def test_hidden_and_padded_neighbours_are_not_looked_at():
    counts = NeighbourCounts(TRAIN)
    ids, hidden = one_place(b"abra", 1)
    alone = counts.bits(ids, hidden, np.zeros(ids.shape, bool), left=2, right=2)
    assert alone == counts.bits(ids, hidden, ~hidden, left=0, right=0)
    padded = pad_ids(ids[0], 8)[None]
    more = np.pad(hidden, ((0, 0), (0, 4)))
    for left, right in SIDES:
        plain = counts.bits(ids, hidden, ~hidden, left=left, right=right)
        assert counts.bits(padded, more, ~more, left=left, right=right) == plain


def test_order_of_the_answers_and_several_hidden():
    counts = NeighbourCounts(TRAIN, reach=1)
    ids = np.stack([encode_text("abra"), encode_text("cada")])
    hidden = np.array([[True, False, True, False], [False, True, False, False]])
    bits = counts.bits(ids, hidden, ~hidden, left=1, right=1)
    alone = []
    for row, place in zip(*hidden.nonzero(), strict=True):
        mine = np.zeros((1, 4), bool)
        mine[0, place] = True
        alone.append(counts.bits(ids[row : row + 1], mine, ~hidden[row : row + 1], left=1, right=1)[0])
    np.testing.assert_allclose(bits, alone)


def test_on_the_plays():
    """More neighbours, fewer bits; and hidden neighbours cost."""
    counts = NeighbourCounts(plays.texts("train"))
    windows = np.stack([encode_text(stretch[:64]) for stretch in plays.stretches("test")[::8]])
    mask = mask_spans(0.15)
    hidden = np.stack([mask({"bytes": row}, np.random.default_rng(i))["hidden"] for i, row in enumerate(windows)])
    seen, all_of_it = {}, {}
    for left, right in ((0, 0), (1, 0), (1, 1), (2, 2)):
        seen[left, right] = counts.bits(windows, hidden, ~hidden, left=left, right=right).mean()
        all_of_it[left, right] = counts.bits(windows, hidden, hidden | True, left=left, right=right).mean()
    assert list(seen.values()) == sorted(seen.values(), reverse=True)
    assert 4.6 < seen[0, 0] < 4.9 and 3.5 < all_of_it[1, 0] < 3.7 < seen[1, 0] < 3.9
    assert 2.1 < all_of_it[1, 1] < 2.4 < seen[1, 1] < 2.8
    assert 0.9 < all_of_it[2, 2] < 1.3 < 1.5 < seen[2, 2] < 1.9
    assert seen[0, 0] == all_of_it[0, 0]


def test_errors():
    with pytest.raises(ValueError, match="Counting wants some text and a reach of 1 or 2, got 1 texts, reach=3"):
        NeighbourCounts([b"ab"], reach=3)
    with pytest.raises(ValueError, match="wants some text"):
        NeighbourCounts([b""])
    counts = NeighbourCounts([b"ab"], reach=1)
    ids, hidden = one_place(b"abc", 1)
    with pytest.raises(ValueError, match="left=2 and right=0 must be from 0 to the reach of these counts, 1"):
        counts.bits(ids, hidden, ~hidden, left=2, right=0)
    with pytest.raises(ValueError, match=r"hidden \(1, 2\) .* must be of one shape"):
        counts.bits(ids, hidden[:, :2], ~hidden, left=1, right=0)
    with pytest.raises(ValueError, match="no byte but a special id, such as padding"):
        counts.bits(np.zeros((1, 3), np.int32), hidden, ~hidden, left=1, right=0)


def test_naive_bayes_knows_what_was_said():
    said = ["to be or not", "the quality", "to be", "quality mercy"]
    ids, labels = np.stack([pad_ids(encode_text(one), 16) for one in said]), np.array([0, 1, 0, 1])
    new = np.stack([pad_ids(encode_text(one), 16) for one in ("not to be", "mercy", "zzz")])
    for size in (1, 2, 3):
        assert speaker_guesses(ids, labels, new, num_classes=2, size=size)[:2].tolist() == [0, 1]
    unknown = speaker_guesses(ids, np.array([0, 1, 1, 1]), new[2:], num_classes=3)
    assert unknown.tolist() == [1]  # of runs that never occurred nothing is known but who speaks most


def test_naive_bayes_on_the_plays():
    pieces = {part: plays.spoken_pieces(part) for part in ("train", "test")}
    ids = {part: np.stack([pad_ids(encode_text(text), 64) for text, _ in pieces[part]]) for part in pieces}
    labels = {part: np.array([plays.SPEAKERS.index(name) for _, name in pieces[part]]) for part in pieces}
    most = np.bincount(labels["train"]).argmax()
    majority = (labels["test"] == most).mean()
    guesses = speaker_guesses(ids["train"], labels["train"], ids["test"], num_classes=10)
    assert majority == pytest.approx(62 / 548)
    assert 0.25 < (guesses == labels["test"]).mean() < 0.4


def slow_next(text, place, left):
    """Of a text's byte at a place, told `left` before it, by reading the training texts again and again."""
    chance = 1 / 256
    for length in range(min(left, place) + 1):
        before = text[place - length : place]
        after = [run[at] for run in TRAIN for at in range(length, len(run)) if run[at - length : at] == before]
        if after:
            chance = (after.count(text[place]) + len(set(after)) * chance) / (len(after) + len(set(after)))
    return -np.log2(chance)


@pytest.mark.parametrize("left", range(7))
def test_the_next_byte_against_a_slow_count(left):
    counts = PrecedingCounts(TRAIN, reach=6)
    for text in (b"abracadabra, a", b"xyz abra", b"a"):
        expected = [slow_next(text, place, left) for place in range(len(text))]
        assert counts.bits(encode_text(text), left=left) == pytest.approx(expected)


@pytest.mark.parametrize("left", [0, 1, 3])
def test_probabilities_of_the_next_byte_sum_to_one(left):
    counts = PrecedingCounts(TRAIN, reach=3)
    bits = [counts.bits(encode_text(b"abrac" + bytes([byte])), left=left)[-1] for byte in range(256)]
    assert (2.0 ** -np.array(bits)).sum() == pytest.approx(1)


def test_contexts_do_not_reach_from_one_text_into_another():
    counts = PrecedingCounts([b"aaaa", b"bbbb"], reach=1)
    assert counts.bits(encode_text(b"ab"), left=1)[1] > counts.bits(encode_text(b"ab"), left=0)[1]


def test_what_cannot_be_counted_from_the_left():
    with pytest.raises(ValueError, match="a reach of 0 to 6, got 1 texts, reach=7"):
        PrecedingCounts([b"a"], reach=7)
    with pytest.raises(ValueError, match="some text and a reach of 0 to 6, got 1 texts"):
        PrecedingCounts([b""])
    counts = PrecedingCounts(TRAIN, reach=2)
    with pytest.raises(ValueError, match="left=3 must be from 0 to the reach of these counts, 2"):
        counts.bits(encode_text(b"abc"), left=3)
    with pytest.raises(ValueError, match="the bytes of one text .* without special ids"):
        counts.bits(pad_ids(encode_text(b"abc"), 5), left=1)
