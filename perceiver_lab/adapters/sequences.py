"""Input adapters for sequences and sets: text as bytes, entities."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.adapters.inputs import combined_channels
from perceiver_lab.layers import LearnedPositions
from perceiver_lab.layers.positions import plain_linear

BYTE_VOCABULARY = 262  # 256 bytes after the six special ids PAD, BOS, EOS, MASK, CLS and SEP (2107.14795, section 4.1)


class ByteInput(nnx.Module):
    """Text as ids, byte + 6, without a tokeniser: an embedding of each, with its position (2107.14795, section 4.1).

    Sequences may be shorter than the longest; padding (id 0) is told by the model's `mask`.
    """

    def __init__(
        self,
        channels: int,
        length: int,
        *,
        vocabulary: int = BYTE_VOCABULARY,
        positions: nnx.Module | None = None,
        combine: str = "add",
        rngs: nnx.Rngs,
    ):
        """Put table and positions together.

        Args:
          channels: width of the embedding.
          length: of the longest sequence.
          vocabulary: number of ids.
          positions: an encoding of `layers.positions` over (length,); by default a learned table of `channels`.
          combine: "add" or "concat" (the embedding first).
          rngs: for the tables.

        Raises:
          ValueError: positions for another length; widths that cannot be added; another `combine`.
        """
        init = nnx.initializers.truncated_normal(1.0)
        self.embedding = nnx.Param(init(rngs.params(), (vocabulary, channels), jnp.float32))
        self.positions = LearnedPositions((length,), channels, rngs=rngs) if positions is None else positions
        if tuple(self.positions.shape) != (length,):
            raise ValueError(
                f"The positions are those of a grid of {tuple(self.positions.shape)}, but the sequence has one axis of "
                f"{length}. Give the positions the shape {(length,)}."
            )
        self.num_channels = combined_channels(combine, channels, self.positions.num_channels)
        self.combine = combine

    @property
    def embedding_table(self) -> Float[Array, "v c"]:
        """The embedding (vocabulary, channels), which `ByteOutput` compares with."""
        return self.embedding[...]

    def features(self, x: Int[Array, "b m"], *, train: bool = False) -> Float[Array, "b m c"]:
        """The embeddings alone. Inside a compiled function an id that is none gives NaN; outside, an error.

        Raises:
          ValueError: no integers, another rank, too long, or ids outside of the vocabulary.
        """
        length, vocabulary = self.positions.shape[0], self.embedding.shape[0]
        if x.ndim != 2 or not jnp.issubdtype(x.dtype, jnp.integer) or not 1 <= x.shape[1] <= length or not len(x):
            raise ValueError(
                f"Ids must be integers (B, M) with M from 1 to {length}, the length of this adapter; got {x.dtype} of "
                f"shape {x.shape}. Cut longer texts into pieces, or build the adapter with a greater length."
            )
        known = None if isinstance(x, jax.core.Tracer) else np.asarray(x)
        if known is not None and (known.min() < 0 or known.max() >= vocabulary):
            raise ValueError(
                f"Ids from {known.min()} to {known.max()} were given, but the vocabulary is 0 to {vocabulary - 1}. "
                "The id of a byte is its value + 6; 0 to 5 are the special ids."
            )
        return jnp.take(self.embedding[...], jnp.where(x < 0, vocabulary, x), axis=0, mode="fill", fill_value=jnp.nan)

    def __call__(
        self, x: Int[Array, "b m"], *, positions: Float[Array, "b m a"] | None = None, train: bool = False
    ) -> Float[Array, "b m c"]:
        """Embeddings with positions; explicit `positions` are coordinates in [-1, 1], (B, M, 1)."""
        return self.place(self.features(x), positions=positions)

    def place(
        self, features: Float[Array, "b m d"], *, positions: Float[Array, "b m a"] | None = None
    ) -> Float[Array, "b m c"]:
        """Features (B, M, channels) -> inputs.

        Raises:
          ValueError: positions that are not one coordinate per element.
        """
        if positions is not None and positions.shape != (*features.shape[:2], 1):
            raise ValueError(
                f"positions must be one coordinate in [-1, 1] per element, {(*features.shape[:2], 1)}; got "
                f"{positions.shape}."
            )
        encoded = self.positions()[: features.shape[1]] if positions is None else self.positions(positions)
        encoded = encoded if encoded.ndim == 3 else encoded[None]
        encoded = jnp.broadcast_to(encoded, (*features.shape[:2], encoded.shape[-1]))
        return features + encoded if self.combine == "add" else jnp.concatenate([features, encoded], axis=-1)


class EntityInput(nnx.Module):
    """A set of entities, a vector of features for each, such as the units of a game (2107.14795, appendix B).

    One linear layer and no positions: a set has no order. Sets of different sizes are padded, and the model's `mask`
    says which entities there are.
    """

    def __init__(self, num_features: int, channels: int, *, rngs: nnx.Rngs):
        """`num_features` numbers per entity -> `channels`."""
        self.linear = plain_linear(num_features, channels, rngs=rngs)
        self.num_channels = channels

    def features(self, x: Float[Array, "b m f"], *, train: bool = False) -> Float[Array, "b m c"]:
        """The same as calling it.

        Raises:
          ValueError: another shape.
        """
        if x.ndim != 3 or x.shape[-1] != self.linear.in_features or 0 in x.shape:
            raise ValueError(
                f"Entities must be (B, M, {self.linear.in_features}), one row of features for each, M at least 1; got "
                f"{x.shape}."
            )
        return self.linear(x)

    def __call__(
        self, x: Float[Array, "b m f"], *, positions: None = None, train: bool = False
    ) -> Float[Array, "b m c"]:
        """One input per entity.

        Raises:
          ValueError: positions, which a set has none of.
        """
        if positions is not None:
            raise ValueError("A set has no positions: leave `positions` out, and put coordinates into the features.")
        return self.features(x)
