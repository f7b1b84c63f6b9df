"""Position encodings as layers: Fourier features, a learned table, and a projection of either."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.layers.linear import linear
from perceiver_lab.ops import (
    cell_coordinates,
    fourier_features,
    grid_coordinates,
    num_fourier_features,
    sinusoidal_positions,
)


class FourierPositions(nnx.Module):
    """Fourier features of the cells of a grid, or of any coordinates (2103.03206, section 3.2). No parameters."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        num_bands: int,
        max_resolution: Sequence[int] | None = None,
        include_positions: bool = True,
        sine_only: bool = False,
    ):
        """See `ops.fourier_features`.

        Args:
          shape: cells along each axis.
          num_bands: frequencies per axis.
          max_resolution: by default `shape`.
          include_positions: put the coordinates first.
          sine_only: leave the cosines out.
        """
        self.shape = tuple(shape)
        self.num_bands = num_bands
        self.max_resolution = self.shape if max_resolution is None else tuple(max_resolution)
        self.include_positions = include_positions
        self.sine_only = sine_only
        self.num_channels = num_fourier_features(
            len(self.shape), num_bands, include_positions=include_positions, sine_only=sine_only
        )

    def __call__(self, coordinates: Float[Array, "*b m n"] | None = None) -> Float[Array, "*b m c"]:
        """Encode the whole grid (m, c), or the coordinates given (b, m, c)."""
        coordinates = grid_coordinates(self.shape) if coordinates is None else coordinates
        return fourier_features(
            coordinates,
            num_bands=self.num_bands,
            max_resolution=self.max_resolution,
            include_positions=self.include_positions,
            sine_only=self.sine_only,
        )

    def at(self, cells: Int[Array, "*b k"]) -> Float[Array, "*b k c"]:
        """The rows of some cells of the grid, by their row-major numbers."""
        return self(cell_coordinates(cells, self.shape))


class LearnedPositions(nnx.Module):
    """A table with one learned row per cell (2107.14795, appendix D); the latent array is one of these too."""

    def __init__(self, shape: Sequence[int], channels: int, *, init_std: float = 0.02, rngs: nnx.Rngs):
        """Rows start from a normal distribution cut at two standard deviations."""
        self.shape = tuple(shape)
        self.num_channels = channels
        rows = (math.prod(self.shape), channels)
        self.table = nnx.Param(nnx.initializers.truncated_normal(init_std)(rngs.params(), rows, jnp.float32))

    def __call__(self, coordinates: None = None) -> Float[Array, "m c"]:
        """The whole table, row-major over `shape`.

        Raises:
          ValueError: coordinates were given. A table knows its cells and nothing between them.
        """
        if coordinates is not None:
            raise ValueError(
                "Learned positions are a table, one row per cell: they cannot encode given coordinates. Leave "
                "positions out, or use FourierPositions."
            )
        return self.table[...]

    def at(self, cells: Int[Array, "*b k"]) -> Float[Array, "*b k c"]:
        """The rows of some cells, by their row-major numbers."""
        return self.table[...][cells]


class SinusoidalPositions(nnx.Module):
    """Sines and cosines of a place in a sequence (2202.07765): `ops.sinusoidal_positions`. No parameters."""

    def __init__(self, length: int, channels: int):
        """Places are numbered from 0 to `length` - 1."""
        self.shape = (length,)
        self.num_channels = channels

    def __call__(self) -> Float[Array, "m c"]:
        """All places, in order."""
        return self.at(jnp.arange(self.shape[0]))

    def at(self, cells: Int[Array, "*b k"]) -> Float[Array, "*b k c"]:
        """Some places, by their numbers."""
        return sinusoidal_positions(cells, self.num_channels)


class ProjectedPositions(nnx.Module):
    """Another encoding, through one linear layer (2107.14795, appendix D)."""

    def __init__(self, inner: nnx.Module, channels: int, *, rngs: nnx.Rngs):
        """`inner` is any encoding of this file."""
        self.shape = inner.shape
        self.num_channels = channels
        self.inner = inner
        self.projection = plain_linear(inner.num_channels, channels, rngs=rngs)

    def __call__(self, coordinates: Float[Array, "b m n"] | None = None) -> Float[Array, "*b m c"]:
        """Encode the whole grid (m, c), or the coordinates given (b, m, c)."""
        return self.projection(self.inner(coordinates))

    def at(self, cells: Int[Array, "*b k"]) -> Float[Array, "*b k c"]:
        """The rows of some cells, by their row-major numbers."""
        return self.projection(self.inner.at(cells))


def plain_linear(input_channels: int, output_channels: int, *, rngs: nnx.Rngs) -> nnx.Linear:
    """A linear layer as the release initialises everything but attention and MLP.

    A normal of deviation 1 / sqrt(fan-in) cut at two deviations, without correcting for what the cut takes away.
    """
    init = nnx.initializers.truncated_normal(input_channels**-0.5)
    return linear(input_channels, output_channels, kernel_init=init, rngs=rngs)
