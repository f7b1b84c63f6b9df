"""What a resampler is measured against: other ways from frames to R tokens, called as it is and of the same size.

The paper's ablation puts an MLP and a plain Transformer in the resampler's place (2204.14198, Table 7) and does not say
how they are built. Here all give R tokens, so that everything behind them stays the same. All add the resampler's time
embeddings first; what is made of them differs.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.layers import MLP, LearnedPositions, SelfAttentionStack, layer_norm
from perceiver_lab.layers.blocks import repeat_batch
from perceiver_lab.models.resampler import ResamplerConfig, TimeEmbedding, as_clips, as_given, input_projection
from perceiver_lab.ops import input_mask


class FrameReader(nnx.Module):
    """What they share: frames in, each cell projected and given its moment; R tokens out, normed.

    Each has a method `tokens`: cells of frames (K, T, S, D) and which frames there are (K, T) -> (K, R, D).
    """

    def __init__(self, config: ResamplerConfig, *, rngs: nnx.Rngs):
        """`config` as of a resampler that reads the frames of a clip together.

        Raises:
          ValueError: `flatten_time=False`.
        """
        if not config.flatten_time:
            raise ValueError("flatten_time=False: these read the frames of a clip together.")
        self.config = config
        self.projection = input_projection(config, rngs)
        self.times = TimeEmbedding(config, rngs=rngs)
        self.norm = layer_norm(config.latent_channels, rngs)

    def __call__(
        self,
        inputs: Float[Array, "b *visual s c"],
        *,
        mask: Bool[Array, "b *visual"] | None = None,
        interpolate: bool = False,
    ) -> Float[Array, "b *media r d"]:
        """As `Resampler.__call__`."""
        frames, seen = as_clips(inputs, mask, self.config)
        x = self.times(frames if self.projection is None else self.projection(frames), interpolate=interpolate)
        x = x.reshape(-1, *x.shape[2:])
        seen = jnp.ones(x.shape[:2], bool) if seen is None else seen.reshape(x.shape[:2])
        return as_given(self.norm(self.tokens(x, seen)), inputs, self.config)


class MeanPooling(FrameReader):
    """The average over all frames of each cell, the cells averaged in R groups, and MLPs on each token.

    An average does not know which frame came first: the time embeddings add the same to it in any order.
    """

    def __init__(self, config: ResamplerConfig, num_cells: int, *, rngs: nnx.Rngs):
        """`num_cells` is S.

        Raises:
          ValueError: R groups cannot be made of S cells; otherwise as `FrameReader`.
        """
        super().__init__(config, rngs=rngs)
        if num_cells % config.num_latents:
            raise ValueError(
                f"num_latents={config.num_latents} does not divide the {num_cells} cells of a frame: each token is the "
                "average of equally many cells."
            )
        self.layers = TokenLayers(config, rngs=rngs)

    def tokens(self, x: Float[Array, "k t s d"], seen: Bool[Array, "k t"]) -> Float[Array, "k r d"]:
        """Average first, then MLPs."""
        count = jnp.maximum(seen.sum(axis=1), 1)[:, None, None]
        mean = jnp.where(seen[..., None, None], x, 0.0).sum(axis=1) / count
        groups = mean.reshape(len(x), self.config.num_latents, -1, x.shape[-1]).mean(axis=2)
        return self.layers(groups)


class TokenMLP(FrameReader):
    """R mixes of all cells of all frames with learned weights that are the same for every clip, then MLPs.

    It knows order, for each place in time and space has weights of its own; it cannot look for anything. Clips cannot
    be longer than in training.
    """

    def __init__(self, config: ResamplerConfig, num_cells: int, *, rngs: nnx.Rngs):
        """`num_cells` is S.

        Raises:
          ValueError: no `max_frames`; otherwise as `FrameReader`.
        """
        super().__init__(config, rngs=rngs)
        if config.max_frames is None:
            raise ValueError("max_frames=None: fixed weights need a longest clip.")
        places = config.max_frames * num_cells
        init = nnx.initializers.normal(places**-0.5)
        self.weights = nnx.Param(init(rngs.params(), (config.max_frames, num_cells, config.num_latents), jnp.float32))
        self.layers = TokenLayers(config, rngs=rngs)

    def tokens(self, x: Float[Array, "k t s d"], seen: Bool[Array, "k t"]) -> Float[Array, "k r d"]:
        """Mix first, then MLPs.

        Raises:
          ValueError: a clip that is longer than those of the training.
        """
        if x.shape[1] > self.config.max_frames:
            raise ValueError(
                f"A clip has {x.shape[1]} frames, and a TokenMLP has weights for {self.config.max_frames}. Take fewer."
            )
        x = jnp.where(seen[..., None, None], x, 0.0)
        return self.layers(jnp.einsum("ktsd,tsr->krd", x, self.weights[: x.shape[1]]))


class PlainTransformer(FrameReader):
    """R learned tokens join the cells of all frames, everything attends to everything, and the R are kept.

    One layer costs (T * S + R)^2 where a resampler's costs R * (T * S + R).
    """

    def __init__(self, config: ResamplerConfig, num_cells: int, *, rngs: nnx.Rngs):
        """`num_cells` is of no matter here; heads must divide the width.

        Raises:
          ValueError: more heads than divide the width; otherwise as `FrameReader`.
        """
        super().__init__(config, rngs=rngs)
        width = config.latent_channels
        self.learned = LearnedPositions((config.num_latents,), width, init_std=1.0, rngs=rngs)
        self.stack = SelfAttentionStack(
            config.num_layers,
            width,
            num_heads=config.num_heads,
            widening_factor=config.widening_factor,
            activation=config.activation,
            rngs=rngs,
        )

    def tokens(self, x: Float[Array, "k t s d"], seen: Bool[Array, "k t"]) -> Float[Array, "k r d"]:
        """The learned tokens, as they stand after the last layer."""
        cells = x.reshape(len(x), -1, x.shape[-1])
        own = repeat_batch(self.learned(), len(x))
        there = jnp.concatenate([jnp.repeat(seen, x.shape[2], axis=1), jnp.ones(own.shape[:2], bool)], axis=1)
        whole = jnp.concatenate([cells, own], axis=1)
        return self.stack(whole, mask=input_mask(there, whole.shape[1]))[:, -own.shape[1] :]


class TokenLayer(nnx.Module):
    """x + mlp(norm(x)): what is left of a resampler's layer without its attention."""

    def __init__(self, config: ResamplerConfig, *, rngs: nnx.Rngs):
        """Sizes as in `ResamplerConfig`."""
        width = config.latent_channels
        self.norm = layer_norm(width, rngs)
        self.mlp = MLP(
            width,
            widening_factor=config.widening_factor,
            activation=config.activation,
            use_bias=False,
            rngs=rngs,
        )

    def __call__(self, x: Float[Array, "k r d"]) -> Float[Array, "k r d"]:
        """Each token by itself."""
        return x + self.mlp(self.norm(x))


class TokenLayers(nnx.Module):
    """`config.num_layers` of them, one after the other."""

    def __init__(self, config: ResamplerConfig, *, rngs: nnx.Rngs):
        """Sizes as in `ResamplerConfig`."""
        self.layers = nnx.data([TokenLayer(config, rngs=rngs) for _ in range(config.num_layers)])

    def __call__(self, x: Float[Array, "k r d"]) -> Float[Array, "k r d"]:
        """Each token by itself."""
        for layer in self.layers:
            x = layer(x)
        return x
