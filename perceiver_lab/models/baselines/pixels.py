"""Images as ConvNet and ViT take them: a grid of pixels, each with its position in further channels if wanted."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.layers import FourierPositions


class PositionedPixels(nnx.Module):
    """[pixel | Fourier features of its position], still on the grid: the "(FF)" baselines of 2103.03206, table 1.

    No parameters. Without bands the image passes as it is.
    """

    def __init__(self, shape: Sequence[int], num_bands: int | None):
        """See `layers.FourierPositions`; `num_bands=None` adds nothing."""
        self.shape = tuple(shape)
        self.encoding = None if num_bands is None else FourierPositions(self.shape[:2], num_bands=num_bands)
        self.num_channels = self.shape[-1] + (0 if num_bands is None else self.encoding.num_channels)

    def __call__(self, x: Float[Array, "b h w c"], positions: Float[Array, "b m 2"] | None) -> Float[Array, "b h w d"]:
        """Add the channels.

        Args:
          x: images.
          positions: coordinates in [-1, 1] of every pixel, row-major, where pixels have been moved; by default the
            grid's own.

        Raises:
          ValueError: images of another shape; positions of another shape, or for a model that cannot see them.
        """
        if tuple(x.shape[1:]) != self.shape or x.shape[0] == 0:
            raise ValueError(
                f"This model reads images of shape (B, {', '.join(map(str, self.shape))}), B at least 1; got "
                f"{x.shape}. A single image needs a batch axis (x[None]); another size needs a model built for it."
            )
        if self.encoding is None:
            if positions is not None:
                raise ValueError(
                    "This model has no channels for positions (num_bands=None): it knows pixels by their place on the "
                    "grid alone. Leave `positions` out, or build it with num_bands."
                )
            return x
        expected = (x.shape[0], self.shape[0] * self.shape[1], 2)
        if positions is not None and positions.shape != expected:
            raise ValueError(
                f"positions must be (B, H * W, 2) = {expected}, row and column of each pixel in [-1, 1]; got "
                f"{positions.shape}."
            )
        encoded = self.encoding(positions)
        encoded = encoded.reshape(-1, *self.shape[:2], encoded.shape[-1])
        return jnp.concatenate([x, jnp.broadcast_to(encoded, (*x.shape[:3], encoded.shape[-1]))], axis=-1)


def check_shape(shape: Sequence[int]) -> None:
    """Refuse what is not (height, width, channels).

    Raises:
      ValueError: naming the shape.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape={tuple(shape)}: give one image's (height, width, channels), nothing empty.")


def check_sizes(config, *names: str) -> None:
    """Refuse sizes below 1 and dropout rates outside [0, 1).

    Raises:
      ValueError: naming the field.
    """
    for name in names:
        if getattr(config, name) < 1:
            raise ValueError(f"{name}={getattr(config, name)} must be at least 1.")
    if not 0 <= config.dropout_rate < 1:
        raise ValueError(f"dropout_rate={config.dropout_rate} must be at least 0 and below 1.")
