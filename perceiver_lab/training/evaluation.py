"""Measuring a model on a whole split: any model's answers batch by batch, and what a classifier's are worth."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.training.forward import Batch, forward
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


def evaluate(
    model: nnx.Module,
    batches: Iterable[Batch],
    predict: Callable[[nnx.Module, Batch], Float[Array, "b k"]] = forward,
    reads: Sequence[str] = ("image", "positions"),
) -> Evaluation:
    """Run a model over batches, without dropout and without updating anything.

    Compiled once per model structure and batch shape; a smaller last batch is filled up rather than compiled anew.

    Args:
      model: by default called as `model(image, train=False)`, with `positions=` where the batch has them.
      batches: finite, dicts with what is read, with "label" and perhaps "record".
      predict, reads: as in `answers`; logits (B, K).

    Raises:
      ValueError: no batches.
    """
    logits, labels, records = [], [], []
    for batch, said in answers(model, batches, predict, reads):
        logits.append(said)
        labels.append(np.asarray(batch["label"]).astype(np.int64))
        records.append(batch.get("record", np.full(len(said), -1)))
    return Evaluation(logits=np.concatenate(logits), labels=np.concatenate(labels), records=np.concatenate(records))


def classifier_metrics(model: nnx.Module, batches: Iterable[Batch]) -> dict[str, float | int]:
    """What a recipe measures unless it says otherwise: `evaluate(model, batches).as_dict()`."""
    return evaluate(model, batches).as_dict()


def answers(
    model: nnx.Module,
    batches: Iterable[Batch],
    predict: Callable[[nnx.Module, Batch], Any] = forward,
    reads: Sequence[str] = ("image", "positions"),
) -> Iterator[tuple[Batch, Any]]:
    """Each batch with what a model says about it, without dropout and without updating anything.

    Compiled once per model structure and batch shape; a smaller last batch is filled up rather than compiled anew.

    Args:
      model: any module.
      batches: finite, dicts of arrays with one row per record.
      predict: (model, batch) -> an array, or a nest of them, with one row per record.
      reads: what `predict` reads of a batch where it is there; nothing else is handed over.

    Yields:
      (batch, answer), the answer as NumPy arrays.

    Raises:
      ValueError: no batches.
    """
    graphdef, state = nnx.split(model)
    full = 0
    for batch in batches:
        # Only what the model reads, so that a new bystander in the batch compiles nothing anew.
        inputs = {key: batch[key] for key in reads if key in batch}
        size = len(next(iter(inputs.values())))
        full = max(full, size)
        said = _answer(graphdef, predict, state, {key: _fill(array, full) for key, array in inputs.items()})
        yield batch, jax.tree.map(lambda array, size=size: np.asarray(array)[:size], said)
    if not full:
        raise ValueError(
            "There were no batches to evaluate. An iterator that was used up gives none: make a new one, with "
            "repeat=False."
        )


@functools.partial(jax.jit, static_argnums=(0, 1))
def _answer(graphdef, predict, state, inputs):
    return predict(nnx.merge(graphdef, state), inputs)


def _fill(array, size):
    """Repeat the last row until there are `size`."""
    if len(array) == size:
        return array
    return np.concatenate([array, np.repeat(array[-1:], size - len(array), axis=0)])
