"""The four questions about a scene: what is asked, and how far an answer is off."""

from collections.abc import Mapping

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Shaped

from perceiver_lab.datasets.scenes import KINDS, MAX_SHAPES
from perceiver_lab.ops import take_cells
from perceiver_lab.training import accuracy, cross_entropy

# What each task answers with: the kind of the largest shape, a colour, the number of shapes, what is at a point.
OUTPUTS = {"class": len(KINDS), "colour": 3, "count": MAX_SHAPES, "kind": 1 + len(KINDS)}
POINT_TASKS = ("colour", "kind")  # asked at points; the others are asked once
# With equal weights the two single queries pull hardest at first, and the points are not learnt for a long time.
WEIGHTS = {"class": 0.1, "colour": 2.0, "count": 0.1, "kind": 4.0}


def task_losses(
    outputs: Mapping[str, Float[Array, "b ..."]],
    batch: Mapping[str, Shaped[Array, "b ..."]],
    cells: Int[Array, "b k"] | None = None,
) -> dict[str, Float[Array, ""]]:
    """Each task's own loss: the mean squared error of colours in [-1, 1], cross-entropy in nats of all else.

    Args:
      outputs: of the model, by task: "class" (B, 4), "colour" (B, O, 3), "count" (B, 3), "kind" (B, O, 5).
      batch: with "image" and "kinds" at all pixels, "label" and "count".
      cells: the pixels that the outputs are about; by default all.
    """
    losses = {}
    if "class" in outputs:
        losses["class"] = cross_entropy(outputs["class"], batch["label"])
    if "colour" in outputs:
        losses["colour"] = jnp.mean((outputs["colour"] - _at(batch["image"], 3, cells)) ** 2)
    if "count" in outputs:
        losses["count"] = cross_entropy(outputs["count"], batch["count"] - 1)
    if "kind" in outputs:
        kinds = _at(batch["kinds"].astype(jnp.int32), 1, cells)
        losses["kind"] = cross_entropy(outputs["kind"].reshape(-1, OUTPUTS["kind"]), kinds.reshape(-1))
    return losses


def total_loss(losses: Mapping[str, Float[Array, ""] | float]) -> Float[Array, ""] | float:
    """The sum of the tasks' losses, weighted so that none drowns the others."""
    return sum(WEIGHTS[task] * loss for task, loss in losses.items())


def scenes_loss(model: nnx.Module, batch: Mapping[str, Array], rngs: nnx.Rngs):
    """The loss in training of the tasks that the model has, asked at "cells" where the batch has them.

    Returns:
      The total, and the loss of each task.
    """
    cells = batch.get("cells")
    asked = None if cells is None else {task: cells for task in model.decoder.queries.names if task in POINT_TASKS}
    outputs = model(batch["image"], cells=asked, train=True, rngs=rngs)
    losses = task_losses(outputs, batch, cells)
    report = {f"{task}_loss": loss for task, loss in losses.items()}
    if "class" in outputs:
        report["accuracy"] = accuracy(outputs["class"], batch["label"])
    return total_loss(losses), report


def predict(model: nnx.Module, batch: Mapping[str, Array]) -> dict[str, Float[Array, "b ..."]]:
    """Everything: every task, at every pixel."""
    return model(batch["image"])


def _at(target, width, cells):
    rows = target.reshape(target.shape[0], -1, width)
    return rows if cells is None else take_cells(rows, cells)
