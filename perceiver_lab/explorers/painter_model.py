"""A model that fills hidden bytes in: its guesses, and how surprised it is by what really stands there."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool

from perceiver_lab.adapters import ByteInput
from perceiver_lab.datasets import NeighbourCounts, encode_text, is_text, pad_ids
from perceiver_lab.datasets.bytes import FIRST_BYTE, MASK

TOP = 5  # guesses that are told for each hidden byte
MANY = 32  # maskings of one text that are read together, for saved pages


class ByteFiller:
    """One model, asked about hidden bytes; its weights are those of this moment."""

    def __init__(self, model: nnx.Module, counts: NeighbourCounts | None = None):
        """Copy the weights.

        Args:
          model: reads ids through `ByteInput` and answers at each of them: `model(ids, mask=...)` -> logits.
          counts: what guessing from neighbours is worth, told beside the model's bits.

        Raises:
          ValueError: a model that does not read bytes.
        """
        adapter = getattr(model, "input_adapter", None)
        if not isinstance(adapter, ByteInput):
            raise ValueError(
                f"{type(model).__name__} does not read bytes: the mask painter takes a model whose input_adapter is a "
                "ByteInput and that answers at every byte, such as the one of the recipe bytes_perceiver_io."
            )
        graphdef, state = nnx.split(model)
        # A copy: a training step may take the model's own buffers away.
        self._state = jax.tree.map(jnp.copy, state)
        self._read = _program(graphdef)
        self.length, self.counts = adapter.positions.shape[0], counts

    def checked(self, text: str | bytes) -> str:
        """A text that the model can read.

        Raises:
          ValueError: what is no text, is empty or too long, or is no UTF-8.
        """
        try:
            content = text if isinstance(text, bytes) else text.encode("utf-8")
            read = content.decode("utf-8")
        except (AttributeError, UnicodeError) as error:
            raise ValueError(
                f"{text!r} cannot be shown as letters: a text must be UTF-8 ({error}). Give a str, or bytes that begin "
                "and end where characters do."
            ) from error
        if not 1 <= len(content) <= self.length:
            raise ValueError(
                f"The text {read[:40]!r} has {len(content)} bytes; this model reads from 1 to {self.length}. Cut it, "
                "or take a model that reads more."
            )
        return read

    def fill(self, text: str, maskings: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
        """What the model makes of a text with some bytes hidden, one answer for each masking.

        Args:
          text: of at most `length` bytes.
          maskings: the places that are hidden, numbers from 0.

        Returns:
          "guesses", for each hidden place "top", five [byte, probability] (special ids below 0), "bits", the surprise
          of what really stands there, -log2 of its probability, and "rank" of it among the guesses, 1 the likeliest;
          "bits", their mean; "counts", the mean of guesses by counting, or None.

        Raises:
          ValueError: places that are not in the text, or none.
        """
        ids = encode_text(self.checked(text))
        hidden = np.stack([_hidden(len(ids), places) for places in maskings])
        # Two shapes only, so that nothing is compiled while somebody paints.
        count = 1 if len(hidden) == 1 else MANY
        answers = []
        for start in range(0, len(hidden), count):
            part = hidden[start : start + count]
            answers += [
                self._answer(ids, row, logits) for row, logits in zip(part, self._ask(ids, part, count), strict=True)
            ]
        return answers

    def _ask(self, ids, hidden, count):
        """Log-probabilities (rows, M, V) of one text under several maskings."""
        whole = pad_ids(ids, self.length)
        rows = np.tile(whole, (count, 1))
        rows[: len(hidden), : len(ids)][hidden] = MASK
        found = self._read(self._state, rows, np.tile(is_text(whole), (count, 1)))
        return np.asarray(found)[: len(hidden), : len(ids)]

    def _answer(self, ids, hidden, log_probs):
        """One masking, in what is sent to the page."""
        places = hidden.nonzero()[0]
        own = log_probs[places, ids[places]]
        bits = -own / np.log(2)
        order = np.argsort(-log_probs[places], axis=1, kind="stable")[:, :TOP]
        shares = np.exp(np.take_along_axis(log_probs[places], order, axis=1))
        ranks = 1 + (log_probs[places] > own[:, None]).sum(axis=1)
        guesses = [
            {
                "top": [[int(i) - FIRST_BYTE, round(float(p), 5)] for i, p in zip(row, chances, strict=True)],
                "bits": round(float(b), 3),
                "rank": int(rank),
            }
            for row, chances, b, rank in zip(order, shares, bits, ranks, strict=True)
        ]
        return {"guesses": guesses, "bits": round(float(bits.mean()), 3), "counts": self._counted(ids, hidden)}

    def _counted(self, ids, hidden):
        """Mean bits of guesses from the neighbours that can be seen."""
        if self.counts is None:
            return None
        ids, hidden, reach = ids[None], hidden[None], self.counts.reach
        return round(float(self.counts.bits(ids, hidden, ~hidden, left=reach, right=reach).mean()), 3)


def _hidden(length: int, places: Sequence[int]) -> Bool[np.ndarray, " m"]:
    chosen = np.array(list(places), np.int64)
    if not chosen.size or chosen.min() < 0 or chosen.max() >= length:
        raise ValueError(
            f"The hidden places are {chosen.tolist()}; the text has {length} bytes, numbered from 0. Hide at least one "
            "of them."
        )
    hidden = np.zeros(length, bool)
    hidden[chosen] = True
    return hidden


@functools.lru_cache(maxsize=16)
def _program(graphdef):
    """Reading and answering, compiled once for each structure and number of rows."""

    @jax.jit
    def read(state, ids, mask):
        # A masked byte is a byte that is there: only padding is not attended to.
        logits = nnx.merge(graphdef, state)(ids, mask=mask)
        return jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)

    return read
