"""Transformers that read from left to right and know how far back something is, rather than where it stands.

Music Transformer (1809.04281) learns a vector for each distance; Transformer-XL (1901.02860) projects its sines and
cosines, and reads a long sequence segment by segment, with a memory of the segments before. Blocks here are pre-norm,
as everywhere in this library.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.layers import labelled, layer_norm
from perceiver_lab.layers.attention import check_heads
from perceiver_lab.layers.blocks import SelfAttentionBlock
from perceiver_lab.layers.linear import linear
from perceiver_lab.layers.recording import record, recording
from perceiver_lab.models.baselines.pixels import check_sizes
from perceiver_lab.ops import attention_weights, causal_mask
from perceiver_lab.ops.positions import sinusoidal_positions

KINDS = ("music_transformer", "transformer_xl")


@dataclass(frozen=True, kw_only=True)
class RelativeConfig:
    """Sizes of a Transformer with relative positions.

    Attributes:
      kind: "music_transformer" or "transformer_xl".
      channels: width of the elements.
      max_context: tokens that are read at most.
      segment: tokens of a segment; the whole context is one for a Music Transformer.
      memory: elements before a segment that each of its layers may look back at.
      num_layers: self-attention layers.
      num_heads: must divide `channels`.
      widening_factor: of the MLPs.
      dropout_rate: after each attention and each MLP, in training.

    Raises:
      ValueError: sizes that do not fit together, with the offending value.
    """

    kind: str
    channels: int
    max_context: int
    segment: int
    memory: int = 0
    num_layers: int = 3
    num_heads: int = 4
    widening_factor: int = 4
    dropout_rate: float = 0.0

    def __post_init__(self):
        check_sizes(self, "channels", "max_context", "segment", "num_layers", "num_heads", "widening_factor")
        check_heads(self.num_heads, channels=self.channels)
        if self.kind not in KINDS:
            raise ValueError(f"kind={self.kind!r} is unknown; choose one of {', '.join(map(repr, KINDS))}.")
        if self.kind == "music_transformer" and (self.memory or self.segment != self.max_context):
            raise ValueError(
                f"segment={self.segment} and memory={self.memory}: a Music Transformer reads its whole context of "
                f"{self.max_context} at once. Set segment=max_context and memory=0, or take 'transformer_xl'."
            )
        if self.memory < 0:
            raise ValueError(f"memory={self.memory} must be at least 0.")


def skew(scores: Float[Array, "b h n m"]) -> Float[Array, "b h n m"]:
    """Scores by distance -> scores by key (1809.04281, section 3.4; 1901.02860, appendix B).

    Row n is moved to the left by as many columns as there are rows below it, so that what lay in the last column, for
    distance 0, comes to lie at the query's own place. The upper right corner is left over from other rows: mask it.

        by distance  2 1 0        by key  0 1 2
                     a b c                c . .
                     d e f      ->        e f .        three queries, three keys
                     g h i                g h i
    """
    b, h, n, m = scores.shape
    padded = jnp.pad(scores, ((0, 0), (0, 0), (0, 0), (1, 0)))
    return padded.reshape(b, h, m + 1, n)[:, :, 1:].reshape(b, h, n, m)


class RelativeBlock(SelfAttentionBlock):
    """A Transformer layer with scores by content and by distance; the elements before `x` may come from a memory.

    score(n, m) = (q_n + u) k_m + (q_n + v) r_(n - m)        u, v and r: see the two kinds
    """

    def __call__(
        self,
        x: Float[Array, "b n c"],
        *,
        memory: Float[Array, "b k c"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n c"]:
        """Each element attends to those before it, to the memory, which comes before all, and to itself."""
        past = x if memory is None else jnp.concatenate([memory, x], axis=1)
        count, attention, normed = past.shape[1], self.attention, self.norm(past)
        q = attention.project_queries(normed[:, count - x.shape[1] :])
        k, v = attention.split_heads(attention.key(normed)), attention.split_heads(attention.value(normed))
        by_content, by_distance = self.ask(q)
        farthest_first = attention.split_heads(self.distances(count)[None])[0, ::-1]
        bias = skew(jnp.einsum("bnhd,mhd->bhnm", by_distance, farthest_first)) * q.shape[-1] ** -0.5
        places = jnp.broadcast_to(jnp.arange(count)[None], past.shape[:2])
        weights = attention_weights(by_content, k, mask=causal_mask(places[:, count - x.shape[1] :], places), bias=bias)
        if recording():
            record(weights)
        context = jnp.einsum("bhnm,bmhe->bnhe", weights.astype(v.dtype), v)
        return self.add(x, attention.project_output(context), train=train, rngs=rngs)


class MusicTransformerBlock(RelativeBlock):
    """r is learned, and there are no u and v (1809.04281, section 3.4)."""

    def __init__(self, channels: int, *, reach: int, rngs: nnx.Rngs, **block):
        """`reach`: distances from 0 to reach - 1 have a vector; further arguments as in `SelfAttentionBlock`."""
        super().__init__(channels, rngs=rngs, **block)
        self.table = nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), (reach, channels), jnp.float32))

    def distances(self, count: int) -> Float[Array, "m c"]:
        """r of the distances from 0 to count - 1, of all heads."""
        return self.table[...][:count]

    def ask(self, q: Float[Array, "b n h d"]) -> tuple[Float[Array, "b n h d"], Float[Array, "b n h d"]]:
        """The queries for contents and for distances."""
        return q, q


class TransformerXLBlock(RelativeBlock):
    """r is a projection of the distance's sines and cosines, u and v are learned (1901.02860, section 3.3).

    Each layer has a u and a v of its own.
    """

    def __init__(self, channels: int, *, reach: int, rngs: nnx.Rngs, **block):
        """Arguments as in `MusicTransformerBlock`; any distance has its sines, so that `reach` is not needed."""
        super().__init__(channels, rngs=rngs, **block)
        self.project_distance = linear(channels, channels, use_bias=False, rngs=rngs)
        self.content_bias = nnx.Param(jnp.zeros(channels))
        self.distance_bias = nnx.Param(jnp.zeros(channels))

    def distances(self, count: int) -> Float[Array, "m c"]:
        """r of the distances from 0 to count - 1, of all heads."""
        return self.project_distance(sinusoidal_positions(jnp.arange(count), self.content_bias.shape[0]))

    def ask(self, q: Float[Array, "b n h d"]) -> tuple[Float[Array, "b n h d"], Float[Array, "b n h d"]]:
        """The queries for contents and for distances."""
        u, v = (one[...].reshape(1, 1, *q.shape[2:]) for one in (self.content_bias, self.distance_bias))
        return q + u, q + v


class RelativeTransformer(nnx.Module):
    """Embedding, relative layers over segments, logits for what comes next at every place."""

    def __init__(self, config: RelativeConfig, *, input_adapter: nnx.Module, rngs: nnx.Rngs):
        """Put a model together.

        Args:
          config: sizes.
          input_adapter: tokens -> inputs (B, M, C) of as many channels, without positions; see `adapters.TokenInput`.
          rngs: for the initial weights.
        """
        self.config, self.input_adapter = config, input_adapter
        block = {"music_transformer": MusicTransformerBlock, "transformer_xl": TransformerXLBlock}[config.kind]
        sizes = {"num_heads": config.num_heads, "widening_factor": config.widening_factor}
        shared = {**sizes, "dropout_rate": config.dropout_rate, "reach": config.max_context}
        self.layers = nnx.data([block(config.channels, rngs=rngs, **shared) for _ in range(config.num_layers)])
        self.norm = layer_norm(config.channels, rngs)
        self.output = linear(
            config.channels, input_adapter.vocabulary, kernel_init=nnx.initializers.zeros, rngs=rngs
        )  # the first loss is ln V, as a Perceiver AR's

    def __call__(
        self, tokens: Int[Array, "b m"], *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "b m v"]:
        """Tokens -> logits for the token after each of them, segment by segment.

        Padding at the end is seen by nothing before it. Gradients do not flow into a memory, as published.

        Raises:
          ValueError: more tokens than the context.
        """
        if tokens.shape[1] > self.config.max_context:
            raise ValueError(f"{tokens.shape[1]} tokens are more than the context, {self.config.max_context}.")
        memories, logits = None, []
        for start in range(0, tokens.shape[1], self.config.segment):
            part = tokens[:, start : start + self.config.segment]
            said, memories = self.read_segment(part, memories, train=train, rngs=rngs)
            logits.append(said)
        return jnp.concatenate(logits, axis=1)

    def read_segment(
        self,
        tokens: Int[Array, "b n"],
        memories: Sequence[Float[Array, "b k c"]] | None = None,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> tuple[Float[Array, "b n v"], list[Float[Array, "b j c"]]]:
        """One segment: logits, and the last `memory` elements that each layer was given (1901.02860, section 3.2).

        Args:
          tokens: of the segment.
          memories: what the segment before gave back, an array per layer; None for the first one.
          train: whether dropout acts.
          rngs: for dropout, stream "dropout".
        """
        x, kept = self.input_adapter(tokens), []
        for number, layer in enumerate(self.layers):
            memory = None if memories is None else memories[number]
            past = x if memory is None else jnp.concatenate([memory, x], axis=1)
            kept.append(jax.lax.stop_gradient(past[:, past.shape[1] - min(self.config.memory, past.shape[1]) :]))
            with labelled(f"layer {number}"):
                x = layer(x, memory=memory, train=train, rngs=rngs)
        return self.output(self.norm(x)), kept
