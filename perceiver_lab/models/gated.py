"""Gated cross-attention into a frozen language model (Flamingo, 2204.14198, section 3.1).

Before a block of the language model, with y the text and media what the resampler made of the images:

    y = y + tanh(a) * attention(q = norm(y), keys and values = norm(media))
    y = y + tanh(b) * mlp(norm(y))

Both gates start at zero: the language model then gives exactly what it gave before.
"""

import functools
from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.layers import MLP, Attention, GatedMLP, labelled, layer_norm
from perceiver_lab.layers.mlp import check_activation
from perceiver_lab.ops import check_mask

NORMS = ("layer", "rms")
BLIND = ("zero", "uniform")


@dataclass(frozen=True, kw_only=True)
class GatedConfig:
    """Sizes of a gated layer. The choices are the paper's by default; `presets.gated` has the released variants.

    Attributes:
      channels: width of the text.
      media_channels: width of what the resampler gives.
      num_heads: of the cross-attention.
      head_dim: width of a head; heads need not divide the text's width.
      widening_factor: of the MLP.
      activation: of the MLP.
      media_norm: a layer norm, shared by keys and values, on what is read. In the released variants there is none: the
        resampler's last norm does its work.
      norm: "layer", or "rms" on the text and, with `head_norm`, on the heads (IDEFICS).
      norm_epsilon: of an "rms" norm.
      head_norm: a norm on each head's queries and keys.
      gated_mlp_channels: inside of a gated MLP (IDEFICS: SwiGLU) instead of a plain one; None for the plain one.
      vector_gates: a gate for each channel instead of one for all.
      blind: what attention gives a token that may see no image: "zero"; or "uniform", the average of all images,
        which the released variants give where a text precedes all images and several may be seen: a leak.

    Raises:
      ValueError: sizes below 1, or an unknown choice.
    """

    channels: int
    media_channels: int
    num_heads: int
    head_dim: int
    widening_factor: int = 4
    activation: str = "squared_relu"
    media_norm: bool = True
    norm: str = "layer"
    norm_epsilon: float = 1e-6
    head_norm: bool = False
    gated_mlp_channels: int | None = None
    vector_gates: bool = False
    blind: str = "zero"

    def __post_init__(self):
        for name in ("channels", "media_channels", "num_heads", "head_dim", "widening_factor", "gated_mlp_channels"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        check_activation(self.activation)
        for name, known in (("norm", NORMS), ("blind", BLIND)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r} is unknown; choose one of {', '.join(known)}.")


class GatedCrossAttention(nnx.Module):
    """One layer: text reads media through a gate, and an MLP follows through another. No linear layer has a bias."""

    def __init__(self, config: GatedConfig, *, rngs: nnx.Rngs):
        """The gates start at zero."""
        self.config = config
        width, inner = config.channels, config.num_heads * config.head_dim
        norm = layer_norm if config.norm == "layer" else functools.partial(rms_norm, epsilon=config.norm_epsilon)
        self.text_norm = norm(width, rngs)
        self.media_norm = layer_norm(config.media_channels, rngs) if config.media_norm else None
        self.attention = Attention(
            width,
            config.media_channels,
            num_heads=config.num_heads,
            qk_channels=inner,
            output_channels=width,
            use_bias=False,
            output_bias=False,
            head_norm=norm if config.head_norm else None,
            rngs=rngs,
        )
        self.mlp_norm = norm(width, rngs)
        self.mlp = (
            MLP(width, widening_factor=config.widening_factor, activation=config.activation, use_bias=False, rngs=rngs)
            if config.gated_mlp_channels is None
            else GatedMLP(width, config.gated_mlp_channels, activation=config.activation, rngs=rngs)
        )
        gates = (width,) if config.vector_gates else (1,)
        self.attention_gate = nnx.Param(jnp.zeros(gates))
        self.mlp_gate = nnx.Param(jnp.zeros(gates))

    def __call__(
        self,
        text: Float[Array, "b n c"],
        media: Float[Array, "b i r d"],
        *,
        mask: Bool[Array, "b n i"] | None = None,
        reads: Bool[Array, "b n"] | None = None,
    ) -> Float[Array, "b n c"]:
        """Let text read the R tokens of each of its I images.

        Args:
          text: what the language model has made of the text so far.
          media: what the resampler gives.
          mask: True where token n may see image i; by default every token sees all. `ops.media` makes it.
          reads: False for tokens whose attention is zero whatever the mask says; by default none (IDEFICS' gate).

        Raises:
          ValueError: widths or a mask that do not fit.
        """
        self._check(text, media, mask, reads)
        attended = self.attend(text, media, mask)
        attended = attended if reads is None else jnp.where(reads[..., None], attended, 0.0)
        text = text + _open(self.attention_gate) * attended
        return text + _open(self.mlp_gate) * self.mlp(self.mlp_norm(text))

    def attend(
        self, text: Float[Array, "b n c"], media: Float[Array, "b i r d"], mask: Bool[Array, "b n i"] | None
    ) -> Float[Array, "b n c"]:
        """What attention would add if its gate were open: zeros, or the average, where nothing may be seen."""
        b, images, tokens, width = media.shape
        queries, read = self.text_norm(text), media.reshape(b, images * tokens, width)
        read = read if self.media_norm is None else self.media_norm(read)
        if mask is not None and self.config.blind == "uniform":
            sees = mask.any(axis=-1, keepdims=True)
            queries, mask = jnp.where(sees, queries, 0.0), mask | ~sees  # equal scores for all
        return self.attention(queries, read, mask=None if mask is None else jnp.repeat(mask, tokens, axis=2))

    def _check(self, text, media, mask, reads):
        if text.ndim != 3 or text.shape[-1] != self.config.channels:
            raise ValueError(
                f"This layer stands in a language model of {self.config.channels} channels and reads text (B, N, "
                f"{self.config.channels}); got {text.shape}."
            )
        if media.ndim != 4 or media.shape[-1] != self.config.media_channels or len(media) != len(text):
            raise ValueError(
                f"Media must be (B, images, tokens, {self.config.media_channels}), as the resampler gives them, with "
                f"the text's B = {len(text)}; got {media.shape}. Media of another width need a layer built for them "
                "(media_channels)."
            )
        check_mask(mask, (*text.shape[:2], media.shape[1]), "mask", "(B, N, images)")
        check_mask(reads, text.shape[:2], "reads", "(B, N)")


class GatedLayers(nnx.Module):
    """Gated layers before every k-th block of a language model, from the first on."""

    def __init__(self, config: GatedConfig, num_blocks: int, *, every: int = 1, rngs: nnx.Rngs):
        """Create the layers.

        Args:
          config: of each.
          num_blocks: of the language model.
          every: k. The paper has 1 in its 3B, 4 in its 9B and 7 in its 80B model.
          rngs: for the initial weights.

        Raises:
          ValueError: a number below 1.
        """
        if min(num_blocks, every) < 1:
            raise ValueError(f"num_blocks={num_blocks} and every={every} must be at least 1.")
        self.every = every
        count = -(-num_blocks // every)
        self.layers = nnx.data([GatedCrossAttention(config, rngs=rngs) for _ in range(count)])

    def __call__(
        self,
        block: int,
        text: Float[Array, "b n c"],
        media: Float[Array, "b i r d"],
        *,
        mask: Bool[Array, "b n i"] | None = None,
    ) -> Float[Array, "b n c"]:
        """What block number `block` is given: the text, through the gated layer before it if it has one."""
        if block % self.every:
            return text
        number = block // self.every
        with labelled(f"gated {number}"):
            return self.layers[number](text, media, mask=mask)


def rms_norm(channels: int, rngs: nnx.Rngs, *, epsilon: float) -> nnx.RMSNorm:
    """x / sqrt(mean(x^2) + epsilon) * scale (1910.07467)."""
    return nnx.RMSNorm(channels, epsilon=epsilon, rngs=rngs)


def _open(gate):
    """tanh of a gate, (1, 1, channels or 1)."""
    return jnp.tanh(gate[...])[None, None]
