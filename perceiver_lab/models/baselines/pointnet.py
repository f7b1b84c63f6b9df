"""PointNet (Qi et al., 1612.00593): each point by itself, then the largest value of each channel over all points."""

import itertools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from perceiver_lab.layers import layer_norm
from perceiver_lab.layers.linear import linear
from perceiver_lab.models.baselines.pixels import check_sizes
from perceiver_lab.ops import check_mask


@dataclass(frozen=True, kw_only=True)
class PointNetConfig:
    """Sizes of a PointNet.

    Attributes:
      num_classes: logits.
      num_axes: coordinates of a point.
      point_widths: of the layers that every point goes through.
      widths: of the layers after the pooling.
      dropout_rate: before the last layer, in training.

    Raises:
      ValueError: sizes that cannot be, with the offending value.
    """

    num_classes: int
    num_axes: int = 3
    point_widths: tuple[int, ...] = (64, 64, 64, 128, 1024)
    widths: tuple[int, ...] = (512, 256)
    dropout_rate: float = 0.0

    def __post_init__(self):
        check_sizes(self, "num_classes", "num_axes")
        for name in ("point_widths", "widths"):
            if not getattr(self, name) or min(getattr(self, name)) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must name at least one layer, none of them empty.")


class PointNet(nnx.Module):
    """g(max over points of h(x)), h and g being layers with norm and ReLU (after 1612.00593).

    Nothing here turns the points first, and the norm is layer norm, so that training and test compute the same.
    """

    def __init__(self, config: PointNetConfig, *, rngs: nnx.Rngs):
        """Create the layers; the last starts from zero."""
        self.config = config
        self.points = _layers((config.num_axes, *config.point_widths), rngs)
        self.pooled = _layers((config.point_widths[-1], *config.widths), rngs)
        self.dropout = nnx.Dropout(config.dropout_rate)
        zeros = nnx.initializers.zeros
        self.head = nnx.Linear(config.widths[-1], config.num_classes, kernel_init=zeros, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "b m a"],
        *,
        mask: Bool[Array, "b m"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b k"]:
        """Point clouds -> class logits.

        Args:
          x: coordinates, any number of points in any order.
          mask: True = there is a point (B, M).
          train: whether dropout acts.
          rngs: for dropout, stream "dropout".

        Raises:
          ValueError: clouds or a mask of another shape.
        """
        x = self.pool(x, mask=mask)[0]
        for layer in self.pooled:
            x = layer(x)
        return self.head(self.dropout(x, deterministic=not train, rngs=rngs))

    def pool(
        self, x: Float[Array, "b m a"], *, mask: Bool[Array, "b m"] | None = None
    ) -> tuple[Float[Array, "b c"], Int[Array, "b c"]]:
        """The largest value of each channel, and the number of the point that has it.

        The points that are named here are the cloud's *critical set*: all others could be left out.

        Raises:
          ValueError: as in the call.
        """
        if x.ndim != 3 or x.shape[-1] != self.config.num_axes or 0 in x.shape:
            raise ValueError(
                f"Point clouds must be (B, M, {self.config.num_axes}), B and M at least 1; got {x.shape}. A single "
                "cloud needs a batch axis (x[None])."
            )
        check_mask(mask, x.shape[:2], "mask", "(B, M)")
        for layer in self.points:
            x = layer(x)
        x = x if mask is None else jnp.where(mask[..., None], x, -1.0)  # below what a ReLU gives: never the largest
        return jnp.maximum(x.max(axis=1), 0.0), x.argmax(axis=1)


class PointLayer(nnx.Module):
    """relu(norm(linear(x))), row by row."""

    def __init__(self, input_channels: int, channels: int, *, rngs: nnx.Rngs):
        """`input_channels` -> `channels`."""
        init = nnx.initializers.he_normal()
        self.linear = linear(input_channels, channels, kernel_init=init, rngs=rngs)
        self.norm = layer_norm(channels, rngs)

    def __call__(self, x: Float[Array, "*batch c"]) -> Float[Array, "*batch d"]:
        """Each row by itself."""
        return jax.nn.relu(self.norm(self.linear(x)))


def _layers(widths, rngs):
    return nnx.data([PointLayer(one, other, rngs=rngs) for one, other in itertools.pairwise(widths)])
