"""Nats and bits per token of a Perceiver AR on whole chorales, and what counting is worth beside it."""

from collections.abc import Iterable, Mapping

import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.datasets import chorales
from perceiver_lab.generation import evaluate_tokens
from perceiver_lab.ops.sequences import PAD
from perceiver_lab.recipes.masked_bytes_measure import ratio

READS = ("events",)


def predict(model: nnx.Module, batch: Mapping[str, Array]) -> Float[Array, "b n v"]:
    """Logits for the token after each of the last N events that the context holds, read from the beginning."""
    return model(batch["events"][:, : model.config.max_context])


def measure_chorales(model: nnx.Module, batches: Iterable[Mapping], stride: int | None = None) -> dict[str, float]:
    """Every token of the test pieces, each predicted once, from windows that overlap.

    Args:
      model: a Perceiver AR.
      batches: with "events" (B, M), padded on the right.
      stride: tokens that one window scores; by default half as many as there are latents.

    Returns:
      "bits_per_token" with its 95 % interval, of pieces as they were drawn; "loss", the same in nats;
      "bits_per_sixteenth", of the four voices together; "tokens", how many counted; "total", pieces.

    Raises:
      ValueError: no batches, or a stride beyond the latents.
    """
    stride = max(model.config.num_latents // 2, 1) if stride is None else stride
    pieces = [row[row != PAD] for batch in batches for row in np.asarray(batch["events"])]
    if not pieces:
        raise ValueError("There were no pieces to measure: make the batches anew, each iterator gives them once.")
    nats = evaluate_tokens(model, pieces, stride=stride).nats
    sums = np.array([float(one.sum(dtype=np.float64)) / np.log(2) for one in nats])
    counts = np.array([float(len(one)) for one in nats])
    value, half = ratio(sums, counts)
    return {
        "bits_per_token": value,
        "bits_per_token_low": value - half,
        "bits_per_token_high": value + half,
        "loss": value * float(np.log(2)),
        "bits_per_sixteenth": float(sums.sum() / ((counts - 1) / len(chorales.VOICES)).sum()),
        "tokens": int(counts.sum()),
        "total": len(pieces),
    }
