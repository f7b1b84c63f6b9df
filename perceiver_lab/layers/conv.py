"""The convolutions with which some Perceivers shrink an image before they read it, or enlarge what they decoded."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


class BatchNorm(nnx.Module):
    """Batch normalisation with zero-debiased running averages, as the released models were trained.

    `nnx.BatchNorm` starts its averages from 0 and 1 and lets that fade; here average = sum / (1 - 0.9^steps), which is
    right from the first step on.
    """

    DECAY = 0.9

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        """Parameters `scale` and `bias`; statistics `mean` and `variance`, the fading sums behind them, and `steps`."""
        del rngs  # starts from constants
        self.scale = nnx.Param(jnp.ones(channels))
        self.bias = nnx.Param(jnp.zeros(channels))
        # Before the first training step there is no average: these leave the input as it is.
        self.mean = nnx.BatchStat(jnp.zeros(channels))
        self.variance = nnx.BatchStat(jnp.ones(channels))
        self.mean_sum = nnx.BatchStat(jnp.zeros(channels))
        self.variance_sum = nnx.BatchStat(jnp.zeros(channels))
        self.steps = nnx.BatchStat(jnp.zeros((), jnp.int32))

    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h w c"]:
        """Normalise by the batch's own statistics in training, by the running averages otherwise."""
        if train:
            mean = x.mean(axis=(0, 1, 2))
            variance = (x**2).mean(axis=(0, 1, 2)) - mean**2
            self._average(mean, variance)
        else:
            mean, variance = self.mean[...], self.variance[...]
        factor = jax.lax.rsqrt(variance + 1e-5) * self.scale[...]
        return (x - mean[None, None, None]) * factor[None, None, None] + self.bias[...][None, None, None]

    def _average(self, mean, variance):
        self.steps[...] = self.steps[...] + 1
        debias = 1 - self.DECAY ** self.steps[...].astype(jnp.float32)
        for running, total, value in ((self.mean, self.mean_sum, mean), (self.variance, self.variance_sum, variance)):
            total[...] = self.DECAY * total[...] + (1 - self.DECAY) * value
            running[...] = total[...] / debias


class ConvDownsample(nnx.Module):
    """`num_layers` times: 7 x 7 convolution, batch norm, ReLU, 3 x 3 max-pool, both of stride 2 (2107.14795, A.1)."""

    def __init__(
        self, input_channels: int, channels: int, *, num_layers: int = 1, batch_norm: bool = True, rngs: nnx.Rngs
    ):
        """Each layer shrinks both sides to a quarter. Without layers, the image stays as it is.

        Raises:
          ValueError: a negative number of layers.
        """
        if num_layers < 0:
            raise ValueError(f"num_layers={num_layers} must be at least 0.")
        widths = ([input_channels] + [channels] * num_layers)[:num_layers]
        self.convs = nnx.data([_conv(width, channels, rngs) for width in widths])
        self.norms = nnx.data([BatchNorm(channels, rngs=rngs) for _ in widths] if batch_norm else [])

    def __call__(self, x: Float[Array, "b h w c"], *, train: bool = False) -> Float[Array, "b h4 w4 d"]:
        """Padding is SAME: the odd pixel goes to the end."""
        for number, conv in enumerate(self.convs):
            x = conv(x)
            if self.norms:
                x = self.norms[number](x, train=train)
            x = nnx.max_pool(jax.nn.relu(x), (3, 3), strides=(2, 2), padding="SAME")
        return x


def _conv(input_channels, channels, rngs):
    init = nnx.initializers.truncated_normal((7 * 7 * input_channels) ** -0.5)
    return nnx.Conv(
        input_channels, channels, (7, 7), strides=2, padding="SAME", use_bias=False, kernel_init=init, rngs=rngs
    )


class TransposedConv(nnx.Module):
    """A transposed convolution of 4 taps per axis: zeros between the samples, then a correlation, padding SAME.

    The kernel is (taps..., output channels, input channels), not flipped.
    """

    TAPS = 4

    def __init__(self, input_channels: int, channels: int, *, strides: Sequence[int], rngs: nnx.Rngs):
        """`strides`: factor by which each axis grows, one per axis."""
        self.strides = tuple(strides)
        taps = (self.TAPS,) * len(self.strides)
        fan_in = self.TAPS ** len(taps) * input_channels
        init = nnx.initializers.truncated_normal(fan_in**-0.5)
        self.kernel = nnx.Param(init(rngs.params(), (*taps, channels, input_channels), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(channels))

    def __call__(self, x: Float[Array, "b *sides c"]) -> Float[Array, "b *larger d"]:
        """(B, H, W, C) or (B, T, H, W, C), as there are strides."""
        kernel = jnp.swapaxes(self.kernel[...], -1, -2)
        x = jax.lax.conv_transpose(x, kernel, self.strides, "SAME", dimension_numbers=self._layout())
        return x + self.bias[...].reshape((1,) * (x.ndim - 1) + (-1,))

    def _layout(self):
        axes = "THW"[-len(self.strides) :]
        return f"N{axes}C", f"{axes}IO", f"N{axes}C"


class ConvUpsample(nnx.Module):
    """Transposed convolutions with ReLU between, each doubling some sides (2107.14795, appendix A.1, reversed).

    Of L layers the first `time` double the frames and the first `space` the height and width; layer i has
    `channels` * 2^(L - 1 - i) channels. Without `time`, videos are enlarged frame by frame.
    """

    def __init__(self, input_channels: int, channels: int, *, space: int = 2, time: int = 0, rngs: nnx.Rngs):
        """The release has two layers for images, 4 times the side, and for videos as many as the longer axis needs.

        Args:
          input_channels: of the cells.
          channels: of the result.
          space: doublings of height and width.
          time: doublings of the frames.
          rngs: for the initial weights.

        Raises:
          ValueError: no doubling, or a negative number.
        """
        if min(space, time) < 0 or max(space, time) < 1:
            raise ValueError(f"space={space} and time={time}: give at least one doubling, and none below 0.")
        self.over_time = time > 0
        num_layers = max(space, time)
        widths = [input_channels, *(channels * 2 ** (num_layers - 1 - index) for index in range(num_layers))]
        strides = [(1 + (index < time),) * self.over_time + (1 + (index < space),) * 2 for index in range(num_layers)]
        self.convs = nnx.data(
            [
                TransposedConv(before, after, strides=stride, rngs=rngs)
                for before, after, stride in zip(widths, widths[1:], strides, strict=False)
            ]
        )

    def __call__(self, x: Float[Array, "b *sides c"]) -> Float[Array, "b *larger d"]:
        """(B, H, W, C) or (B, T, H, W, C).

        Raises:
          ValueError: images where frames are to be doubled.
        """
        if x.ndim not in (4, 5) or (self.over_time and x.ndim != 5):
            raise ValueError(
                f"ConvUpsample takes {'videos (B, T, H, W, C)' if self.over_time else 'images or videos'}; got shape "
                f"{x.shape}. Put the rows on their grid first."
            )
        frames = x if self.over_time else x.reshape(-1, *x.shape[-3:])
        for number, conv in enumerate(self.convs):
            frames = conv(jax.nn.relu(frames) if number else frames)
        return frames if self.over_time else frames.reshape(*x.shape[:-3], *frames.shape[1:])
