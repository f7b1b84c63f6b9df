"""Bits per event of a Perceiver AR on whole documents: pictures, sounds, pieces of music."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.generation import evaluate_tokens
from perceiver_lab.ops.sequences import PAD
from perceiver_lab.recipes.masked_bytes_measure import ratio

READS = ("events",)


def predict(model: nnx.Module, batch: Mapping[str, Array]) -> Float[Array, "b n v"]:
    """Logits for the token after each of the last N events that the context holds, read from the beginning."""
    context = model.config.max_context
    places = {"positions": batch["positions"][:, :context]} if "positions" in batch else {}
    return model(batch["events"][:, :context], **places)


def nats_of_documents(
    model: nnx.Module, batches: Iterable[Mapping], stride: int | None = None
) -> tuple[Float[np.ndarray, "_"], ...]:
    """The loss of every event of whole documents, each predicted once, from windows that overlap.

    Args:
      model: a Perceiver AR.
      batches: with "events" (B, M), padded on the right, and perhaps their "positions" (B, M, axes).
      stride: events that one window scores; by default half as many as there are latents.

    Raises:
      ValueError: no batches, or a stride beyond the latents.
    """
    stride = max(model.config.num_latents // 2, 1) if stride is None else stride
    documents, positions = [], []
    for batch in batches:
        for number, row in enumerate(np.asarray(batch["events"])):
            documents.append(row[row != PAD])
            if "positions" in batch:
                positions.append(np.asarray(batch["positions"][number])[: len(documents[-1])])
    if not documents:
        raise ValueError("There was nothing to measure: make the batches anew, each iterator gives them once.")
    return evaluate_tokens(model, documents, stride=stride, positions=positions or None).nats


def bits_of_events(nats: Sequence[Float[np.ndarray, "_"]], unit: str) -> dict[str, float]:
    """What a measure says about documents whose losses are known.

    Args:
      nats: of each document.
      unit: what an event is called in the names of the metrics.

    Returns:
      "bits_per_UNIT" with its 95 % interval, of documents as they were drawn; "loss", the same in nats; "UNITs", how
      many counted; "total", documents.
    """
    sums = np.array([float(one.sum(dtype=np.float64)) / np.log(2) for one in nats])
    counts = np.array([float(len(one)) for one in nats])
    value, half = ratio(sums, counts)
    name = f"bits_per_{unit}"
    return {
        name: value,
        f"{name}_low": value - half,
        f"{name}_high": value + half,
        "loss": value * float(np.log(2)),
        f"{unit}s": int(counts.sum()),
        "total": len(nats),
    }


def measure_events(unit: str) -> Callable[[nnx.Module, Iterable[Mapping]], dict[str, float]]:
    """A recipe's measure, in bits per `unit`: see `bits_of_events`."""
    return lambda model, batches: bits_of_events(nats_of_documents(model, batches), unit)
