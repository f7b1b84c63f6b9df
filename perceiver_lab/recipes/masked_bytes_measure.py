"""What a model that fills hidden bytes in is trained by and worth, and what counting alone is worth beside it."""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.datasets import NeighbourCounts, plays
from perceiver_lab.recipes.base import Recipe
from perceiver_lab.training import answers, cross_entropy
from perceiver_lab.training.metrics import Z_95

READS = ("bytes",)

# How many neighbours of a hidden byte the baselines use, on the left and on the right.
NEIGHBOURS = {"unigram": (0, 0), "left bigram": (1, 0), "one on either side": (1, 1), "two on either side": (2, 2)}


def masked_loss(model: nnx.Module, batch: Mapping[str, Array], rngs: nnx.Rngs):
    """The mean cross-entropy of the hidden bytes in nats, and the same in bits."""
    logits = model(batch["bytes"], train=True, rngs=rngs)
    targets, hidden = batch["targets"].reshape(-1), batch["hidden"].reshape(-1)
    loss = cross_entropy(logits.reshape(-1, logits.shape[-1]), targets, weights=hidden.astype(jnp.float32))
    right = (logits.argmax(axis=-1).reshape(-1) == targets) & hidden
    return loss, {"bits": loss / jnp.log(2.0), "accuracy": right.sum() / hidden.sum()}


def predict(model: nnx.Module, batch: Mapping[str, Array]) -> Float[Array, "b m v"]:
    """The logits of every byte, hidden or not."""
    return model(batch["bytes"])


def measure_masked(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """All hidden bytes of the test windows.

    Returns:
      "bits_per_masked_byte" with its 95 % interval, of windows as they were drawn; "byte_accuracy", the share of
      hidden bytes whose likeliest guess is right; "masked_bytes", how many there were; "loss" in nats; "total",
      windows.
    """
    bits, counts, right = [], [], []
    for batch, logits in answers(model, batches, predict, READS):
        hidden = batch["hidden"]
        log_probs = np.asarray(_log_softmax(logits))
        own = np.take_along_axis(log_probs, batch["targets"][..., None], axis=-1)[..., 0]
        bits.append(np.where(hidden, -own / np.log(2), 0).sum(axis=1))
        counts.append(hidden.sum(axis=1))
        right.append(((log_probs.argmax(axis=-1) == batch["targets"]) & hidden).sum(axis=1))
    bits, counts, right = (np.concatenate(part).astype(np.float64) for part in (bits, counts, right))
    value, half = ratio(bits, counts)
    return {
        "bits_per_masked_byte": value,
        "bits_per_masked_byte_low": value - half,
        "bits_per_masked_byte_high": value + half,
        "byte_accuracy": float(right.sum() / counts.sum()),
        "masked_bytes": int(counts.sum()),
        "loss": value * float(np.log(2)),
        "total": len(counts),
    }


def ratio(sums: Float[np.ndarray, " n"], counts: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """sum(sums) / sum(counts) over independent groups, and half the width of its 95 % interval (linearised)."""
    value = sums.sum() / counts.sum()
    residuals = sums - value * counts
    spread = np.sqrt((residuals**2).sum() * len(sums) / max(len(sums) - 1, 1)) / counts.sum()
    return float(value), float(Z_95 * spread)


def count_baselines(recipe: Recipe, mode: str = "full") -> dict[str, dict[str, float]]:
    """What counting neighbours in the training text is worth, at the hidden bytes that a recipe's models are tested on.

    Returns:
      For each of `NEIGHBOURS`, bits per masked byte: "seen", where a guess uses only neighbours that are not hidden
      themselves, as a model must; "told", where hidden neighbours are told, which is easier than what a model is asked.
      Neither looks beyond the window.
    """
    batches = list(recipe.test_batches(mode))
    ids, hidden = (np.concatenate([batch[name] for batch in batches]) for name in ("targets", "hidden"))
    counts = NeighbourCounts(plays.texts("train"))
    visible = {"seen": ~hidden, "told": np.ones_like(hidden)}
    return {
        name: {
            how: float(counts.bits(ids, hidden, shown, left=left, right=right).mean()) for how, shown in visible.items()
        }
        for name, (left, right) in NEIGHBOURS.items()
    }


_log_softmax = jax.jit(lambda logits: jax.nn.log_softmax(logits.astype(jnp.float32)))
