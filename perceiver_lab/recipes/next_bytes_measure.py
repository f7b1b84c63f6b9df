"""Bits per byte of a Perceiver AR on whole runs of text, what that costs, and what counting is worth beside it."""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.datasets import PrecedingCounts, load, plays
from perceiver_lab.datasets.bytes import FIRST_BYTE
from perceiver_lab.datasets.events import FIRST_SYMBOL
from perceiver_lab.generation import evaluate_tokens, strided_windows
from perceiver_lab.introspect import cost
from perceiver_lab.recipes.base import Recipe
from perceiver_lab.recipes.masked_bytes_measure import ratio

GROUP = 1024  # bytes: the stretches of a run that the interval takes for independent
REACH = 6  # bytes before the next one that the baseline uses at most


def measure_text(model: nnx.Module, batches: Iterable[Mapping], stride: int | None = None) -> dict[str, float]:
    """Every byte of the test runs, each predicted once, from windows that overlap.

    Args:
      model: a Perceiver AR.
      batches: with "events" (B, M), runs of text.
      stride: bytes that one window scores; by default half as many as there are latents, as published for pictures.

    Returns:
      "bits_per_byte" with its 95 % interval, of stretches of 1,024 bytes as they were drawn; "loss" in nats;
      "inputs_per_byte", how many inputs were read for each byte that counts, since windows overlap; "bytes", how many
      counted; "total", runs.

    Raises:
      ValueError: no batches, or a stride beyond the latents.
    """
    stride = max(model.config.num_latents // 2, 1) if stride is None else stride
    runs, read, sums, counts = 0, 0, [], []
    for batch in batches:
        events = list(np.asarray(batch["events"]))
        for nats in evaluate_tokens(model, events, stride=stride).nats:
            groups = [nats[start : start + GROUP] for start in range(0, len(nats), GROUP)]
            sums += [float(group.sum(dtype=np.float64)) / np.log(2) for group in groups]
            counts += [float(len(group)) for group in groups]
            read += inputs_read(len(nats), context=model.config.max_context, stride=stride)
        runs += len(events)
    if not runs:
        raise ValueError("There were no runs of text to measure: make the batches anew, each iterator gives them once.")
    value, half = ratio(np.array(sums), np.array(counts))
    return {
        "bits_per_byte": value,
        "bits_per_byte_low": value - half,
        "bits_per_byte_high": value + half,
        "loss": value * float(np.log(2)),
        "inputs_per_byte": read / sum(counts),
        "bytes": int(sum(counts)),
        "total": runs,
    }


def inputs_read(num_targets: int, *, context: int, stride: int) -> int:
    """How many inputs all windows of a run of so many targets read together, those counted again that overlap."""
    return sum(one.end - one.start for one in strided_windows(num_targets, context=context, stride=stride))


def flops_per_byte(recipe: Recipe, stride: int) -> float:
    """What predicting one byte costs where a window of the whole context scores `stride` of them."""
    model = nnx.eval_shape(lambda: recipe.make_model(nnx.Rngs(0)))
    return cost(model, jax.ShapeDtypeStruct((1, recipe.model.max_context), jnp.int32)).flops / stride


def count_baselines(recipe: Recipe, mode: str = "full") -> dict[int, float]:
    """Bits per byte of interpolated n-grams on the same bytes, by how many bytes before the next one they use."""
    records = load(recipe.data.name, recipe.data.test + recipe.budget(mode).test_part)
    texts = [np.asarray(records[row]["events"][1:]) - FIRST_SYMBOL + FIRST_BYTE for row in range(len(records))]
    counts = PrecedingCounts(plays.texts("train"), REACH)
    return {
        left: float(np.concatenate([counts.bits(text, left=left) for text in texts]).mean())
        for left in range(REACH + 1)
    }
