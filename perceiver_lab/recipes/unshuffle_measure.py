"""What learned positions know of the grid, and how well hidden cells are guessed."""

from collections.abc import Iterable, Mapping

import jax
import numpy as np
from jaxtyping import Array, Bool, Float

from perceiver_lab.introspect import grid_neighbours
from perceiver_lab.models import HiP
from perceiver_lab.training import answers, hide
from perceiver_lab.training.metrics import Z_95

SIDE = 10
NUM_CELLS = SIDE * SIDE
PERMUTATION = np.random.default_rng(0).permutation(NUM_CELLS)
RATES = {"image": 0.5}


def predict_cells(model: HiP, batch: Mapping[str, Array]) -> dict[str, Float[Array, "b m c"] | Bool[Array, "b m"]]:
    """The reconstruction, and which cells were hidden: always the same draw."""
    visible, hidden = hide({"image": batch["image"]}, RATES, jax.random.key(0))
    return {"image": model(visible)["image"], "hidden": hidden["image"]}


def measure_cells(model: HiP, batches: Iterable[Mapping]) -> dict[str, float]:
    """How well hidden cells are guessed.

    Returns:
      "hidden_error", the mean squared error of hidden cells, where 1 is that of the mean of an image, with its 95 %
      interval over the images; "loss", the same; "total", images.
    """
    errors = []
    for batch, said in answers(model, batches, predict_cells, ("image",)):
        squares = ((said["image"] - batch["image"]) ** 2).mean(axis=-1)
        errors.append((squares * said["hidden"]).sum(axis=1) / said["hidden"].sum(axis=1))
    errors = np.concatenate(errors)
    value, half = float(errors.mean()), float(Z_95 * errors.std() / len(errors) ** 0.5)
    return {
        "hidden_error": value,
        "hidden_error_low": value - half,
        "hidden_error_high": value + half,
        "loss": value,
        "total": len(errors),
    }


def measure_positions(model: HiP, batches: Iterable[Mapping]) -> dict[str, float]:
    """What the positions know, and how well hidden cells are guessed.

    Returns:
      What `measure_cells` gives; "neighbour_precision" with its 95 % interval over the cells, see
      `introspect.grid_neighbours`; "chance", that of positions in any order.
    """
    found = grid_neighbours(model.queries()["image"], (SIDE, SIDE), PERMUTATION)
    half = float(Z_95 * found.precision.std() / NUM_CELLS**0.5)
    return {
        **measure_cells(model, batches),
        "neighbour_precision": found.value,
        "neighbour_precision_low": found.value - half,
        "neighbour_precision_high": found.value + half,
        "chance": found.chance,
    }
