"""A small U-Net (Ronneberger et al., 1505.04597), with residual blocks: the ConvNet that answers at every pixel."""

import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.models.baselines.convnet import ResidualBlock
from perceiver_lab.models.baselines.pixels import check_shape


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Sizes of a U-Net.

    Attributes:
      shape: (height, width, channels) of a picture; each stage after the first halves its sides.
      num_classes: logits at each pixel.
      widths: channels of each stage.
      num_groups: of the group norms; must divide every width.

    Raises:
      ValueError: sizes that do not fit together, with the offending value.
    """

    shape: tuple[int, int, int]
    num_classes: int
    widths: tuple[int, ...] = (16, 24, 32)
    num_groups: int = 4

    def __post_init__(self):
        check_shape(self.shape)
        if self.num_classes < 1 or self.num_groups < 1:
            raise ValueError(f"num_classes={self.num_classes}, num_groups={self.num_groups}: both must be at least 1.")
        if not self.widths or any(width < 1 or width % self.num_groups for width in self.widths):
            raise ValueError(f"widths={self.widths}: at least one, each a multiple of num_groups={self.num_groups}.")
        factor = 2 ** (len(self.widths) - 1)
        if any(extent % factor for extent in self.shape[:2]):
            raise ValueError(
                f"shape={self.shape} cannot be halved {len(self.widths) - 1} times: its sides must be multiples of "
                f"{factor}."
            )


class UNet(nnx.Module):
    """Down in residual blocks, up again, each stage on the way up with the one opposite added.

    The paper joins the stage opposite as further channels; adding it takes half the weights.
    """

    def __init__(self, config: UNetConfig, *, rngs: nnx.Rngs):
        """Create the layers."""
        self.config, widths = config, config.widths
        options = {"num_groups": config.num_groups, "rngs": rngs}
        pairs = list(itertools.pairwise(widths))
        self.first = ResidualBlock(config.shape[-1], widths[0], stride=1, **options)
        self.down = nnx.data([ResidualBlock(wide, deep, stride=2, **options) for wide, deep in pairs])
        self.narrow = nnx.data([nnx.Linear(deep, wide, rngs=rngs) for wide, deep in pairs])
        self.up = nnx.data([ResidualBlock(wide, wide, stride=1, **options) for wide, _ in pairs])
        self.head = nnx.Linear(widths[0], config.num_classes, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "b h w k"]:
        """Pictures -> logits of every pixel. `train` and `rngs` change nothing: there is no dropout.

        Raises:
          ValueError: pictures of another shape.
        """
        if tuple(x.shape[1:]) != self.config.shape:
            raise ValueError(f"This model reads pictures (B, {self.config.shape}); got {x.shape}.")
        states = [self.first(x)]
        for block in self.down:
            states.append(block(states[-1]))
        x = states.pop()
        for narrow, block in zip(reversed(self.narrow), reversed(self.up), strict=True):
            x = block(_doubled(jax.nn.relu(narrow(x))) + states.pop())
        return self.head(x)


def _doubled(x):
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
