"""What counting says about a hidden byte, the next byte and a speaker: the baselines of the models that read bytes.

Everything is counted on the training text and interpolated without anything to tune, as `contexts` describes.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from perceiver_lab.datasets.bytes import FIRST_BYTE, VOCABULARY, encode_text, is_text
from perceiver_lab.datasets.contexts import ContextCounts, preceding

_BASE = 2**9  # above the vocabulary; five ids take 45 bits
BYTES = VOCABULARY - FIRST_BYTE


class NeighbourCounts:
    """How often a byte stood between which neighbours: up to `reach` on either side.

    ::

        counts = NeighbourCounts(plays.texts("train"))
        unigram = counts.bits(targets, hidden, visible, left=0, right=0)
        bigram = counts.bits(targets, hidden, visible, left=1, right=0)
        both = counts.bits(targets, hidden, visible, left=1, right=1)
    """

    def __init__(self, texts: Sequence[bytes], reach: int = 2):
        """Count.

        Args:
          texts: runs of text; a context does not reach from one into another.
          reach: 1 or 2 neighbours on either side.

        Raises:
          ValueError: no text, or another reach.
        """
        if not sum(map(len, texts)) or reach not in (1, 2):
            raise ValueError(f"Counting wants some text and a reach of 1 or 2, got {len(texts)} texts, reach={reach}.")
        self.reach = reach
        runs = [encode_text(text).astype(np.int64) for text in texts]
        sizes = range(reach + 1)
        self._tables = {(left, right): _count(runs, left, right) for left in sizes for right in sizes}

    def bits(
        self,
        ids: Int[np.ndarray, "b m"],
        hidden: Bool[np.ndarray, "b m"],
        visible: Bool[np.ndarray, "b m"],
        *,
        left: int,
        right: int,
    ) -> Float[np.ndarray, " k"]:
        """-log2 of the probability of each hidden byte, row by row: (K,).

        Args:
          ids: what really stands there (B, M).
          hidden: what is to be guessed.
          visible: what a guess may look at. `~hidden` is what a model sees. With all True a guess sees every neighbour,
            hidden or not, which no model does: that is how a text is usually counted.
          left, right: how many neighbours on either side a guess may use. It uses those that are visible in one run up
            to the byte, inside of the window.

        Raises:
          ValueError: arrays that do not fit, a neighbour beyond `reach`, or hidden ids that are no bytes.
        """
        if not (ids.shape == hidden.shape == visible.shape and ids.ndim == 2):
            raise ValueError(
                f"ids {ids.shape}, hidden {hidden.shape} and visible {visible.shape} must be of one shape (B, M)."
            )
        if not 0 <= left <= self.reach or not 0 <= right <= self.reach:
            raise ValueError(
                f"left={left} and right={right} must be from 0 to the reach of these counts, {self.reach}."
            )
        if not is_text(ids[hidden]).all():
            raise ValueError("Some of what is hidden is no byte but a special id, such as padding. Hide bytes only.")
        rows, places = hidden.nonzero()
        usable = visible & is_text(ids)
        before = _run(usable, rows, places, -1, left)
        after = _run(usable, rows, places, 1, right)
        probabilities = np.empty(len(rows))
        for a in range(left + 1):
            for b in range(right + 1):
                here = (before == a) & (after == b)
                probabilities[here] = self._probability(ids.astype(np.int64), rows[here], places[here], a, b)
        return -np.log2(probabilities)

    def _probability(self, ids, rows, places, left, right):
        """Of the true byte, between the two nearest contexts and ever longer ones."""
        return _interpolated(self._tables, _contexts(left, right), ids, rows, places)


class PrecedingCounts:
    """How often a byte came after which bytes: n-grams that read from left to right, as a language model does.

    ::

        counts = PrecedingCounts(plays.texts("train"))
        bigram = counts.bits(ids, left=1).mean()
    """

    def __init__(self, texts: Sequence[bytes], reach: int = 5):
        """Count.

        Args:
          texts: runs of text; a context does not reach from one into another.
          reach: bytes before, at most 6.

        Raises:
          ValueError: no text, or another reach.
        """
        if not sum(map(len, texts)) or reach not in range(7):
            raise ValueError(f"Counting wants some text and a reach of 0 to 6, got {len(texts)} texts, reach={reach}.")
        runs = [np.frombuffer(text, np.uint8).astype(np.int64) for text in texts]
        contexts = np.concatenate([preceding(run, reach) for run in runs])
        self.reach, self._counts = reach, ContextCounts(np.concatenate(runs), contexts, num_symbols=BYTES)

    def bits(self, ids: Int[np.ndarray, " m"], *, left: int) -> Float[np.ndarray, " m"]:
        """-log2 of the probability of every byte of a text, told those before it: (M,).

        Args:
          ids: of one text, bytes only.
          left: how many bytes before it a guess may use; the first ones have fewer.

        Raises:
          ValueError: ids that are no bytes, or a context beyond `reach`.
        """
        if ids.ndim != 1 or not is_text(ids).all():
            raise ValueError(f"ids must be those of the bytes of one text (M,), without special ids; got {ids.shape}.")
        if not 0 <= left <= self.reach:
            raise ValueError(f"left={left} must be from 0 to the reach of these counts, {self.reach}.")
        symbols = ids.astype(np.int64) - FIRST_BYTE
        return self._counts.bits(symbols, preceding(symbols, left), known=left)


def speaker_guesses(
    train_ids: Int[np.ndarray, "b m"],
    labels: Int[np.ndarray, " b"],
    ids: Int[np.ndarray, "n m"],
    *,
    num_classes: int,
    size: int = 3,
) -> Int[np.ndarray, " n"]:
    """Who speaks, by naive Bayes on all runs of `size` bytes, each counted once more than it occurred.

    Args:
      train_ids, labels: texts with known speakers, padded.
      ids: texts to guess.
      num_classes: how many speakers there are.
      size: bytes in a run. Runs that never occurred in training say nothing.

    Returns:
      The guesses (N,) int64.
    """
    keys, owners = _grams(train_ids, size)
    known, columns = np.unique(keys, return_inverse=True)
    counts = np.ones((num_classes, len(known)))
    np.add.at(counts, (labels[owners], columns), 1)
    likelihood = np.log(counts / counts.sum(axis=1, keepdims=True))
    keys, owners = _grams(ids, size)
    columns = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    seen = known[columns] == keys
    prior = np.bincount(labels, minlength=num_classes) / len(labels)
    scores = np.tile(np.log(np.maximum(prior, 1e-12)), (len(ids), 1))
    np.add.at(scores, owners[seen], likelihood.T[columns[seen]])
    return scores.argmax(axis=1)


def _grams(ids, size):
    """All runs of `size` bytes as numbers, and the rows that they are from."""
    windows = np.lib.stride_tricks.sliding_window_view(ids.astype(np.int64), size, axis=1)
    rows, places = is_text(windows).all(axis=-1).nonzero()
    return windows[rows, places] @ _BASE ** np.arange(size), rows


def _interpolated(tables, contexts, ids, rows, places):
    """The probability of the ids at some places, from the shortest context to the longest."""
    chance = np.full(len(rows), 1 / BYTES)
    for left, right in contexts:
        context, key = _keys(ids, rows, places, left, right)
        counts, totals = tables[left, right]
        count = _look_up(counts, key)[0]
        total, kinds = _look_up(totals, context)
        chance = (count + kinds * chance) / np.maximum(total + kinds, 1) + np.where(total, 0, chance)
    return chance


def _contexts(left, right):
    """(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), as far as there are neighbours."""
    steps = ((min((n + 1) // 2, left), min(n // 2, right)) for n in range(2 * max(left, right) + 1))
    return list(dict.fromkeys(steps))


def _keys(ids, rows, places, left, right):
    """The contexts as numbers, and the contexts with the byte in the middle."""
    context = np.zeros(len(rows), np.int64)
    for offset in (*range(-left, 0), *range(1, right + 1)):
        context = context * _BASE + ids[rows, places + offset]
    return context, context * _BASE + ids[rows, places]


def _count(runs, left, right):
    """((keys, counts), (contexts, totals, different bytes)), both sorted."""
    keys = []
    for run in runs:
        places = np.arange(left, len(run) - right)
        keys.append(_keys(run[None], np.zeros(len(places), int), places, left, right)[1])
    keys, counts = np.unique(np.concatenate(keys), return_counts=True)
    contexts, firsts, kinds = np.unique(keys // _BASE, return_index=True, return_counts=True)
    totals = np.add.reduceat(counts, firsts) if len(counts) else counts
    return (keys, counts), (contexts, totals, kinds)


def _look_up(table, keys):
    """The columns of a table at some keys, 0 where it has none."""
    known, *columns = table
    if not len(known):
        return [np.zeros(len(keys), np.int64) for _ in columns]
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    there = known[places] == keys
    return [np.where(there, column[places], 0) for column in columns]


def _run(usable, rows, places, step, most):
    """How many usable neighbours follow each other from a place on, at most `most`."""
    width, count, going = usable.shape[1], np.zeros(len(rows), int), np.ones(len(rows), bool)
    for distance in range(1, most + 1):
        there = places + step * distance
        inside = (there >= 0) & (there < width)
        going = going & inside & usable[rows, np.clip(there, 0, width - 1)]
        count += going
    return count
