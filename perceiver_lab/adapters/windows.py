"""Pairs of frames as inputs: what both show around a pixel, near and far."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.layers import FourierPositions
from perceiver_lab.layers.positions import plain_linear


class WindowInput(nnx.Module):
    """A window of both frames around each pixel, through a small network, with the pixel's position.

    inputs = [W2 gelu(W1 [near 1, near 2, far 1, far 2]) | Fourier features]      (B, M, channels + positions)

    The paper's optical-flow model reads 3 x 3 pixels of both frames and leaves all matching to its 24 layers
    (2107.14795, section 4.2). This one is for small models: `size` x `size` pixels of both frames, and as many of the
    frames at half their size, which see twice as far. Frames count as brightness, shifted and scaled by the mean and
    the deviation of the first.
    """

    def __init__(
        self, shape: Sequence[int], *, size: int, hidden_channels: int, channels: int, num_bands: int, rngs: nnx.Rngs
    ):
        """Put the adapter together.

        Args:
          shape: (2, height, width, colours), height and width even.
          size: side of a window, odd.
          hidden_channels: width of the network between window and features.
          channels: width of the features.
          num_bands: of the Fourier positions, per axis.
          rngs: for the network.

        Raises:
          ValueError: another shape, or an even size.
        """
        if len(shape) != 4 or shape[0] != 2 or shape[1] % 2 or shape[2] % 2 or size % 2 == 0:
            raise ValueError(
                f"shape={tuple(shape)}, size={size}: give (2, height, width, colours), sides even, and an odd size: "
                "a window has a pixel in its middle."
            )
        self.shape, self.size = tuple(shape), size
        self.grid = self.shape[1:3]
        self.expand = plain_linear(4 * size**2, hidden_channels, rngs=rngs)
        self.contract = plain_linear(hidden_channels, channels, rngs=rngs)
        self.positions = FourierPositions(self.grid, num_bands=num_bands)
        self.num_channels = channels + self.positions.num_channels

    def features(self, x: Float[Array, "b t h w colours"], *, train: bool = False) -> Float[Array, "b m c"]:
        """The features of all pixels, without positions."""
        return self._features(x, jnp.arange(self.grid[0] * self.grid[1]))

    def __call__(
        self,
        x: Float[Array, "b t h w colours"],
        *,
        cells: Int[Array, "*b k"] | None = None,
        positions: None = None,
        train: bool = False,
    ) -> Float[Array, "b m c"]:
        """Rows of all pixels, or of some.

        Args:
          x: frames (B, 2, H, W, colours).
          cells: numbers of pixels, row-major: (K,) for all examples or (B, K).
          positions: of no use here; pixels have their own.
          train: of no meaning here.

        Raises:
          ValueError: frames of another shape, or positions.
        """
        if positions is not None:
            raise ValueError(
                "Windows lie around pixels, which have their positions: leave `positions` out, give cells."
            )
        if cells is None:
            cells = jnp.arange(self.grid[0] * self.grid[1])
        features = self._features(x, cells)
        encoded = self.positions.at(cells)
        encoded = jnp.broadcast_to(encoded, (*features.shape[:2], encoded.shape[-1]))
        return jnp.concatenate([features, encoded], axis=-1)

    def _features(self, x, cells):
        if tuple(x.shape[1:]) != self.shape or x.shape[0] == 0:
            raise ValueError(
                f"This adapter reads pairs of frames (B, {', '.join(map(str, self.shape))}); got shape {x.shape}. "
                "Larger frames are answered tile by tile: ops.tiles.predict_tiled."
            )
        near = standardised(x.mean(axis=-1))
        b, t, h, w = near.shape
        far = near.reshape(b, t, h // 2, 2, w // 2, 2).mean(axis=(3, 5))
        cells = jnp.broadcast_to(cells, (b, cells.shape[-1]))
        rows, columns = cells // w, cells % w
        windows = [self._windows(near, rows, columns), self._windows(far, rows // 2, columns // 2)]
        hidden = self.expand(jnp.concatenate(windows, axis=-1))
        return self.contract(jax.nn.gelu(hidden, approximate=True))

    def _windows(self, frames, rows, columns):
        """(B, 2, h, w) and places (B, K) -> (B, K, 2 * size * size); zeros, the mean, beyond the border."""
        radius = self.size // 2
        padded = jnp.pad(frames, ((0, 0), (0, 0), (radius, radius), (radius, radius)))
        down, right = np.divmod(np.arange(self.size**2)[None], self.size)
        windows = jax.vmap(lambda one, i, j: one[:, i[:, None] + down, j[:, None] + right])(padded, rows, columns)
        return windows.swapaxes(1, 2).reshape(*rows.shape, -1)


def standardised(frames: Float[Array, "b t h w"]) -> Float[Array, "b t h w"]:
    """Frames less the mean of the first and over its deviation: equal brightness stays equal in both."""
    first = frames[:, :1]
    mean = first.mean(axis=(2, 3), keepdims=True)
    deviation = first.std(axis=(2, 3), keepdims=True)
    return (frames - mean) / jnp.maximum(deviation, 0.03)  # of [-1, 1]: flat frames are not blown up
