"""The Perceiver Resampler of Flamingo (2204.14198, section 3.1): any number of frames in, always R tokens out.

    inputs (B, T, S, C): T frames of S cells
    x_f = flatten(inputs + time embedding of each frame)                    (B, T * S, D)
    x = latents                                                             (B, R, D)
    for each layer:
        x = x + attention(q = x, keys and values = [x_f, x])
        x = x + mlp(x)

Unlike a Perceiver's latents, these also read themselves: keys and values are the inputs joined with the latents as they
stand. No two layers share weights, no linear layer has a bias, and only time has positions: what a cell shows must say
where it is.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.layers import MLP, Attention, LearnedPositions, labelled, layer_norm
from perceiver_lab.layers.blocks import repeat_batch
from perceiver_lab.layers.linear import linear
from perceiver_lab.layers.mlp import check_activation
from perceiver_lab.ops import check_mask
from perceiver_lab.ops.media import spread_over_time


@dataclass(frozen=True, kw_only=True)
class ResamplerConfig:
    """Sizes of a resampler. The defaults are the paper's, for which `presets.resampler` has the released variants.

    Attributes:
      latent_channels: D.
      input_channels: C; inputs of another width than D go through a linear layer first. By default D.
      num_latents: R, tokens that come out.
      num_layers: each with weights of its own.
      num_heads: of each attention.
      head_dim: width of a head's queries, keys and values; heads need not divide D.
      widening_factor: of the MLPs.
      activation: of the MLPs.
      max_frames: rows of the table of time embeddings; None for none.
      max_media: rows of a second table, one for each image or clip of a text (open-flamingo); None for none.
      flatten_time: frames of a clip are read together, R tokens for all of them. False: each frame is read on its own,
        R tokens for each (flamingo-pytorch).
      final_norm: a layer norm after the last layer, as all released variants have.
      head_norm: a layer norm on each head's queries and keys (an option of IDEFICS).

    Raises:
      ValueError: sizes below 1, or an unknown activation.
    """

    latent_channels: int = 1536
    input_channels: int | None = None
    num_latents: int = 64
    num_layers: int = 6
    num_heads: int = 16
    head_dim: int = 128
    widening_factor: int = 4
    activation: str = "squared_relu"
    max_frames: int | None = 8
    max_media: int | None = None
    flatten_time: bool = True
    final_norm: bool = False
    head_norm: bool = False

    def __post_init__(self):
        sizes = ("latent_channels", "input_channels", "num_latents", "num_layers", "num_heads", "head_dim",
                 "widening_factor", "max_frames", "max_media")  # fmt: skip
        for name in sizes:
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        check_activation(self.activation)


class Resampler(nnx.Module):
    """Features of images or clips -> R tokens for each."""

    def __init__(self, config: ResamplerConfig, *, rngs: nnx.Rngs):
        """Latents and tables start from a normal distribution of deviation 1, as in the released variants."""
        self.config = config
        width = config.latent_channels
        self.projection = input_projection(config, rngs)
        self.latents = LearnedPositions((config.num_latents,), width, init_std=1.0, rngs=rngs)
        self.times = TimeEmbedding(config, rngs=rngs)
        self.layers = nnx.data([ResamplerLayer(config, rngs=rngs) for _ in range(config.num_layers)])
        self.norm = layer_norm(width, rngs) if config.final_norm else None

    def __call__(
        self,
        inputs: Float[Array, "b *visual s c"],
        *,
        mask: Bool[Array, "b *visual"] | None = None,
        interpolate: bool = False,
    ) -> Float[Array, "b *media r d"]:
        """Resample images (B, S, C), clips (B, T, S, C) or several of either for each text (B, I, T, S, C).

        Args:
          inputs: features, one row per cell of a frame.
          mask: True = there is such a frame, `inputs.shape[:-2]`. Others are not read; what they hold is of no matter.
          interpolate: let a clip have more frames than there are time embeddings, which are then spread over it.

        Returns:
          (B, R, D), or (B, I, R, D) for several; without `flatten_time` (B, T, R, D), or (B, I, T, R, D).

        Raises:
          ValueError: another shape or width, more frames or images than there are embeddings for.
        """
        frames, seen = as_clips(inputs, mask, self.config)
        x = self.times(frames if self.projection is None else self.projection(frames), interpolate=interpolate)
        b, visuals, length, cells, width = x.shape
        media = x.reshape(b * visuals, length * cells, width)
        latents = repeat_batch(self.latents(), len(media))
        pairs = None if seen is None else self._pairs(seen.reshape(len(media), -1), cells)
        for number, layer in enumerate(self.layers):
            with labelled(f"layer {number}"):
                latents = layer(latents, media, mask=pairs)
        latents = latents if self.norm is None else self.norm(latents)
        return as_given(latents, inputs, self.config)

    def _pairs(self, seen, cells):
        """Latents read the cells of the frames that there are, and always themselves."""
        own = jnp.ones((len(seen), self.config.num_latents), bool)
        keys = jnp.concatenate([jnp.repeat(seen, cells, axis=1), own], axis=1)
        return jnp.broadcast_to(keys[:, None], (len(keys), own.shape[1], keys.shape[1]))


class ResamplerLayer(nnx.Module):
    """One layer: read inputs and latents, then the MLP. Norms, each with scale and offset, stand before both."""

    def __init__(self, config: ResamplerConfig, *, rngs: nnx.Rngs):
        """Sizes as in `ResamplerConfig`."""
        width, inner = config.latent_channels, config.num_heads * config.head_dim
        self.media_norm = layer_norm(width, rngs)
        self.latent_norm = layer_norm(width, rngs)
        self.attention = Attention(
            width,
            width,
            num_heads=config.num_heads,
            qk_channels=inner,
            output_channels=width,
            use_bias=False,
            output_bias=False,
            head_norm=layer_norm if config.head_norm else None,
            rngs=rngs,
        )
        self.mlp_norm = layer_norm(width, rngs)
        self.mlp = MLP(
            width,
            widening_factor=config.widening_factor,
            activation=config.activation,
            use_bias=False,
            rngs=rngs,
        )

    def __call__(
        self, latents: Float[Array, "b r d"], media: Float[Array, "b m d"], *, mask: Bool[Array, "b r k"] | None = None
    ) -> Float[Array, "b r d"]:
        """Mask: True where latent r may attend to element k of the inputs followed by the latents."""
        latents = latents + self.read(latents, media, mask=mask)
        return latents + self.think(latents)

    def read(
        self, latents: Float[Array, "b r d"], media: Float[Array, "b m d"], *, mask: Bool[Array, "b r k"] | None = None
    ) -> Float[Array, "b r d"]:
        """What attention adds. The inputs, the same in all layers, are normed anew in each."""
        queries = self.latent_norm(latents)
        return self.attention(queries, jnp.concatenate([self.media_norm(media), queries], axis=1), mask=mask)

    def think(self, latents: Float[Array, "b r d"]) -> Float[Array, "b r d"]:
        """What the MLP adds."""
        return self.mlp(self.mlp_norm(latents))


class TimeEmbedding(nnx.Module):
    """A learned row for each moment of a clip, and if wanted one for each image of a text, added to all their cells."""

    def __init__(self, config: ResamplerConfig, *, rngs: nnx.Rngs):
        """`config.max_frames` and `config.max_media` rows."""
        width = config.latent_channels
        self.flatten_time = config.flatten_time
        self.frames, self.media = (
            None if rows is None else LearnedPositions((rows,), width, init_std=1.0, rngs=rngs)
            for rows in (config.max_frames, config.max_media)
        )

    def __call__(self, x: Float[Array, "b i t s d"], *, interpolate: bool = False) -> Float[Array, "b j u s d"]:
        """Add the rows; without `flatten_time` every frame becomes a visual of its own.

        Raises:
          ValueError: more frames or images than rows.
        """
        if self.frames is not None:
            x = x + self._frame_rows(x.shape[2], interpolate)[None, None, :, None]
        if not self.flatten_time:
            x = x.reshape(x.shape[0], -1, 1, *x.shape[3:])
        if self.media is None:
            return x
        table = self.media()
        if x.shape[1] > len(table):
            raise ValueError(
                f"{x.shape[1]} images or clips were given, but there are embeddings for {len(table)} (max_media). Give "
                "fewer, or build the resampler with more."
            )
        return x + table[: x.shape[1]][None, :, None, None]

    def _frame_rows(self, count, interpolate):
        table = self.frames()
        if count <= len(table):
            return table[:count]
        if not interpolate:
            raise ValueError(
                f"A clip has {count} frames, but there are time embeddings for {len(table)} (max_frames). Take fewer "
                "frames, build the resampler with more embeddings, or spread those that there are over the clip with "
                "interpolate=True."
            )
        return spread_over_time(table, count)


def input_projection(config: ResamplerConfig, rngs: nnx.Rngs) -> nnx.Linear | None:
    """A linear layer without bias where inputs are of another width than the latents."""
    same = config.input_channels in (None, config.latent_channels)
    return None if same else linear(config.input_channels, config.latent_channels, use_bias=False, rngs=rngs)


def as_clips(
    inputs: Float[Array, "b *visual s c"], mask: Bool[Array, "b *visual"] | None, config: ResamplerConfig
) -> tuple[Float[Array, "b i t s c"], Bool[Array, "b i t"] | None]:
    """Images, clips or several of them, all as (B, I, T, S, C), and the mask of their frames.

    Raises:
      ValueError: another rank or width, nothing to read, or a mask of another shape.
    """
    width = config.latent_channels if config.input_channels is None else config.input_channels
    if inputs.ndim not in (3, 4, 5) or inputs.shape[-1] != width or 0 in inputs.shape:
        raise ValueError(
            f"A resampler reads images (B, S, {width}), clips (B, T, S, {width}) or several for each text "
            f"(B, I, T, S, {width}), nothing empty; got {inputs.shape}. The last axis is the width of its inputs."
        )
    check_mask(mask, inputs.shape[:-2], "mask", "(B, T) or (B, I, T)")
    missing = range(5 - inputs.ndim)
    frames = inputs.reshape(inputs.shape[0], *(1 for _ in missing), *inputs.shape[1:])
    return frames, None if mask is None else mask.reshape(frames.shape[:3])


def as_given(
    tokens: Float[Array, "k r d"], inputs: Float[Array, "b *visual s c"], config: ResamplerConfig
) -> Float[Array, "b *media r d"]:
    """The tokens of all visuals, in the order of `inputs`: see `Resampler.__call__`."""
    b, *rest = inputs.shape[:-2]
    if config.flatten_time:
        rest = rest[:-1]  # several are an axis, the frames of one are not
    elif not rest:
        rest = [1]
    return tokens.reshape(b, *rest, *tokens.shape[1:])
