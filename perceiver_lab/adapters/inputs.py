"""Input adapters: any modality -> inputs (B, M, C), what a Perceiver reads.

An input adapter is called with a batch of raw examples and returns one row per element, features and position in one.
It has `.num_channels`, the width C, and `.features(x)`, the rows without positions (B, M, C_features).
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.adapters.features import Pixels, check_rngs
from perceiver_lab.layers import FourierPositions, LearnedPositions
from perceiver_lab.layers.positions import plain_linear


class GridInput(nnx.Module):
    """Data on a grid (images, videos, sound): features of each cell, with the position of the cell.

    inputs = [features | positions]   or   features + positions          (2103.03206, section 3.2)
    """

    def __init__(
        self,
        features: nnx.Module,
        positions: nnx.Module,
        *,
        combine: str = "concat",
        position_mlp_layers: int = 0,
        rngs: nnx.Rngs | None = None,
    ):
        """Put the two together.

        Args:
          features: one of `adapters.features`.
          positions: one of `layers.positions`, over the grid that the features have.
          combine: "concat" or "add".
          position_mlp_layers: extra residual layers on the positions, ReLU between.
          rngs: for those.

        Raises:
          ValueError: positions for another grid; features and positions of different width to be added; extra layers
            without rngs.
        """
        if tuple(positions.shape) != tuple(features.grid):
            raise ValueError(
                f"The positions are those of a grid of {tuple(positions.shape)}, but the features lie on a grid of "
                f"{tuple(features.grid)}. Give the positions the shape {tuple(features.grid)}."
            )
        self.num_channels = combined_channels(combine, features.num_channels, positions.num_channels)
        self.feature_layer, self.positions, self.combine = features, positions, combine
        check_rngs(rngs, position_mlp_layers > 0, "The extra layers on the positions")
        width = positions.num_channels
        self.position_mlp = nnx.data([plain_linear(width, width, rngs=rngs) for _ in range(position_mlp_layers)])

    @property
    def num_elements(self) -> int:
        """M: how many rows a whole example becomes."""
        return math.prod(self.feature_layer.grid)

    def features(self, x: Float[Array, "..."], *, train: bool = False) -> Float[Array, "b m c"]:
        """The features alone, one row per cell, row-major."""
        expected = tuple(self.feature_layer.shape)
        if tuple(x.shape[1:]) != expected or x.shape[0] == 0:
            raise ValueError(
                f"This adapter reads batches (B, {', '.join(map(str, expected))}), B at least 1; got shape {x.shape}. "
                "A single example needs a batch axis (x[None]); data of another size needs an adapter built for it."
            )
        x = self.feature_layer(x, train=train)
        return x.reshape(x.shape[0], -1, x.shape[-1])

    def __call__(
        self, x: Float[Array, "..."], *, positions: Float[Array, "b m a"] | None = None, train: bool = False
    ) -> Float[Array, "b m c"]:
        """Features with positions.

        Args:
          x: (B, *shape); or, from pixels with Fourier positions, any selection of pixels (B, K, channels) whose
            `positions` are given.
          positions: coordinates in [-1, 1] of each element, by default those of the grid.
          train: batch norm uses the batch's own statistics.

        Raises:
          ValueError: another shape, or positions that do not fit.
        """
        selected = positions is not None and x.ndim == 3 and isinstance(self.feature_layer, Pixels)
        return self.place(self._check_selection(x) if selected else self.features(x, train=train), positions=positions)

    def place(
        self, features: Float[Array, "b m f"], *, positions: Float[Array, "b m a"] | None = None
    ) -> Float[Array, "b m c"]:
        """Features, one row per element, -> inputs: the second half of a call.

        Raises:
          ValueError: positions that do not fit.
        """
        expected = (*features.shape[:2], len(self.positions.shape))
        if positions is not None and positions.shape != expected:
            raise ValueError(
                f"positions must be (B, M, axes) = {expected}, one coordinate in [-1, 1] per axis and element; got "
                f"{positions.shape}."
            )
        encoded = self.positions(positions)
        for number, layer in enumerate(self.position_mlp):
            encoded = encoded + layer(encoded)
            if number + 1 < len(self.position_mlp):
                encoded = jax.nn.relu(encoded)
        encoded = jnp.broadcast_to(
            encoded if encoded.ndim == 3 else encoded[None], (*features.shape[:2], encoded.shape[-1])
        )
        return features + encoded if self.combine == "add" else jnp.concatenate([features, encoded], axis=-1)

    def _check_selection(self, x):
        if x.shape[-1] != self.feature_layer.num_channels or x.shape[1] == 0:
            raise ValueError(
                f"A selection of pixels must be (B, K, {self.feature_layer.num_channels}) with K at least 1; got "
                f"{x.shape}."
            )
        return x


def combined_channels(combine: str, feature_channels: int, position_channels: int) -> int:
    """Width of features and positions together.

    Raises:
      ValueError: a way that there is not, or different widths to be added.
    """
    if combine not in ("concat", "add"):
        raise ValueError(f"combine={combine!r} is unknown; choose 'concat' or 'add'.")
    if combine == "concat":
        return feature_channels + position_channels
    if feature_channels != position_channels:
        raise ValueError(
            f"combine='add' wants equal widths; features have {feature_channels} channels, positions have "
            f"{position_channels}. Project one of them (ProjectedPositions), or concatenate."
        )
    return feature_channels


def ImageInput(
    shape: Sequence[int], *, num_bands: int | None = None, max_resolution: Sequence[int] | None = None,
    position_channels: int = 128, rngs: nnx.Rngs | None = None,
) -> GridInput:  # fmt: skip
    """Every pixel as an element, the plain choice: Fourier positions with `num_bands`, or a learned table without.

    Args:
      shape: (height, width, channels) or (frames, height, width, channels).
      num_bands: frequencies per axis; None for learned positions.
      max_resolution: of the Fourier features; by default the image's own.
      position_channels: width of the learned table.
      rngs: for the learned table.

    Raises:
      ValueError: another rank, or a learned table without rngs.
    """
    pixels = Pixels(shape)
    check_rngs(rngs, num_bands is None, "A table of learned positions (num_bands=None)")
    if num_bands is None:
        positions = LearnedPositions(pixels.grid, position_channels, rngs=rngs)
    else:
        positions = FourierPositions(pixels.grid, num_bands=num_bands, max_resolution=max_resolution)
    return GridInput(pixels, positions)


class PointInput(nnx.Module):
    """Point clouds: the Fourier features of the points' own coordinates (2103.03206, section 4.3). No parameters."""

    def __init__(self, num_axes: int = 3, *, num_bands: int, max_resolution: Sequence[int]):
        """ModelNet40 has 64 bands up to a frequency of 1120, a resolution of 2240; see `ops.fourier_features`."""
        self.num_axes = num_axes
        self.encoding = FourierPositions((1,) * num_axes, num_bands=num_bands, max_resolution=max_resolution)
        self.num_channels = self.encoding.num_channels

    def features(self, x: Float[Array, "b m n"], *, train: bool = False) -> Float[Array, "b m n"]:
        """The coordinates themselves."""
        if x.ndim != 3 or x.shape[-1] != self.num_axes or x.shape[1] == 0:
            raise ValueError(
                f"Point clouds must be (B, M, {self.num_axes}), coordinates in [-1, 1], M at least 1; got {x.shape}."
            )
        return x

    def __call__(
        self, x: Float[Array, "b m n"], *, positions: None = None, train: bool = False
    ) -> Float[Array, "b m c"]:
        """Encode; a point is its own position, so `positions` stays empty."""
        if positions is not None:
            raise ValueError("Points carry their own positions: leave `positions` out and move the points instead.")
        return self.encoding(self.features(x))


class OneHotInput(nnx.Module):
    """A class label as one element: (B, C) -> (B, 1, C). No positions, no parameters."""

    num_elements = 1

    def __init__(self, num_classes: int):
        """`num_classes` is the width."""
        self.num_channels = num_classes

    def features(self, x: Float[Array, "b c"], *, train: bool = False) -> Float[Array, "b 1 c"]:
        """The same as calling it."""
        if x.ndim != 2 or x.shape[-1] != self.num_channels:
            raise ValueError(f"One-hot labels must be (B, {self.num_channels}); got {x.shape}.")
        return x[:, None]

    def __call__(self, x: Float[Array, "b c"], *, positions: None = None, train: bool = False) -> Float[Array, "b 1 c"]:
        """One element per example."""
        return self.features(x)
