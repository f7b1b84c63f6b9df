"""The Vision Transformer (2010.11929): an image as a sequence of patches."""

from dataclasses import dataclass

from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.layers import LearnedPositions
from perceiver_lab.layers.attention import check_heads
from perceiver_lab.models.baselines.pixels import PositionedPixels, check_shape, check_sizes
from perceiver_lab.models.baselines.transformer import TransformerTrunk
from perceiver_lab.ops import space_to_depth


@dataclass(frozen=True, kw_only=True)
class ViTConfig:
    """Sizes of a Vision Transformer.

    Attributes:
      shape: (height, width, channels) of an image.
      num_classes: logits.
      patch: side of a patch in pixels; must divide height and width. 1 makes a Transformer on pixels.
      channels: width of the elements.
      num_layers: self-attention layers.
      num_heads: must divide `channels`.
      widening_factor: of the MLPs.
      num_bands: None for a learned table with one row per patch, as published. Otherwise each pixel gets the Fourier
        features of its position before it goes into its patch ("ViT-B-16 (FF)" of 2103.03206), and there is no table.
      dropout_rate: after each attention and each MLP, in training.

    Raises:
      ValueError: sizes that do not fit together, with the offending value.
    """

    shape: tuple[int, int, int]
    num_classes: int
    patch: int = 4
    channels: int = 64
    num_layers: int = 4
    num_heads: int = 4
    widening_factor: int = 4
    num_bands: int | None = None
    dropout_rate: float = 0.0

    def __post_init__(self):
        check_shape(self.shape)
        check_sizes(self, "num_classes", "patch", "channels", "num_layers", "num_heads", "widening_factor")
        check_heads(self.num_heads, channels=self.channels)
        if self.shape[0] % self.patch or self.shape[1] % self.patch:
            raise ValueError(
                f"patch={self.patch} does not divide an image of {self.shape[0]} x {self.shape[1]}. Choose a divisor "
                "of both sides."
            )


class ViT(nnx.Module):
    """Patches, linear embedding, positions, Transformer; the classes are read from the average of all patches."""

    def __init__(self, config: ViTConfig, *, rngs: nnx.Rngs):
        """Create the layers."""
        self.config = config
        self.pixels = PositionedPixels(config.shape, config.num_bands)
        self.embed = nnx.Linear(config.patch**2 * self.pixels.num_channels, config.channels, rngs=rngs)
        grid = tuple(side // config.patch for side in config.shape[:2])
        self.positions = LearnedPositions(grid, config.channels, rngs=rngs) if config.num_bands is None else None
        self.trunk = TransformerTrunk(config, rngs=rngs)

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
          positions: where each pixel belongs (B, H * W, 2); only with `num_bands`. Whole patches may be moved with
            their positions without changing the logits; pixels one by one only where `patch` is 1.
          train: whether dropout acts.
          rngs: for dropout, stream "dropout".

        Raises:
          ValueError: images or positions of another shape.
        """
        patches = space_to_depth(self.pixels(x, positions), self.config.patch)
        x = self.embed(patches.reshape(x.shape[0], -1, patches.shape[-1]))
        if self.positions is not None:
            x = x + self.positions()[None]
        return self.trunk(x, mask=None, train=train, rngs=rngs)
