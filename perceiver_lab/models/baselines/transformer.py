"""A Transformer encoder on the inputs themselves (1706.03762): what a Perceiver replaces.

Every element attends to every element, so one layer costs M * M where a Perceiver's read costs M * N.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.layers import SelfAttentionStack, layer_norm
from perceiver_lab.layers.attention import check_heads
from perceiver_lab.models.baselines.pixels import check_sizes
from perceiver_lab.ops import check_mask, input_mask


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Sizes of a Transformer encoder.

    Attributes:
      num_classes: logits.
      channels: width of the elements.
      num_layers: self-attention layers.
      num_heads: must divide `channels`.
      widening_factor: of the MLPs; Transformers have 4.
      dropout_rate: after each attention and each MLP, in training.

    Raises:
      ValueError: sizes that do not fit together, with the offending value.
    """

    num_classes: int
    channels: int = 64
    num_layers: int = 4
    num_heads: int = 4
    widening_factor: int = 4
    dropout_rate: float = 0.0

    def __post_init__(self):
        check_sizes(self, "num_classes", "channels", "num_layers", "num_heads", "widening_factor")
        check_heads(self.num_heads, channels=self.channels)


class TransformerTrunk(nnx.Module):
    """Layers, norm, average over the elements, linear. What comes before is the caller's."""

    def __init__(self, config, *, rngs: nnx.Rngs):
        """`config` has the fields of `TransformerConfig`."""
        self.stack = SelfAttentionStack(
            config.num_layers,
            config.channels,
            num_heads=config.num_heads,
            widening_factor=config.widening_factor,
            dropout_rate=config.dropout_rate,
            rngs=rngs,
        )
        self.norm = layer_norm(config.channels, rngs)
        self.head = nnx.Linear(config.channels, config.num_classes, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(
        self, x: Float[Array, "b m d"], *, mask: Bool[Array, "b m"] | None, train: bool, rngs: nnx.Rngs | None
    ) -> Float[Array, "b k"]:
        """Elements -> logits. Masked elements are neither attended to nor averaged."""
        pairs = None if mask is None else input_mask(mask, x.shape[1])
        x = self.norm(self.stack(x, mask=pairs, train=train, rngs=rngs))
        if mask is None:
            return self.head(x.mean(axis=1))
        valid = mask[..., None]
        return self.head(jnp.where(valid, x, 0.0).sum(axis=1) / jnp.maximum(valid.sum(axis=1), 1))


class TransformerEncoder(nnx.Module):
    """Any input adapter's elements through a Transformer: with `ImageInput`, a Transformer on pixels."""

    def __init__(self, config: TransformerConfig, *, input_adapter: nnx.Module, rngs: nnx.Rngs):
        """Put a model together.

        Args:
          config: sizes.
          input_adapter: raw batch -> inputs (B, M, C), as for a Perceiver.
          rngs: for the initial weights.
        """
        self.config = config
        self.input_adapter = input_adapter
        self.embed = nnx.Linear(input_adapter.num_channels, config.channels, rngs=rngs)
        self.trunk = TransformerTrunk(config, rngs=rngs)

    def __call__(
        self,
        x,
        *,
        positions: Float[Array, "b m n"] | None = None,
        mask: Bool[Array, "b m"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b k"]:
        """Raw batch -> class logits.

        Args:
          x: what the input adapter reads.
          positions: coordinates of the elements, by default the adapter's own.
          mask: True = valid element (B, M).
          train: whether dropout acts.
          rngs: for dropout, stream "dropout".

        Raises:
          ValueError: a batch, positions or mask of another shape.
        """
        inputs = self.input_adapter(x, positions=positions, train=train)
        check_mask(mask, inputs.shape[:2], "mask", "(B, M)")
        return self.trunk(self.embed(inputs), mask=mask, train=train, rngs=rngs)
