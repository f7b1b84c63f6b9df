"""Counting what follows which contexts, of bytes, of notes or of anything else that is numbered.

Contexts are interpolated without anything to tune (Witten and Bell, 1991): where a context was seen N times, before T
different symbols, its own frequencies weigh N / (N + T) and the next shorter context T / (N + T).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

NOTHING = -1  # in a context: there is nothing to know, such as before the beginning


class _Level(NamedTuple):
    """Counts of contexts of one length: keys are sorted, and a context's number is its place among them."""

    contexts: np.ndarray  # number of the shorter context * span + what is known further
    span: int
    totals: np.ndarray
    kinds: np.ndarray
    pairs: np.ndarray  # number of the context * symbols + symbol
    counts: np.ndarray


class ContextCounts:
    """How often each symbol came in which context, a context being a row of numbers, the most telling first.

    ::

        counts = ContextCounts(symbols, preceding(symbols, 3), num_symbols=256)
        bigram = counts.bits(symbols, preceding(symbols, 3), known=1).mean()
    """

    def __init__(self, symbols: Int[np.ndarray, " m"], contexts: Int[np.ndarray, "m k"], *, num_symbols: int):
        """Count.

        Args:
          symbols: numbers from 0 to num_symbols - 1.
          contexts: what is known about each before it comes, whole numbers from 0 on; from the first -1 of a row on,
            nothing is.
          num_symbols: how many different ones there are.

        Raises:
          ValueError: no symbols, other numbers, or contexts that are not one row for each.
        """
        _check(symbols, contexts, num_symbols)
        if not len(symbols):
            raise ValueError("Counting wants some symbols, got none.")
        self.num_symbols, self.reach = num_symbols, contexts.shape[1]
        self._levels, number = [], np.zeros(len(symbols), np.int64)
        for length in range(self.reach + 1):
            span = 1
            if length:
                column = contexts[:, length - 1].astype(np.int64)
                span = int(column.max(initial=0)) + 1
                number = np.where((number < 0) | (column < 0), NOTHING, number * span + column)
            seen, inverse = np.unique(number[number >= 0], return_inverse=True)
            number[number >= 0] = inverse
            here = number >= 0
            pairs, counts = np.unique(number[here] * num_symbols + symbols[here], return_counts=True)
            owners = pairs // num_symbols
            totals = np.bincount(owners, weights=counts, minlength=len(seen)).astype(np.int64)
            kinds = np.bincount(owners, minlength=len(seen))
            self._levels.append(_Level(seen, span, totals, kinds, pairs, counts))

    def bits(
        self, symbols: Int[np.ndarray, " m"], contexts: Int[np.ndarray, "m k"], *, known: int
    ) -> Float[np.ndarray, " m"]:
        """-log2 of the probability of each symbol, told the first `known` numbers of its context: (M,).

        Raises:
          ValueError: numbers that are no symbols, or more of a context than was counted.
        """
        _check(symbols, contexts, self.num_symbols)
        if not 0 <= known <= min(self.reach, contexts.shape[1]):
            raise ValueError(f"known={known} must be from 0 to what was counted, {self.reach}.")
        chance, number = np.full(len(symbols), 1 / self.num_symbols), np.zeros(len(symbols), np.int64)
        for length, level in enumerate(self._levels[: known + 1]):
            if length:
                column = contexts[:, length - 1].astype(np.int64)
                unknown = (number < 0) | (column < 0) | (column >= level.span)
                number = np.where(unknown, NOTHING, number * level.span + column)
            number = _places(level.contexts, number)
            count = _take(
                level.counts, _places(level.pairs, np.where(number < 0, -1, number * self.num_symbols + symbols))
            )
            total, kinds = _take(level.totals, number), _take(level.kinds, number)
            chance = np.where(total, (count + kinds * chance) / np.maximum(total + kinds, 1), chance)
        return -np.log2(chance)


def preceding(symbols: Int[np.ndarray, " m"], reach: int) -> Int[np.ndarray, "m k"]:
    """The symbols before each, the nearest first; -1 before the beginning."""
    padded = np.concatenate([np.full(reach, NOTHING), symbols.astype(np.int64)])
    return (
        np.stack([padded[reach - back : len(padded) - back] for back in range(1, reach + 1)], axis=1)
        if reach
        else (np.zeros((len(symbols), 0), np.int64))
    )


def _places(keys, wanted):
    """Where the wanted ones stand among sorted keys; -1 for those that are not there."""
    if not len(keys):
        return np.full(len(wanted), NOTHING)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, NOTHING)


def _take(values, places):
    return np.where(places < 0, 0, values[places]) if len(values) else np.zeros(len(places), np.int64)


def _check(symbols, contexts, num_symbols):
    if symbols.ndim != 1 or contexts.ndim != 2 or len(contexts) != len(symbols):
        raise ValueError(
            f"symbols {symbols.shape} and contexts {contexts.shape} must be (M,) and (M, K): a row for each symbol."
        )
    if symbols.size and not 0 <= symbols.min() <= symbols.max() < num_symbols:
        raise ValueError(f"Symbols from {symbols.min()} to {symbols.max()}; expected 0 to {num_symbols - 1}.")
