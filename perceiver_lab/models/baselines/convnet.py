"""A small residual ConvNet (He et al., 1512.03385): the model that knows which pixels are neighbours."""

from dataclasses import dataclass

import jax
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.models.baselines.pixels import PositionedPixels, check_shape, check_sizes

_LARGE = 64  # pixels; from this side on the stem shrinks the image to a quarter, as in the paper


@dataclass(frozen=True, kw_only=True)
class ConvNetConfig:
    """Sizes of a ConvNet.

    Attributes:
      shape: (height, width, channels) of an image, from 8 x 8 up.
      num_classes: logits.
      widths: channels of each stage; every stage after the first halves the sides.
      num_blocks: residual blocks per stage.
      num_groups: of the group norms; must divide every width.
      num_bands: give each pixel the Fourier features of its position too; None for pixels alone.
      dropout_rate: before the classifier, in training.

    Raises:
      ValueError: sizes that do not fit together, with the offending value.
    """

    shape: tuple[int, int, int]
    num_classes: int
    widths: tuple[int, ...] = (32, 64, 96)
    num_blocks: int = 1
    num_groups: int = 4
    num_bands: int | None = None
    dropout_rate: float = 0.0

    def __post_init__(self):
        check_shape(self.shape)
        check_sizes(self, "num_classes", "num_blocks", "num_groups")
        if not self.widths or any(width < 1 or width % self.num_groups for width in self.widths):
            raise ValueError(
                f"widths={self.widths} must name at least one stage, and num_groups={self.num_groups} must divide each "
                "width: every group of the norm has as many channels."
            )


class ConvNet(nnx.Module):
    """Stem, stages of residual blocks, average over all places, linear.

    Group norm (1803.08494) instead of batch norm: no running averages, and the same function in training and test.
    """

    def __init__(self, config: ConvNetConfig, *, rngs: nnx.Rngs):
        """Create the layers."""
        self.config = config
        self.pixels = PositionedPixels(config.shape, config.num_bands)
        large = min(config.shape[:2]) >= _LARGE
        self.shrink = large
        first = config.widths[0]
        self.stem = _conv(self.pixels.num_channels, first, 7 if large else 3, 2 if large else 1, rngs)
        self.stem_norm = nnx.GroupNorm(first, num_groups=config.num_groups, rngs=rngs)
        blocks, channels = [], first
        for stage, width in enumerate(config.widths):
            for number in range(config.num_blocks):
                stride = 2 if stage and not number else 1
                blocks.append(ResidualBlock(channels, width, stride=stride, num_groups=config.num_groups, rngs=rngs))
                channels = width
        self.blocks = nnx.data(blocks)
        self.dropout = nnx.Dropout(config.dropout_rate)
        self.head = nnx.Linear(channels, config.num_classes, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "b h w c"],
        *,
        positions: Float[Array, "b m 2"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b k"]:
        """Images -> class logits.

        Args:
          x: images.
          positions: where each pixel belongs; only with `num_bands`.
          train: whether dropout acts.
          rngs: for dropout, stream "dropout".

        Raises:
          ValueError: images or positions of another shape.
        """
        x = jax.nn.relu(self.stem_norm(self.stem(self.pixels(x, positions))))
        if self.shrink:
            x = nnx.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")
        for block in self.blocks:
            x = block(x)
        return self.head(self.dropout(x.mean(axis=(1, 2)), deterministic=not train, rngs=rngs))


class ResidualBlock(nnx.Module):
    """relu(shortcut(x) + norm(conv(relu(norm(conv(x)))))), both convolutions 3 x 3 (1512.03385, figure 2)."""

    def __init__(self, input_channels: int, channels: int, *, stride: int, num_groups: int, rngs: nnx.Rngs):
        """The shortcut is a 1 x 1 convolution where width or stride change."""
        self.conv1 = _conv(input_channels, channels, 3, stride, rngs)
        self.norm1 = nnx.GroupNorm(channels, num_groups=num_groups, rngs=rngs)
        self.conv2 = _conv(channels, channels, 3, 1, rngs)
        self.norm2 = nnx.GroupNorm(channels, num_groups=num_groups, rngs=rngs)
        same = stride == 1 and input_channels == channels
        self.shortcut = None if same else _conv(input_channels, channels, 1, stride, rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 d"]:
        """Padding is SAME."""
        residual = self.norm2(self.conv2(jax.nn.relu(self.norm1(self.conv1(x)))))
        return jax.nn.relu(residual + (x if self.shortcut is None else self.shortcut(x)))


def _conv(input_channels, channels, side, stride, rngs):
    return nnx.Conv(
        input_channels,
        channels,
        (side, side),
        strides=stride,
        padding="SAME",
        use_bias=False,
        kernel_init=nnx.initializers.he_normal(),
        rngs=rngs,
    )
