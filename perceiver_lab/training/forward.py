"""From a batch to logits and to a loss: what every classifier of the lab does with a batch."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.training.losses import cross_entropy
from perceiver_lab.training.metrics import accuracy

Batch = Mapping[str, Any]
# (model, batch, rngs) -> (loss, further numbers to report)
LossFunction = Callable[[nnx.Module, Batch, nnx.Rngs], tuple[Float[Array, ""], dict[str, Float[Array, ""]]]]


def forward(
    model: nnx.Module, batch: Batch, *, train: bool = False, rngs: nnx.Rngs | None = None
) -> Float[Array, "b k"]:
    """The logits (B, K) of a batch with "image" and perhaps "positions".

    Positions are handed over only where the batch has them, so models that know none (a ConvNet) work as well.
    """
    places = {"positions": batch["positions"]} if "positions" in batch else {}
    return model(batch["image"], train=train, rngs=rngs, **places)


def classification_loss(label_smoothing: float = 0.0) -> LossFunction:
    """The loss of a classifier in training: cross-entropy with "label", and the accuracy on the same batch.

    "label" is class numbers (B,) or, where pictures are mixed, distributions over the classes (B, K).
    """

    def loss_fn(model, batch, rngs):
        logits = forward(model, batch, train=True, rngs=rngs)
        loss = cross_entropy(logits, batch["label"], label_smoothing=label_smoothing)
        return loss, {"accuracy": accuracy(logits, batch["label"])}

    return loss_fn


def split_records(batch: Batch) -> tuple[dict[str, Any], np.ndarray | None]:
    """The arrays for the device, and the records' numbers (B,) int64, which stay on the host.

    Numbers and texts that are no arrays of numbers stay behind too.
    """
    arrays = {}
    for key, value in batch.items():
        if key != "record" and (isinstance(value, jax.Array) or np.asarray(value).dtype.kind in "biuf"):
            arrays[key] = value
    records = batch.get("record")
    return arrays, None if records is None else np.asarray(records)
