"""Measuring a classifier on a whole split."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from perceiver_lab.training.forward import Batch, forward, split_records
from perceiver_lab.training.metrics import Accuracy


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a model said about every record of a split.

    Attributes:
      logits: (n, K) float32, in the order of the batches.
      labels: (n,) int64.
      records: (n,) int64, the records' numbers, or -1 where the batches have none.
    """

    logits: Float[np.ndarray, "n k"]
    labels: Int[np.ndarray, " n"]
    records: Int[np.ndarray, " n"]

    @property
    def predictions(self) -> Int[np.ndarray, " n"]:
        """The class of the largest logit of each record."""
        return self.logits.argmax(axis=-1)

    @property
    def accuracy(self) -> Accuracy:
        """Counted, with its 95 % interval. A record with a logit that is no number counts as wrong."""
        finite = np.isfinite(self.logits).all(axis=-1)
        return Accuracy(correct=int(((self.predictions == self.labels) & finite).sum()), total=len(self.labels))

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        logits = self.logits.astype(np.float64)
        shifted = logits - logits.max(axis=-1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return float(-np.take_along_axis(log_probs, self.labels[:, None], axis=-1).mean())

    def as_dict(self) -> dict[str, float | int]:
        """The numbers that are stored: accuracy, its interval, the counts and the loss."""
        counted = self.accuracy
        low, high = counted.interval
        return {
            "accuracy": counted.value,
            "accuracy_low": low,
            "accuracy_high": high,
            "correct": counted.correct,
            "total": counted.total,
            "loss": self.loss,
        }


def evaluate(model: nnx.Module, batches: Iterable[Batch]) -> Evaluation:
    """Run a model over batches, without dropout and without updating anything.

    Compiled once per model structure and batch shape; a smaller last batch is filled up rather than compiled anew.

    Args:
      model: called as `model(image, train=False)`, with `positions=` where the batch has them.
      batches: finite, dicts with "image", "label" and perhaps "positions" and "record".

    Raises:
      ValueError: no batches.
    """
    graphdef, state = nnx.split(model)
    logits, labels, records, full = [], [], [], 0
    for batch in batches:
        arrays, numbers = split_records(batch)
        label = np.asarray(arrays.pop("label"))
        full = max(full, len(label))
        # Only what the model reads, so that a new bystander in the batch compiles nothing anew.
        inputs = {key: _fill(arrays[key], full) for key in ("image", "positions") if key in arrays}
        logits.append(np.asarray(_logits(graphdef, state, inputs))[: len(label)])
        labels.append(label.astype(np.int64))
        records.append(np.full(len(label), -1) if numbers is None else numbers)
    if not labels:
        raise ValueError(
            "evaluate got no batches. An iterator that was used up gives none: make a new one, with repeat=False."
        )
    return Evaluation(logits=np.concatenate(logits), labels=np.concatenate(labels), records=np.concatenate(records))


@functools.partial(jax.jit, static_argnums=0)
def _logits(graphdef, state, inputs):
    return forward(nnx.merge(graphdef, state), inputs)


def _fill(array, size):
    """Repeat the last row until there are `size`."""
    if len(array) == size:
        return array
    return np.concatenate([array, np.repeat(array[-1:], size - len(array), axis=0)])
