"""What learned positions know of the grid, and what they are worth to a reader of digits."""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.introspect import grid_neighbours
from perceiver_lab.models import HiP, HiPClassBottleneck
from perceiver_lab.training import answers, cross_entropy, evaluate, hide
from perceiver_lab.training.metrics import Z_95, accuracy

SIDE = 10
NUM_CELLS = SIDE * SIDE
PERMUTATION = np.random.default_rng(0).permutation(NUM_CELLS)
RATES = {"image": 0.5}


def predict_cells(model: HiP, batch: Mapping[str, Array]) -> dict[str, Float[Array, "b m c"] | Bool[Array, "b m"]]:
    """The reconstruction, and which cells were hidden: always the same draw."""
    visible, hidden = hide({"image": batch["image"]}, RATES, jax.random.key(0))
    return {"image": model(visible)["image"], "hidden": hidden["image"]}


def measure_positions(model: HiP, batches: Iterable[Mapping]) -> dict[str, float]:
    """What the positions know, and how well hidden cells are guessed.

    Returns:
      "neighbour_precision" with its 95 % interval over the cells, see `introspect.grid_neighbours`; "chance", that of
      positions in any order; "hidden_error", the mean squared error of hidden cells, where 1 is that of the window's
      mean; "loss", the same; "total", windows.
    """
    errors, total = [], 0
    for batch, said in answers(model, batches, predict_cells, ("image",)):
        squares = ((said["image"] - batch["image"]) ** 2).mean(axis=-1)
        errors.append(squares[said["hidden"]])
        total += len(squares)
    found = grid_neighbours(model.queries()["image"], (SIDE, SIDE), PERMUTATION)
    half = float(Z_95 * found.precision.std() / NUM_CELLS**0.5)
    error = float(np.concatenate(errors).mean())
    return {
        "neighbour_precision": found.value,
        "neighbour_precision_low": found.value - half,
        "neighbour_precision_high": found.value + half,
        "chance": found.chance,
        "hidden_error": error,
        "loss": error,
        "total": total,
    }


def predict_label(model: HiPClassBottleneck, batch: Mapping[str, Array]) -> Float[Array, "b k"]:
    """Logits (B, 10): a label of zeros is shown, and asked for."""
    return _label_of(model, batch["image"], train=False, rngs=None)


def label_loss(
    model: HiPClassBottleneck, batch: Mapping[str, Array], rngs: nnx.Rngs
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Cross-entropy of the label alone; the cells are all shown and none is asked for."""
    logits = _label_of(model, batch["image"], train=True, rngs=rngs)
    return cross_entropy(logits, batch["label"]), {"accuracy": accuracy(logits, batch["label"])}


def measure_label(model: HiPClassBottleneck, batches: Iterable[Mapping]) -> dict[str, float]:
    """As of any classifier: accuracy with its interval, counts, loss."""
    return evaluate(model, batches, predict_label, ("image",)).as_dict()


def _label_of(model, image, *, train, rngs):
    hidden = jnp.zeros((len(image), 1, 10), image.dtype)
    return model({"image": image, "label": hidden}, train=train, rngs=rngs)["label"][:, 0]
