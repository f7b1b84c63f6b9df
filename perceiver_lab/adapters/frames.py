"""Frames of images and clips as a resampler reads them: features of the cells of a grid, without positions."""

from collections.abc import Sequence

import jax
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.adapters.features import check_image_shape
from perceiver_lab.layers import layer_norm


class FrameInput(nnx.Module):
    """A few convolutions on each frame by itself, each of stride 2, and a norm: (..., H, W, C) -> (..., S, D).

    The norm makes features as loud as the time embeddings that a resampler adds to them.
    """

    def __init__(self, shape: Sequence[int], channels: Sequence[int], *, rngs: nnx.Rngs):
        """Create the layers.

        Args:
          shape: (height, width, channels) of a frame.
          channels: of each convolution, 5 x 5 the first and 3 x 3 the others.
          rngs: for the initial weights.

        Raises:
          ValueError: another rank, no convolutions, or sides that are no multiples of the strides' product.
        """
        self.shape, stride = check_image_shape(shape), 2 ** len(channels)
        if len(self.shape) != 3 or not channels or any(side % stride for side in self.shape[:2]):
            raise ValueError(
                f"FrameInput was given frames of shape {self.shape} and convolutions of {tuple(channels)} channels: it "
                "wants (height, width, channels) and at least one convolution, and each halves the sides evenly."
            )
        self.grid = tuple(side // stride for side in self.shape[:2])
        self.num_channels = channels[-1]
        widths, sizes = (self.shape[-1], *channels), (5, *(3 for _ in channels[1:]))
        self.convs = nnx.data(
            [
                nnx.Conv(before, after, (size, size), strides=2, kernel_init=nnx.initializers.he_normal(), rngs=rngs)
                for before, after, size in zip(widths, channels, sizes, strict=False)
            ]
        )
        self.norm = layer_norm(self.num_channels, rngs)

    def __call__(self, frames: Float[Array, "*b h w c"]) -> Float[Array, "*b s d"]:
        """Any number of leading axes, such as (B, I, T).

        Raises:
          ValueError: frames of another shape.
        """
        if tuple(frames.shape[-3:]) != self.shape or frames.ndim < 4 or 0 in frames.shape:
            raise ValueError(
                f"This vision network reads frames (..., {', '.join(map(str, self.shape))}) with at least one leading "
                f"axis; got {frames.shape}. Frames of another size need a network built for them."
            )
        x = frames.reshape(-1, *self.shape)
        for conv in self.convs:
            x = jax.nn.relu(conv(x))
        return self.norm(x).reshape(*frames.shape[:-3], -1, self.num_channels)
