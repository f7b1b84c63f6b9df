"""How well a model copies, and where it looks: every token of the mirrored half, each said once."""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.datasets.events import MIRRORED as LENGTH
from perceiver_lab.generation import strided_windows
from perceiver_lab.introspect import attention_maps
from perceiver_lab.ops.sequences import PAD
from perceiver_lab.training import Accuracy, answers

READS = ("events",)
HALF = LENGTH // 2  # the first event of the mirrored half
STRIDE = 8  # predictions that one window scores, at most as many as there are latents


def predict(model: nnx.Module, batch: Mapping[str, Array]) -> Float[Array, "b half v"]:
    """Logits for every event of the mirrored half, each told all that came before it.

    Windows end 8 events apart, and of each the last 8 predictions count (`generation.strided_windows`).
    """
    events = batch["events"]
    logits = model(_reads(events))[:, -STRIDE:]
    return logits.reshape(len(events), LENGTH - HALF, logits.shape[-1])


def copy_attention(
    model: nnx.Module, events: Int[np.ndarray, "b m"] | Int[Array, "b m"]
) -> Float[np.ndarray, "b h half m"]:
    """Where each prediction of `predict` looks: weights of the first read, a row for each event of the mirrored half.

    Args:
      model: a Perceiver AR.
      events: whole sequences.
    """
    _, maps = attention_maps(model, _reads(jnp.asarray(events)))
    weights = maps[0].weights[:, :, -STRIDE:]
    weights = weights.reshape(len(events), -1, *weights.shape[1:]).swapaxes(1, 2)  # (b, heads, windows, 8, m)
    return weights.reshape(*weights.shape[:2], LENGTH - HALF, LENGTH)


def _reads(events):
    """What the model reads, window by window: (b windows, m)."""
    windows = [one for one in strided_windows(LENGTH - 1, context=LENGTH, stride=STRIDE) if one.end > HALF]
    places = jnp.arange(LENGTH)[None]
    return jnp.stack([jnp.where(places < one.end, events, PAD) for one in windows], axis=1).reshape(-1, LENGTH)


def measure_copies(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """All test sequences.

    Returns:
      "exact_copies", the share of sequences of whose mirrored half every likeliest token is right, with its 95 %
      interval (Wilson): those that greedy decoding would copy without a mistake; "copy_accuracy", the share of such
      tokens; "bits_per_copied_token"; "loss", the same in nats; "total", sequences.
    """
    right, nats = [], []
    for batch, logits in answers(model, batches, predict, READS):
        targets = np.asarray(batch["events"])[:, HALF:]
        log_probs = np.asarray(jax.nn.log_softmax(jnp.asarray(logits, jnp.float32)))
        right.append(log_probs.argmax(axis=-1) == targets)
        nats.append(-np.take_along_axis(log_probs, targets[..., None], axis=-1)[..., 0])
    right, nats = np.concatenate(right), np.concatenate(nats)
    exact = Accuracy(correct=int(right.all(axis=1).sum()), total=len(right))
    low, high = exact.interval
    loss = float(nats.mean(dtype=np.float64))
    return {
        "exact_copies": exact.value,
        "exact_copies_low": low,
        "exact_copies_high": high,
        "copy_accuracy": float(right.mean()),
        "bits_per_copied_token": loss / float(np.log(2)),
        "loss": loss,
        "total": exact.total,
    }
