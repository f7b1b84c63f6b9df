"""Hiding bytes of a text, to be guessed: functions (record, rng) -> record, as in `transforms`.

A record has "bytes", ids (M,). Masking changes them and adds "targets", the ids as they were, and "hidden" (M,) bool:
True where the byte is to be guessed. Special ids, padding among them, are never hidden.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from perceiver_lab.datasets.bytes import FIRST_BYTE, MASK, VOCABULARY, is_text

Record = dict[str, Any]
Transform = Callable[[Record, np.random.Generator], Record]

WHITESPACE = np.array([byte + FIRST_BYTE for byte in b" \t\n\r\x0b\x0c"])


def first_window(length: int) -> Transform:
    """Keep the first `length` ids."""
    _check_length("first_window", length)

    def window(record, rng=None):
        return {**record, "bytes": _ids(record, "first_window", length)[:length]}

    return window


def random_window(length: int) -> Transform:
    """Keep `length` ids in a row, every place equally likely."""
    _check_length("random_window", length)

    def window(record, rng):
        ids = _ids(record, "random_window", length)
        start = int(rng.integers(len(ids) - length + 1))
        return {**record, "bytes": ids[start : start + length]}

    return window


def mask_words(rate: float = 0.15, *, kept: float = 0.0, random: float = 0.0) -> Transform:
    """Hide whole words: what stands between white space, as in Perceiver IO (2107.14795, section 4.1).

    Of W words, rate x W are hidden, rounded up or down by chance so that this is right on average, but at least one. A
    word that a window cuts counts as one. A text of nothing but white space stays as it is.

    Args:
      rate: share of the words.
      kept: share of the hidden bytes that stay as they are, although they are to be guessed.
      random: share of them that any other byte takes the place of. The rest become MASK. The release does not say what
        it did; BERT has 0.1 and 0.1 (1810.04805, section 3.1).

    Raises:
      ValueError: shares outside of [0, 1], or together above 1.
    """
    _check_shares("mask_words", rate, kept, random)

    def mask(record, rng):
        ids = _ids(record, "mask_words", 1)
        word = _words(ids)
        count = _number(rate * (word.max() + 1), rng, word.max() + 1)
        chosen = rng.choice(word.max() + 1, count, replace=False)
        return _hide(record, ids, np.isin(word, chosen), kept, random, rng)

    return mask


def mask_spans(rate: float = 0.15, length: int = 1, *, kept: float = 0.0, random: float = 0.0) -> Transform:
    """Hide spans of `length` bytes that do not overlap; with a length of 1, single bytes.

    Of a text of M bytes, rate x M / length spans are hidden, rounded up or down by chance, but at least one; all ways
    to place them are equally likely.

    Args:
      rate: share of the bytes.
      length: of a span.
      kept, random: as in `mask_words`.

    Raises:
      ValueError: shares outside of [0, 1] or together above 1, or no length; from the transform, a text shorter than
        one span.
    """
    _check_shares("mask_spans", rate, kept, random)
    _check_length("mask_spans", length)

    def mask(record, rng):
        ids = _ids(record, "mask_spans", 1)
        places = is_text(ids).nonzero()[0]
        size = len(places)
        if size < length:
            raise ValueError(
                f"mask_spans hides spans of {length} bytes, but this text has {size}. Choose shorter spans or leave "
                "such texts out."
            )
        count = _number(rate * size / length, rng, size // length)
        # Shrink every span to one byte, choose among those that are left, and widen again: none overlap.
        starts = np.sort(rng.choice(size - count * (length - 1), count, replace=False))
        starts = starts + np.arange(count) * (length - 1)
        hidden = np.zeros(len(ids), bool)
        hidden[places[(starts[:, None] + np.arange(length)).reshape(-1)]] = True
        return _hide(record, ids, hidden, kept, random, rng)

    return mask


def _words(ids):
    """The number of the word that each id belongs to, from 0; -1 between words."""
    inside = is_text(ids) & ~np.isin(ids, WHITESPACE)
    begins = inside & ~np.concatenate([[False], inside[:-1]])
    return np.where(inside, np.cumsum(begins) - 1, -1)


def _number(expected, rng, most):
    """A whole number that is `expected` on average, from 1 to `most`."""
    return min(max(int(expected + rng.random()), 1), most)


def _hide(record, ids, hidden, kept, random, rng):
    seen = ids.copy()
    seen[hidden] = MASK
    if kept or random:
        fate = rng.random(len(ids))
        stays, changes = hidden & (fate < kept), hidden & (fate >= kept) & (fate < kept + random)
        seen[stays] = ids[stays]
        # A step from 1 to 255 around the circle of bytes: any byte but the one that was there.
        steps = rng.integers(1, 256, len(ids))
        seen[changes] = ((ids - FIRST_BYTE + steps) % 256 + FIRST_BYTE)[changes]
    return {**record, "bytes": seen, "targets": ids, "hidden": hidden}


def _ids(record, name, at_least):
    ids = np.asarray(record.get("bytes"))
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or ids.min(initial=0) < 0 or ids.max(initial=0) >= VOCABULARY:
        raise ValueError(
            f"{name} wants a record with 'bytes', one row of ids from 0 to {VOCABULARY - 1}; got "
            f"{sorted(record)} with {ids.dtype} of shape {ids.shape}. encode_text(text) makes ids."
        )
    if len(ids) < at_least:
        raise ValueError(f"{name} wants at least {at_least} ids, and this text has {len(ids)}. Use longer texts.")
    return ids


def _check_length(name, length):
    if not isinstance(length, int | np.integer) or isinstance(length, bool) or length < 1:
        raise ValueError(f"{name}: the length is {length!r}; expected a whole number of bytes, at least 1.")


def _check_shares(name, rate, kept, random):
    if not (0 < rate <= 1 and kept >= 0 and random >= 0 and kept + random <= 1):  # NaN is none of these
        raise ValueError(
            f"{name}: rate={rate}, kept={kept}, random={random}; expected a rate above 0 and at most 1, and shares of "
            "the hidden bytes from 0 that together are at most 1."
        )
