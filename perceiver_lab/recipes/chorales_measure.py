"""Nats and bits per token of a Perceiver AR on whole chorales, and what counting is worth beside it.

Three ways of counting, all interpolated from the shortest context to the longest:

    markov    one token before
    n-gram    up to twelve tokens before, as many as are best on the pieces for validation
    sounding  what a musician would look at: the voice, how long its tone lasts already, who else moves in this
              sixteenth, where that lies in the quarter, which tone it is, and what the others sing

The last one is given what a Perceiver AR has to find for itself, or looks back for. All count the training pieces in
every key in which a training of `chorales_ar` may meet them.
"""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Int, UInt8

from perceiver_lab.datasets import ContextCounts, chorales, preceding
from perceiver_lab.introspect import cost
from perceiver_lab.recipes.base import Recipe
from perceiver_lab.recipes.events_measure import bits_of_events, nats_of_documents

REACH = 12  # tokens before the next one that the n-gram may use


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
    nats = nats_of_documents(model, batches, stride)
    total = sum(float(one.sum(dtype=np.float64)) for one in nats) / np.log(2)
    sixteenths = sum(len(one) - 1 for one in nats) / len(chorales.VOICES)
    return bits_of_events(nats, "token") | {"bits_per_sixteenth": total / sixteenths}


def training_flops(recipe: Recipe) -> float:
    """What the forward pass of one example of training costs, of the whole context."""
    model = nnx.eval_shape(lambda: recipe.make_model(nnx.Rngs(0)))
    return float(cost(model, jax.ShapeDtypeStruct((1, recipe.model.max_context), jnp.int32)).flops)


def count_baselines() -> dict[str, float]:
    """Bits per token of the test pieces, by counting.

    Returns:
      "markov", "n-gram" and "sounding"; "order", how many tokens before the n-gram uses. That, and how much of a
      context "sounding" uses, is what is best on the validation pieces.
    """
    found = {}
    for name, contexts in (("n-gram", token_contexts), ("sounding", sounding_contexts)):
        counts = ContextCounts(*_told("train", contexts), num_symbols=chorales.TOKENS)
        validation, test = (_told(part, contexts) for part in ("validation", "test"))
        bits = [float(counts.bits(*validation, known=known).mean()) for known in range(counts.reach + 1)]
        best = int(np.argmin(bits))
        found[name] = float(counts.bits(*test, known=best).mean())
        if name == "n-gram":
            found |= {"order": best, "markov": float(counts.bits(*test, known=1).mean())}
    return found


def token_contexts(grid: UInt8[np.ndarray, "t 4"]) -> Int[np.ndarray, "m k"]:
    """For every token of a piece behind the start token, the twelve before it, the nearest first."""
    return preceding(chorales.grid_events(grid), REACH)[1:]


def sounding_contexts(grid: UInt8[np.ndarray, "t 4"]) -> Int[np.ndarray, "m 8"]:
    """For every token of a piece behind the start token, what a musician would look at, the most telling first.

    Voice; sixteenths since its tone began, 16 at most; whether a voice above begins a tone now; place in the quarter,
    counted from the beginning of the piece; its tone; the tone of the voice above now; the soprano's now; the tone of
    the voice below, before.
    """
    row_after = np.zeros((1, len(chorales.VOICES)), np.uint8)  # where the end token stands
    grid = np.concatenate([grid, row_after])
    pitch, begins = (grid % chorales.ONSET).astype(np.int64), grid >= chorales.ONSET
    rows, voices = np.mgrid[: len(grid), : len(chorales.VOICES)]
    last = np.maximum.accumulate(np.where(begins, rows, -1), axis=0)
    age = np.minimum(rows - np.concatenate([np.full((1, len(chorales.VOICES)), -1), last[:-1]]), 16)
    before, silent = np.concatenate([row_after, pitch[:-1]]), np.zeros((len(grid), 1), np.int64)
    above, below = np.hstack([silent, pitch[:, :-1]]), np.hstack([before[:, 1:], pitch[:, :1]])
    moves = np.hstack([silent, np.logical_or.accumulate(begins, axis=1)[:, :-1]])
    soprano = np.where(voices > 0, pitch[:, :1], 0)
    known = [voices, age, moves, rows % chorales.PER_QUARTER, before, above, soprano, below]
    return np.stack(known, axis=-1).reshape(-1, len(known))[: 1 - len(chorales.VOICES)]


def _told(part, contexts):
    """(symbols, contexts) of the pieces of a part; for training in every key in which they may be met."""
    told = []
    for name in chorales.split()[part]:
        grid = chorales.grids()[name]
        for semitones in chorales.keys(grid) if part == "train" else (0,):
            moved = chorales.transpose(grid, semitones)
            told.append((chorales.grid_events(moved)[1:], contexts(moved)))
    return tuple(np.concatenate(one) for one in zip(*told, strict=True))
