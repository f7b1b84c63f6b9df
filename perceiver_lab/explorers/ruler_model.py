"""A Perceiver AR at every place of a sequence: what it may see, where it looks, what it says; and what a pass costs."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float32, Int

from perceiver_lab.explorers.base import quantise
from perceiver_lab.introspect import attention_maps
from perceiver_lab.models import PerceiverAR
from perceiver_lab.ops.sequences import PAD

TOP = 3  # likeliest tokens that are told for each place
CHANNELS, LAYERS, VOCABULARY, WIDENING = 1024, 6, 259, 4  # of the release's copy task


class PlaceReader:
    """One model, asked at every place of whole sequences; its weights are those of this moment."""

    def __init__(
        self,
        model: nnx.Module,
        sequences: Int[np.ndarray, "k m"] | Sequence[Sequence[int]],
        latents: Sequence[int],
    ):
        """Copy the weights and check the sequences.

        Args:
          model: a `PerceiverAR` that counts its positions itself.
          sequences: tokens (M,) of one length, the start token first.
          latents: numbers of latents to ask it with.

        Raises:
          ValueError: another model, sequences that it cannot read, or latents that it cannot have.
        """
        if not isinstance(model, PerceiverAR):
            raise ValueError(
                f"{type(model).__name__} is no PerceiverAR: the context ruler shows what latents made of the last "
                "inputs may see. Give a model such as that of the recipe copy_ar."
            )
        self.tokens = np.asarray(sequences)
        longest = model.config.max_context + 1  # the last token is only foretold
        if self.tokens.ndim != 2 or self.tokens.dtype.kind not in "iu" or not 3 <= self.tokens.shape[1] <= longest:
            raise ValueError(
                f"Sequences must be integers (number, M), all of one length from 3 to {longest}; got "
                f"{self.tokens.dtype} of shape {self.tokens.shape}."
            )
        known = model.input_adapter.vocabulary
        if not len(self.tokens) or self.tokens.min() <= PAD or self.tokens.max() >= known:
            raise ValueError(f"Sequences must hold at least one row, of tokens from 1 to {known - 1}, without padding.")
        self.latents = [int(number) for number in latents]
        if not self.latents or not 1 <= min(self.latents) <= max(self.latents) < self.tokens.shape[1]:
            raise ValueError(
                f"latents={self.latents}: a sequence of {self.tokens.shape[1]} tokens is read by 1 to "
                f"{self.tokens.shape[1] - 1} latents."
            )
        graphdef, state = nnx.split(model)
        # A copy: a training step may take the model's own buffers away.
        self._graphdef, self._state = graphdef, jax.tree.map(jnp.copy, state)
        self.num_heads = model.config.num_cross_heads
        self.look = functools.lru_cache(maxsize=8)(self._look)

    def _look(self, number: int) -> tuple[dict[str, Any], Float32[np.ndarray, "h n m"]]:
        tokens = self.tokens[number]
        size = len(tokens) - 1
        reads = np.where(np.tri(size, dtype=bool), tokens[:-1], PAD).astype(np.int32)  # row t ends with place t
        # Where a latent looks depends on nothing but its own input: with one latent, the map is that of all others.
        _, maps = attention_maps(nnx.merge(self._graphdef, self._state), reads)
        asked = {count: _program(self._graphdef, count)(self._state, reads) for count in self.latents}
        said = {str(count): self._told(log_probs, tokens[1:]) for count, log_probs in asked.items()}
        return {"tokens": tokens.tolist(), "said": said}, maps[0].weights[:, :, -1].swapaxes(0, 1)

    def _told(self, log_probs, targets):
        """Of each place: the likeliest tokens with their probabilities, and the probability of what comes."""
        log_probs = np.asarray(log_probs, np.float64)
        order = np.argsort(-log_probs, axis=-1, kind="stable")[:, :TOP]
        return [
            {
                "top": [[int(token), round(float(np.exp(row[token])), 5)] for token in best],
                "truth": round(float(np.exp(row[target])), 5),
            }
            for row, best, target in zip(log_probs, order, targets, strict=True)
        ]

    def answer(self, number: int) -> tuple[dict[str, Any], list[bytes]]:
        """A sequence as the front end has it: what is said, and maps of the mean of the heads and of each head.

        Returns:
          "tokens", "said": number of latents -> for each place "top" and "truth"; and the maps ((1 + heads) n, m) as
          bytes with the peaks of their rows.
        """
        told, weights = self.look(number)
        maps = np.concatenate([weights.mean(axis=0, keepdims=True), weights])
        tiles, peaks = quantise(maps.reshape(-1, maps.shape[-1]))
        return told, [tiles.tobytes(), peaks.tobytes()]


@functools.lru_cache(maxsize=16)
def _program(graphdef, num_latents):
    """Log-probabilities (n, V) at the last place of each row, compiled once for each structure."""

    @jax.jit
    def ask(state, reads):
        return jax.nn.log_softmax(nnx.merge(graphdef, state)(reads, num_latents=num_latents)[:, -1])

    return ask


def perceiver_ar_flops(
    context: int,
    latents: int,
    *,
    channels: int = CHANNELS,
    num_layers: int = LAYERS,
    vocabulary: int = VOCABULARY,
) -> int:
    """Of one pass: the last N of M inputs read them all, L latent layers, logits. Inputs are as wide as latents.

    Args:
      context: M.
      latents: N.
      channels: D.
      num_layers: L.
      vocabulary: V.
    """
    m, n, d = context, latents, channels
    read = 3 * n * d * d + 2 * m * d * d + 2 * n * m * d + 2 * WIDENING * n * d * d
    layer = 4 * n * d * d + 2 * n * n * d + 2 * WIDENING * n * d * d
    return 2 * (read + num_layers * layer + n * d * vocabulary)


def transformer_flops(
    context: int, *, channels: int = CHANNELS, num_layers: int = LAYERS, vocabulary: int = VOCABULARY
) -> int:
    """Of one pass of a Transformer on all M inputs, with one layer more, in place of the read.

    Args:
      context: M.
      channels: D.
      num_layers: L, of the Perceiver AR that it is compared with.
      vocabulary: V.
    """
    m, d = context, channels
    layer = 4 * m * d * d + 2 * m * m * d + 2 * WIDENING * m * d * d
    return 2 * ((num_layers + 1) * layer + 2 * m * d * d + m * d * vocabulary)


def middle_of(sequence: Int[np.ndarray, " m"]) -> int | None:
    """The first place of the mirrored half, where what lies between start and end is said twice, the second time
    backwards; None for another sequence."""
    inside = np.asarray(sequence)[1:-1]
    half = len(inside) // 2
    mirrored = len(inside) % 2 == 0 and np.array_equal(inside[:half], inside[half:][::-1])
    return half + 1 if mirrored else None
