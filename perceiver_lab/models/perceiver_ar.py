"""Perceiver AR (2202.07765): a Perceiver that says what comes next, after a context far longer than its latent array.

    tokens (B, M) -embed-> inputs (B, M, C) -read-> latents (B, N, D) -process-> latents -predict-> logits (B, N, V)

The latents are not learned: they are made of the last N inputs, and each keeps the place of its own. Latent n may read
the inputs up to its place, and attend to the latents up to its place; its logits are about the token after it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.layers import CausalCrossAttentionBlock, CausalStack, labelled, layer_norm
from perceiver_lab.layers.attention import check_heads
from perceiver_lab.layers.linear import linear
from perceiver_lab.models.placement import Placement, check_tokens, drop, is_token, place
from perceiver_lab.ops import Rotation, rotary_frequencies, rotation, sequence_lengths, take_inputs, terminal_positions

POSITION_SOURCES = ("data", "terminal", "negative_terminal")


@dataclass(frozen=True, kw_only=True)
class PerceiverARConfig:
    """Sizes of a Perceiver AR, and how it knows places.

    Attributes:
      num_latents: N; may be chosen anew at every call, since nothing is learned per latent.
      latent_channels: D.
      max_context: the longest input, M.
      num_self_attends: latent layers.
      num_cross_heads: heads of the read.
      num_self_heads: heads of a latent layer.
      cross_widening_factor: of the MLP after the read.
      self_widening_factor: of the MLP in a latent layer.
      rotary_fraction: part of each head's channels that is turned by the position, in the read and in every layer; 0
        for absolute positions, which are then the input adapter's.
      max_wavelength: of the slowest rotary band, in positions per radian; by default `max_context`.
      position_source: "data", positions come with the batch; "terminal", they are counted back from the last token,
        which has 0; "negative_terminal", rotary only, the same with the sign that lets them grow in time.
      dropout_rate: after each attention and each MLP, in training.
      input_dropout_rate: chance of an input not to be read by any latent of its example, in training.
      latent_dropout_rate: chance of a latent not to be attended to by the others, in training.

    Raises:
      ValueError: sizes that do not fit together, with the offending value.
    """

    num_latents: int
    latent_channels: int
    max_context: int
    num_self_attends: int = 6
    num_cross_heads: int = 8
    num_self_heads: int = 8
    cross_widening_factor: int = 4
    self_widening_factor: int = 4
    rotary_fraction: float = 0.5
    max_wavelength: int | float | None = None
    position_source: str = "data"
    dropout_rate: float = 0.0
    input_dropout_rate: float = 0.0
    latent_dropout_rate: float = 0.0

    def __post_init__(self):
        for name in ("num_latents", "latent_channels", "max_context", "num_self_attends"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        if self.num_latents > self.max_context:
            raise ValueError(
                f"num_latents={self.num_latents} is more than max_context={self.max_context}: each latent is made of "
                "one of the last inputs. Take at most as many latents as inputs."
            )
        for name in ("dropout_rate", "input_dropout_rate", "latent_dropout_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 0 and below 1.")
        check_heads(self.num_self_heads, latent_channels=self.latent_channels)
        check_heads(self.num_cross_heads, latent_channels=self.latent_channels)
        if self.position_source not in POSITION_SOURCES:
            raise ValueError(
                f"position_source={self.position_source!r} is unknown; choose one of {', '.join(POSITION_SOURCES)}."
            )
        if not self.rotary_fraction and self.position_source == "negative_terminal":
            raise ValueError(
                "position_source='negative_terminal' is for rotary positions; a table of absolute ones has no rows "
                "below 0. Choose 'terminal', or a rotary_fraction above 0."
            )
        if self.wavelength < self.max_context:
            raise ValueError(
                f"max_wavelength={self.max_wavelength} is below max_context={self.max_context}: choose at least the "
                "context, so that no band of the rotary positions comes round within it more often than published."
            )

    @property
    def wavelength(self) -> int | float:
        """`max_wavelength`, or its default."""
        return self.max_context if self.max_wavelength is None else self.max_wavelength


class Turns(NamedTuple):
    """The rotations of a batch: of the queries and keys of the read, and of the latents in every layer."""

    queries: Rotation | None
    inputs: Rotation | None
    latents: Rotation | None


class PerceiverAR(nnx.Module):
    """Input adapter, one causal read, causal latent layers, and logits for the next token at every latent."""

    def __init__(
        self, config: PerceiverARConfig, *, input_adapter: nnx.Module, zero_output: bool = True, rngs: nnx.Rngs
    ):
        """Put a model together.

        Args:
          config: sizes.
          input_adapter: tokens -> inputs (B, M, C); see `adapters.TokenInput`.
          zero_output: the logits start from zero, so that the first loss is exactly ln V, as published.
          rngs: for the initial weights.

        Raises:
          ValueError: an adapter with absolute positions for a rotary model, or without any for another one.
        """
        if bool(input_adapter.position_sizes) == bool(config.rotary_fraction):
            raise ValueError(
                f"rotary_fraction={config.rotary_fraction}, and the input adapter has absolute positions on "
                f"{len(input_adapter.position_sizes)} axes: a model has either. Leave the adapter's positions out, or "
                "set rotary_fraction=0."
            )
        width, shared = config.latent_channels, {"activation": "squared_relu", "dropout_rate": config.dropout_rate}
        self.config, self.input_adapter = config, input_adapter
        self.query = linear(input_adapter.num_channels, width, rngs=rngs)
        self.reader = CausalCrossAttentionBlock(
            width,
            input_adapter.num_channels,
            num_heads=config.num_cross_heads,
            widening_factor=config.cross_widening_factor,
            **shared,
            rngs=rngs,
        )
        self.stack = CausalStack(
            config.num_self_attends,
            width,
            num_heads=config.num_self_heads,
            widening_factor=config.self_widening_factor,
            **shared,
            rngs=rngs,
        )
        self.norm = layer_norm(width, rngs)
        init = {"kernel_init": nnx.initializers.zeros} if zero_output else {}
        self.output = linear(width, input_adapter.vocabulary, rngs=rngs, **init)
        self._frequencies()  # refuses a fraction that turns nothing

    def __call__(
        self,
        tokens: Int[Array, "b m"],
        *,
        positions: Int[Array, "b m p"] | None = None,
        num_latents: int | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n v"]:
        """Tokens -> logits for the token after each of the last N.

        Args:
          tokens: padded with 0 on the right, and nowhere else.
          positions: where `position_source` is "data", the place of each token on each axis, by default 1, 2, 3, ... as
            in a document that is read from its start.
          num_latents: N, by default the config's.
          train: whether dropout acts.
          rngs: for dropout, stream "dropout".

        Returns:
          Logits (B, N, V), float32. Those of the last latent are about what comes after the last token. A sequence
          shorter than N has logits that mean nothing first: `ops.latent_indices` tells which.

        Raises:
          ValueError: as in `place`.
        """
        placement = self.place(tokens, positions=positions, num_latents=num_latents)
        inputs = self.embed(tokens, placement.positions)
        if train:
            placement = drop(placement, self.config.input_dropout_rate, self.config.latent_dropout_rate, rngs)
        latents = self.read(inputs, placement, train=train, rngs=rngs)
        return self.predict(self.process(latents, placement, train=train, rngs=rngs))

    def place(
        self,
        tokens: Int[Array, "b m"],
        *,
        positions: Int[Array, "b m p"] | None = None,
        num_latents: int | None = None,
    ) -> Placement:
        """Where inputs and latents stand, nothing dropped; arguments as in the call.

        Raises:
          ValueError: tokens that are longer than the context or fewer than the latents, or padding in the middle
            (where that can be seen: not inside a compiled function); positions that do not fit.
        """
        config = self.config
        num_latents = config.num_latents if num_latents is None else num_latents
        check_tokens(tokens, num_latents, config.max_context)
        if config.position_source == "data":
            return place(
                tokens, self.given_or_counted(tokens, positions, jnp.zeros(len(tokens), jnp.int32)), num_latents
            )
        if positions is not None:
            raise ValueError(
                f"position_source={config.position_source!r}: this model counts positions back from the last token. "
                "Leave `positions` out, or build it with position_source='data'."
            )
        counted = terminal_positions(sequence_lengths(tokens), tokens.shape[1])[..., None]
        return place(tokens, -counted if config.position_source == "negative_terminal" else counted, num_latents)

    def embed(self, tokens: Int[Array, "b m"], positions: Int[Array, "b m p"]) -> Float[Array, "b m c"]:
        """Tokens -> inputs; rotary positions come later, in every attention."""
        return self.input_adapter(tokens, positions=None if self.config.rotary_fraction else positions)

    def first_latents(self, inputs: Float[Array, "b m c"], latent_index: Int[Array, "b n"]) -> Float[Array, "b n d"]:
        """The latents before they have read anything: the inputs at their places, projected."""
        return self.query(take_inputs(inputs, latent_index))

    def read(
        self, inputs: Float[Array, "b m c"], placement: Placement, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "b n d"]:
        """The latents after the causal cross-attention: made of the last inputs, each has read those up to its own."""
        turns = self.turns(placement.positions, placement.latent_index)
        with labelled("read 0"):
            return self.reader(
                self.first_latents(inputs, placement.latent_index),
                inputs,
                query_index=placement.latent_index,
                key_index=placement.input_key,
                query_rotation=turns.queries,
                key_rotation=turns.inputs,
                train=train,
                rngs=rngs,
            )

    def process(
        self, latents: Float[Array, "b n d"], placement: Placement, *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "b n d"]:
        """The latents after all causal self-attention layers."""
        turns = self.turns(placement.positions, placement.latent_index)
        with labelled("block 0"):
            return self.stack(latents, mask=placement.latent_mask, rotation=turns.latents, train=train, rngs=rngs)

    def predict(self, latents: Float[Array, "b n d"]) -> Float[Array, "b n v"]:
        """Logits for the token after each latent's."""
        return self.output(self.norm(latents))

    def turns(self, positions: Int[Array, "b m p"], latent_index: Int[Array, "b n"]) -> Turns:
        """The rotations of a batch, none for absolute positions."""
        if not self.config.rotary_fraction:
            return Turns(None, None, None)
        read, layer = self._frequencies()
        latents = take_inputs(positions[..., 0], latent_index)
        return Turns(rotation(latents, read), rotation(positions[..., 0], read), rotation(latents, layer))

    def given_or_counted(
        self, tokens: Int[Array, "b m"], positions: Int[Array, "b m p"] | None, start: Int[Array, " b"]
    ) -> Int[Array, "b m p"]:
        """The positions given; or those of a document that goes on after `start` tokens, 0 for padding.

        Raises:
          ValueError: positions of another shape, or none where there are several axes.
        """
        num_axes = max(len(self.input_adapter.position_sizes), 1)
        if positions is None and num_axes == 1:
            counted = start[:, None] + 1 + jnp.arange(tokens.shape[1])[None]
            return jnp.where(is_token(tokens), counted, 0)[..., None]
        if positions is None or positions.shape != (*tokens.shape, num_axes):
            raise ValueError(
                f"positions must be integers (B, M, axes) = {(*tokens.shape, num_axes)}; got "
                f"{None if positions is None else positions.shape}. They can be left out along a single axis only."
            )
        return positions

    def _frequencies(self) -> list[np.ndarray]:
        """Rotary frequencies of the read and of the layers, whose heads may differ in width."""
        config = self.config
        widths = (
            self.input_adapter.num_channels // config.num_cross_heads,
            config.latent_channels // config.num_self_heads,
        )
        options = {"fraction": config.rotary_fraction, "max_wavelength": config.wavelength}
        return [rotary_frequencies(width, **options) for width in widths if config.rotary_fraction]
