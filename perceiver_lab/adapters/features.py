"""What an input adapter takes from the raw data, before positions: pixels, patches, convolutions, stretches of sound.

Each has `.shape`, the shape of one raw example; `.grid`, the cells it makes of it; `.num_channels`, the width of a
cell; and maps a batch (B, *shape) to (B, *grid, num_channels).
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.layers import ConvDownsample
from perceiver_lab.layers.positions import plain_linear
from perceiver_lab.ops import flow_patches, space_to_depth


class Pixels(nnx.Module):
    """Pixels as they are, or every `factor`-th of them. No parameters."""

    def __init__(self, shape: Sequence[int], *, factor: int = 1, time_factor: int = 1):
        """Images (height, width, channels) or videos (frames, height, width, channels).

        Raises:
          ValueError: another rank.
        """
        self.shape = check_image_shape(shape)
        self.steps = (factor,) * 2 if len(self.shape) == 3 else (time_factor, factor, factor)
        self.grid = tuple(-(-n // step) for n, step in zip(self.shape, self.steps, strict=False))
        self.num_channels = self.shape[-1]

    def __call__(self, x: Float[Array, "..."], *, train: bool = False) -> Float[Array, "..."]:
        """Strided slices."""
        return x[(slice(None), *(slice(None, None, step) for step in self.steps))]


class Patches(nnx.Module):
    """Non-overlapping blocks of pixels (space to depth), optionally through a linear layer."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        factor: int,
        time_factor: int = 1,
        channels: int | None = None,
        rngs: nnx.Rngs | None = None,
    ):
        """Blocks.

        Args:
          shape: (height, width, channels) or (frames, height, width, channels).
          factor: block side in pixels.
          time_factor: block length in frames; a single frame that remains is no axis of the grid.
          channels: width of the linear layer; none if left out.
          rngs: for that layer.

        Raises:
          ValueError: another rank, sides that are no multiples of the block's, or a linear layer without rngs.
        """
        self.shape = check_image_shape(shape)
        self.factor, self.time_factor = factor, time_factor
        steps = (factor,) * 2 if len(self.shape) == 3 else (time_factor, factor, factor)
        if any(n % step for n, step in zip(self.shape, steps, strict=False)):
            raise ValueError(
                f"Blocks of {steps} do not divide an input of {self.shape[:-1]}. Crop or pad it to a multiple, or "
                "choose another factor."
            )
        grid = tuple(n // step for n, step in zip(self.shape, steps, strict=False))
        self.grid = grid[1:] if len(grid) == 3 and grid[0] == 1 else grid
        width = math.prod(steps) * self.shape[-1]
        check_rngs(rngs, channels is not None, "The linear layer on the patches")
        self.linear = None if channels is None else plain_linear(width, channels, rngs=rngs)
        self.num_channels = width if channels is None else channels

    def __call__(self, x: Float[Array, "..."], *, train: bool = False) -> Float[Array, "..."]:
        """Channel order within a block: (frame, row, column, channel)."""
        x = space_to_depth(x, self.factor, self.time_factor)
        return x if self.linear is None else self.linear(x)


class FlowPatches(nnx.Module):
    """Pairs of frames for optical flow: the neighbourhood of every pixel in both (2107.14795, appendix H).

    (2, height, width, C) -> (height, width, 2 * size * size * C), optionally through a linear layer.
    """

    def __init__(
        self, shape: Sequence[int], *, size: int = 3, channels: int | None = None, rngs: nnx.Rngs | None = None
    ):
        """Neighbourhoods.

        Args:
          shape: (frames, height, width, channels).
          size: side of a neighbourhood, odd; the paper's is 3.
          channels: width of the linear layer; none if left out.
          rngs: for that layer.

        Raises:
          ValueError: no frames, an even size, or a linear layer without rngs.
        """
        self.shape, self.size = check_image_shape(shape), size
        if len(self.shape) != 4 or size % 2 == 0:
            raise ValueError(
                f"shape={self.shape}, size={size}: give (frames, height, width, channels) and an odd size, so that a "
                "neighbourhood has a pixel in its middle."
            )
        self.grid = self.shape[1:3]
        width = self.shape[0] * size**2 * self.shape[-1]
        check_rngs(rngs, channels is not None, "The linear layer on the patches")
        self.linear = None if channels is None else plain_linear(width, channels, rngs=rngs)
        self.num_channels = width if channels is None else channels

    def __call__(self, x: Float[Array, "b t h w c"], *, train: bool = False) -> Float[Array, "b h w d"]:
        """Channel order: (frame, row, column, channel)."""
        x = flow_patches(x, self.size)
        return x if self.linear is None else self.linear(x)


class Convolutions(nnx.Module):
    """7 x 7 convolutions and max-pools, a quarter of the side for each; videos frame by frame."""

    def __init__(
        self, shape: Sequence[int], *, channels: int, num_layers: int = 1, batch_norm: bool = True, rngs: nnx.Rngs
    ):
        """See `layers.ConvDownsample`.

        Raises:
          ValueError: another rank than an image's or a video's.
        """
        self.shape = check_image_shape(shape)
        self.downsample = ConvDownsample(
            self.shape[-1], channels, num_layers=num_layers, batch_norm=batch_norm, rngs=rngs
        )
        sides = self.shape[-3:-1]
        for _ in range(2 * num_layers):
            sides = tuple(-(-side // 2) for side in sides)
        self.grid = (*self.shape[:-3], *sides)
        self.num_channels = channels if num_layers else self.shape[-1]

    def __call__(self, x: Float[Array, "..."], *, train: bool = False) -> Float[Array, "..."]:
        """Frames are folded into the batch for the convolutions."""
        frames = self.downsample(x.reshape(-1, *self.shape[-3:]), train=train)
        return frames.reshape(x.shape[0], *self.grid, self.num_channels)


class Conv1x1(nnx.Module):
    """One linear layer on every pixel, or on every `factor`-th."""

    def __init__(self, shape: Sequence[int], *, channels: int, factor: int = 1, rngs: nnx.Rngs):
        """Images or videos.

        Raises:
          ValueError: another rank.
        """
        self.pixels = Pixels(shape, factor=factor)
        self.shape, self.grid = self.pixels.shape, self.pixels.grid
        self.linear = plain_linear(self.shape[-1], channels, rngs=rngs)
        self.num_channels = channels

    def __call__(self, x: Float[Array, "..."], *, train: bool = False) -> Float[Array, "..."]:
        """A 1 x 1 convolution with a stride is a linear layer on the pixels that the stride meets."""
        return self.linear(self.pixels(x))


class AudioPatches(nnx.Module):
    """Raw sound cut into stretches: (samples, 1) -> (samples / samples_per_patch, samples_per_patch)."""

    def __init__(self, num_samples: int, *, samples_per_patch: int):
        """No parameters.

        Raises:
          ValueError: the stretches do not divide the clip.
        """
        if num_samples % samples_per_patch:
            raise ValueError(
                f"samples_per_patch={samples_per_patch} does not divide num_samples={num_samples}. Cut or pad the clip "
                "to a multiple."
            )
        self.shape = (num_samples, 1)
        self.grid = (num_samples // samples_per_patch,)
        self.num_channels = samples_per_patch

    def __call__(self, x: Float[Array, "b t 1"], *, train: bool = False) -> Float[Array, "b m c"]:
        """One row per stretch."""
        return jnp.reshape(x, (x.shape[0], *self.grid, self.num_channels))


def check_image_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """(height, width, channels) or (frames, height, width, channels), nothing empty.

    Raises:
      ValueError: anything else.
    """
    if len(shape) not in (3, 4) or min(shape) < 1:
        raise ValueError(
            f"shape={tuple(shape)}: give the shape of one example without the batch, (height, width, channels) for "
            "images or (frames, height, width, channels) for videos, with nothing empty."
        )
    return tuple(shape)


def check_rngs(rngs: nnx.Rngs | None, needed: bool, what: str) -> None:
    """Ask for random numbers where there are weights to draw.

    Raises:
      ValueError: they are needed and missing.
    """
    if needed and rngs is None:
        raise ValueError(f"{what} has weights to start from random numbers: give rngs=nnx.Rngs(seed).")
