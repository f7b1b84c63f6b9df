"""The convolutions with which some Perceivers shrink an image before they read it."""

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
