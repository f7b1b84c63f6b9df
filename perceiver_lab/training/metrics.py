"""Metrics: what is reported, with the interval that belongs to it."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

# Two-sided quantile of the normal distribution for 95 %.
Z_95 = 1.959963984540054


def accuracy(logits: Float[Array, "b k"], labels: Int[Array, " b"] | Float[Array, "b k"]) -> Float[Array, ""]:
    """The share of examples (B,) whose largest logit of (B, K) is that of the label, float32.

    Of labels that are distributions (B, K), as after mixing pictures, the class with the largest part counts. A row of
    logits that holds a NaN is wrong, whatever its label.
    """
    if labels.ndim == 2:
        labels = jnp.argmax(labels, axis=-1)
    right = (jnp.argmax(logits, axis=-1) == labels) & ~jnp.isnan(logits).any(axis=-1)
    return jnp.mean(right.astype(jnp.float32))


def top_k_accuracy(logits: Float[Array, "b k"], labels: Int[Array, " b"], k: int) -> Float[Array, ""]:
    """The share of examples whose label is among the k largest logits; ties count against the model.

    A row of logits that holds a NaN and a label that is no class are wrong.

    Raises:
      ValueError: k is not between 1 and the number of classes.
    """
    if not 1 <= k <= logits.shape[-1]:
        raise ValueError(f"k must lie between 1 and the number of classes {logits.shape[-1]}, got {k}.")
    known = (labels >= 0) & (labels < logits.shape[-1]) & ~jnp.isnan(logits).any(axis=-1)
    own = jnp.take_along_axis(logits, jnp.where(known, labels, 0)[:, None], axis=-1)
    at_least = jnp.sum(logits >= own, axis=-1)  # counts the label itself
    return jnp.mean((known & (at_least <= k)).astype(jnp.float32))


def wilson_interval(correct: int, total: int, *, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a proportion: 95 % by default.

    Unlike p +- z s it stays inside [0, 1] and does not shrink to nothing at 0 or 100 % correct (Wilson, JASA 1927).

    Args:
      correct: number of successes.
      total: number of trials.
      z: quantile of the normal distribution.

    Returns:
      (low, high).

    Raises:
      ValueError: no trials, or more successes than trials.
    """
    if total < 1 or not 0 <= correct <= total:
        raise ValueError(f"wilson_interval needs 0 <= correct <= total and total >= 1, got {correct} of {total}.")
    share = correct / total
    centre = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    # Exactly 0 and 1 at the ends, where rounding would leave 1e-18.
    low = 0.0 if correct == 0 else (centre - spread) / scale
    high = 1.0 if correct == total else (centre + spread) / scale
    return low, high


def mean_interval(name: str, values: np.ndarray) -> dict[str, float]:
    """The mean of values (n,), at least two, with its 95 % interval: `name`, `name`_low and `name`_high."""
    half = Z_95 * values.std(ddof=1) / np.sqrt(len(values))
    value = float(values.mean())
    return {name: value, f"{name}_low": float(value - half), f"{name}_high": float(value + half)}


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Counted successes; prints as "97.3 % (289 of 297, 95 % interval 94.8-98.6 %)"."""

    correct: int
    total: int

    def __post_init__(self):
        wilson_interval(self.correct, self.total)

    @property
    def value(self) -> float:
        """The share of correct answers."""
        return self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval."""
        return wilson_interval(self.correct, self.total)

    def __str__(self):
        low, high = self.interval
        return (
            f"{100 * self.value:.1f} % ({self.correct} of {self.total}, "
            f"95 % interval {100 * low:.1f}-{100 * high:.1f} %)"
        )


def confusion(
    labels: Int[np.ndarray, " n"], predictions: Int[np.ndarray, " n"], num_classes: int
) -> Int[np.ndarray, "k k"]:
    """How often class i was taken for class j: (num_classes, num_classes) int64, rows = labels.

    Raises:
      ValueError: another number of predictions than of labels, or a number that is no class.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    both = np.concatenate([labels.ravel(), predictions.ravel()])
    if labels.shape != predictions.shape or both.min(initial=0) < 0 or both.max(initial=0) >= num_classes:
        raise ValueError(
            f"confusion got {labels.size} labels and {predictions.size} predictions from {both.min(initial=0)} to "
            f"{both.max(initial=0)}; expected as many of each, from 0 to num_classes - 1 = {num_classes - 1}."
        )
    table = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(table, (labels, predictions), 1)
    return table
