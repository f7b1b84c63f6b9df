"""Bits per token of whole documents, from windows that overlap: how Perceiver AR is measured (2202.07765)."""

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from perceiver_lab.ops import latent_targets
from perceiver_lab.ops.sequences import PAD


class Window(NamedTuple):
    """A stretch of a document: events `start`..`end` are read, and the last `num_scored` predictions count."""

    start: int
    end: int
    num_scored: int


def strided_windows(num_targets: int, *, context: int, stride: int) -> list[Window]:
    """Windows that score every target exactly once.

    The document is cut into blocks of `stride` targets, a shorter one first. Each is scored by a window that ends with
    it and begins as early as the context allows. With N latents, N - stride latents at least come before the first
    that is scored: a smaller stride gives better predictions, and costs more.

    Args:
      num_targets: length of the document without its first event.
      context: events that a window reads at most.
      stride: targets of a block, at most as many as the model has latents; 1 gives every target all latents.

    Raises:
      ValueError: a stride outside of 1..context, or a length below 0.
    """
    if not 1 <= stride <= context or num_targets < 0:
        raise ValueError(f"stride={stride} must be from 1 to the context, {context}; num_targets={num_targets} from 0.")
    ends = range((num_targets - 1) % stride + 1, num_targets + 1, stride)
    return [Window(max(end - context, 0), end, min(stride, end)) for end in ends]


@dataclasses.dataclass(frozen=True)
class TokenLosses:
    """What a model says about documents, in nats.

    Attributes:
      nats: of every target, document by document, in order.
    """

    nats: tuple[Float[np.ndarray, "_"], ...]

    @property
    def num_tokens(self) -> int:
        """Targets in all documents."""
        return sum(len(one) for one in self.nats)

    @property
    def total_nats(self) -> float:
        """Their sum."""
        return float(sum(one.sum(dtype=np.float64) for one in self.nats))

    @property
    def nats_per_token(self) -> float:
        """The mean; its exponential is the perplexity.

        Raises:
          ValueError: there is no target.
        """
        if not self.num_tokens:
            raise ValueError("These documents have no target, so there is no mean: each needs two events at least.")
        return self.total_nats / self.num_tokens

    @property
    def bits_per_token(self) -> float:
        """The mean in bits: per dimension of a picture whose values are tokens, per byte where bytes are."""
        return self.nats_per_token / math.log(2)

    def bits_per_byte(self, num_bytes: int) -> float:
        """Bits per byte of the text that the tokens stand for, which may be any number of bytes each.

        Raises:
          ValueError: no bytes.
        """
        if num_bytes < 1:
            raise ValueError(f"num_bytes={num_bytes} must be at least 1: the length of the text as bytes.")
        return self.total_nats / math.log(2) / num_bytes

    def by_place(self, edges: Sequence[int]) -> Float[np.ndarray, " k"]:
        """The mean nats of targets whose place lies between edges[i] and edges[i + 1]; NaN without any."""
        places = np.concatenate([np.arange(len(one)) for one in self.nats])
        bucket = np.searchsorted(np.asarray(edges), places, side="right") - 1
        inside = (bucket >= 0) & (bucket < len(edges) - 1)
        values = np.concatenate(self.nats)[inside]
        count = np.bincount(bucket[inside], minlength=len(edges) - 1)
        total = np.bincount(bucket[inside], weights=values, minlength=len(edges) - 1)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def evaluate_tokens(
    model: nnx.Module,
    documents: Sequence[Int[np.ndarray, "_"]],
    *,
    stride: int,
    batch_size: int = 8,
    positions: Sequence[Int[np.ndarray, "_ p"]] | None = None,
) -> TokenLosses:
    """The loss of every token of documents of any length, without smoothing or z-loss.

    Args:
      model: any Perceiver AR, or a module that is called like one and whose `config` has `num_latents`, `max_context`
        and `position_source`.
      documents: events of each, the start token first, no padding; at least two events.
      stride: targets that one window scores, see `strided_windows`; at most as many as the model has latents.
      batch_size: windows at once.
      positions: of the events of each document, for models that take them from the data; by default 1, 2, 3, ...
        through the whole document.

    Raises:
      ValueError: documents without a target or with padding, a stride beyond the latents, or positions that do not fit.
    """
    if stride > model.config.num_latents:
        raise ValueError(
            f"stride={stride} is more than the model's {model.config.num_latents} latents: a window predicts no more "
            "tokens than there are latents. Choose a smaller stride."
        )
    documents = [_document(one, number) for number, one in enumerate(documents)]
    places = _places(model, documents, positions)
    nats = [np.zeros(len(one) - 1, np.float32) for one in documents]
    graphdef, arrays = nnx.split(model)
    for batch in _batches(documents, model.config.max_context, stride, batch_size):
        given = _stacked(documents, places, batch, model.config.max_context, batch_size)
        losses = np.asarray(_losses(graphdef, arrays, given))
        for (document, window), row in zip(batch, losses, strict=False):
            nats[document][window.end - window.num_scored : window.end] = row[-window.num_scored :]
    return TokenLosses(tuple(nats))


@functools.partial(jax.jit, static_argnums=0)
def _losses(graphdef, arrays, given):
    logits = nnx.merge(graphdef, arrays)(given["inputs"], positions=given.get("positions"))
    labels, _ = latent_targets(given["inputs"], given["targets"], logits.shape[1])
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], axis=-1)[..., 0]


def _batches(documents, context, stride, batch_size) -> Iterator[list[tuple[int, Window]]]:
    windows = [
        (number, window)
        for number, one in enumerate(documents)
        for window in strided_windows(len(one) - 1, context=context, stride=stride)
    ]
    for start in range(0, len(windows), batch_size):
        yield windows[start : start + batch_size]


def _stacked(documents, places, batch, context, batch_size):
    """One shape for all batches: windows are padded on the right, and a last batch with empty ones."""
    inputs, targets = (np.full((batch_size, context), PAD, np.int32) for _ in range(2))
    axes = 0 if places is None else places[0].shape[1]
    positions = np.zeros((batch_size, context, axes), np.int32)
    for row, (document, (start, end, _)) in enumerate(batch):
        inputs[row, : end - start] = documents[document][start:end]
        targets[row, : end - start] = documents[document][start + 1 : end + 1]
        if places is not None:
            positions[row, : end - start] = places[document][start:end]
    given = {"inputs": jnp.asarray(inputs), "targets": jnp.asarray(targets)}
    return given if places is None else given | {"positions": jnp.asarray(positions)}


def _document(document, number):
    events = np.asarray(document)
    if events.ndim != 1 or events.dtype.kind not in "iu" or len(events) < 2 or (events == PAD).any():
        raise ValueError(
            f"Document {number} must be integers (M,), the start token and at least one more, without padding ({PAD}); "
            f"got {events.dtype} of shape {events.shape}."
        )
    return events


def _places(model, documents, positions):
    if model.config.position_source != "data":
        if positions is not None:
            raise ValueError("This model counts positions back from the last token: leave `positions` out.")
        return None
    sizes = model.input_adapter.position_sizes
    if positions is None and len(sizes) <= 1:
        positions = [np.arange(1, len(one) + 1)[:, None] for one in documents]
    expected = [(len(one), max(len(sizes), 1)) for one in documents]
    if positions is None or [np.shape(one) for one in positions] != expected:
        raise ValueError(
            f"positions must be integers (M, axes) for each document, here of shapes {expected[:3]}; they can be left "
            "out along a single axis only."
        )
    for number, one in enumerate(positions):
        if sizes and ((one[:-1] < 0) | (one[:-1] >= np.array(sizes))).any():
            raise ValueError(
                f"The positions of document {number} reach {one[:-1].max(axis=0).tolist()}, but the tables have "
                f"{list(sizes)} rows. Cut the document, or give positions that fit."
            )
    return positions
