"""The input adapter of autoregressive models: tokens, and where they stand."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int


class TokenInput(nnx.Module):
    """An embedding of each token, plus one of each of its absolute positions (2202.07765).

    inputs = embedding[token] + positions_1[x] + positions_2[y] + ...

    Without `positions` it is the embedding alone, as models with rotary positions want it.
    """

    def __init__(self, vocabulary: int, channels: int, *, positions: Sequence[nnx.Module] = (), rngs: nnx.Rngs):
        """Put tables together.

        Args:
          vocabulary: V, the special tokens counted.
          channels: C, width of the embedding.
          positions: an encoding of `layers.positions` per axis, each over one axis and of `channels`: one for
            sequences, three for the x, y and colour channel of a picture.
          rngs: for the embedding.

        Raises:
          ValueError: positions over more than one axis, or of another width.
        """
        for one in positions:
            if len(one.shape) != 1 or one.num_channels != channels:
                raise ValueError(
                    f"Positions over {tuple(one.shape)} with {one.num_channels} channels cannot be added here: give "
                    f"one encoding over a single axis for each axis, with {channels} channels as the embedding."
                )
        init = nnx.initializers.truncated_normal(1.0)
        self.embedding = nnx.Param(init(rngs.params(), (vocabulary, channels), jnp.float32))
        self.positions = nnx.data(list(positions))
        self.vocabulary, self.num_channels = vocabulary, channels

    @property
    def position_sizes(self) -> tuple[int, ...]:
        """Places along each axis."""
        return tuple(one.shape[0] for one in self.positions)

    def __call__(
        self, tokens: Int[Array, "b m"], *, positions: Int[Array, "b m p"] | None = None
    ) -> Float[Array, "b m c"]:
        """Tokens -> inputs. Inside a compiled function a number that is none gives NaN; outside, an error.

        Args:
          tokens: numbers from 0 to V - 1.
          positions: of each token, one number per axis; None only where there is no axis.

        Raises:
          ValueError: no integers, another shape, or numbers outside of a table.
        """
        _check_numbers(tokens, self.vocabulary, "tokens", "(B, M)", 2)
        inputs = _rows(self.embedding[...], tokens)
        if not self.positions:
            return inputs
        expected = (*tokens.shape, len(self.positions))
        if positions is None or positions.shape != expected:
            raise ValueError(
                f"positions must be integers (B, M, axes) = {expected}, one per token and axis; got "
                f"{None if positions is None else positions.shape}."
            )
        encoded = []
        for axis, table in enumerate(self.positions):
            places = positions[..., axis]
            _check_numbers(places, table.shape[0], f"positions of axis {axis}", "(B, M)", 2)
            valid = (places >= 0) & (places < table.shape[0])
            encoded.append(jnp.where(valid[..., None], table.at(jnp.where(valid, places, 0)), jnp.nan))
        return inputs + sum(encoded)


def _rows(table, numbers):
    size = table.shape[0]
    return jnp.take(table, jnp.where(numbers < 0, size, numbers), axis=0, mode="fill", fill_value=jnp.nan)


def _check_numbers(numbers, size, name, axes, rank):
    if numbers.ndim != rank or not jnp.issubdtype(numbers.dtype, jnp.integer) or 0 in numbers.shape:
        raise ValueError(f"{name} must be integers {axes}, at least one; got {numbers.dtype} of shape {numbers.shape}.")
    if isinstance(numbers, jax.core.Tracer):
        return
    known = np.asarray(numbers)
    if known.min() < 0 or known.max() >= size:
        raise ValueError(
            f"{name} from {known.min()} to {known.max()} were given, but they are numbers from 0 to {size - 1}. Check "
            "how the data were made, or build the adapter with a larger table."
        )
