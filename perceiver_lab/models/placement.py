"""Where inputs and latents of a Perceiver AR stand: which token a latent is made of, and what it may read."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Int

from perceiver_lab.ops import causal_mask, latent_indices, sequence_lengths
from perceiver_lab.ops.sequences import NOWHERE, PAD


class Placement(NamedTuple):
    """Where everything stands, for one batch.

    Attributes:
      latent_index: the input that each latent is made of, -1 for a latent without one.
      input_key: place of each input as it is read; `NOWHERE` for padding and for what is dropped.
      latent_key: the same of the latents.
      positions: of the inputs, one number per axis.
    """

    latent_index: Int[Array, "b n"]
    input_key: Int[Array, "b m"]
    latent_key: Int[Array, "b n"]
    positions: Int[Array, "b m p"]

    @property
    def read_mask(self) -> Bool[Array, "b n m"]:
        """True where a latent may read an input."""
        return causal_mask(self.latent_index, self.input_key)

    @property
    def latent_mask(self) -> Bool[Array, "b n n"]:
        """True where a latent may attend to another; always to itself, even if it is dropped or has no input."""
        return causal_mask(self.latent_index, self.latent_key) | jnp.eye(self.latent_index.shape[1], dtype=bool)[None]


def place(tokens: Int[Array, "b m"], positions: Int[Array, "b m p"], num_latents: int) -> Placement:
    """Latents on the last tokens, nothing dropped."""
    latent_index = latent_indices(sequence_lengths(tokens), num_latents)
    input_key = jnp.where(is_token(tokens), jnp.arange(tokens.shape[1])[None], NOWHERE)
    return Placement(latent_index, input_key, jnp.where(latent_index < 0, NOWHERE, latent_index), positions)


def drop(placement: Placement, input_rate: float, latent_rate: float, rngs: nnx.Rngs | None) -> Placement:
    """Hide inputs and latents at random: one draw per example for all heads and layers.

    A hidden input is still what its latent is made of; a hidden latent still attends to itself, and counts.

    Args:
      placement: of the batch.
      input_rate: chance of an input to be hidden from all latents, its own included.
      latent_rate: chance of a latent to be hidden from the others.
      rngs: stream "dropout".

    Raises:
      ValueError: there are no rngs to draw with.
    """
    if rngs is None and (input_rate or latent_rate):
        raise ValueError(
            f"In training, this model hides inputs (rate {input_rate}) and latents ({latent_rate}) at random: call it "
            "with rngs=nnx.Rngs(dropout=seed)."
        )

    def hide(key, rate):
        return jnp.where(jax.random.bernoulli(rngs.dropout(), rate, key.shape), NOWHERE, key) if rate else key

    return placement._replace(
        input_key=hide(placement.input_key, input_rate), latent_key=hide(placement.latent_key, latent_rate)
    )


def is_token(tokens: Int[Array, "b m"]) -> Bool[Array, "b m"]:
    """True before the first padding."""
    return jnp.arange(tokens.shape[1])[None] < sequence_lengths(tokens)[:, None]


def check_tokens(tokens: Array, num_latents: int, longest: int) -> None:
    """Refuse sequences that no latents can be placed on.

    Raises:
      ValueError: not integers (B, M); M beyond `longest` or below `num_latents`; or, where that can be seen (not
        inside a compiled function), padding before a token.
    """
    if tokens.ndim != 2 or not jnp.issubdtype(tokens.dtype, jnp.integer) or 0 in tokens.shape:
        raise ValueError(f"tokens must be integers (B, M), at least one; got {tokens.dtype} of shape {tokens.shape}.")
    if tokens.shape[1] > longest:
        raise ValueError(
            f"{tokens.shape[1]} tokens were given, but the context is {longest}. Keep the last {longest} of them, or "
            "build the model with a greater max_context."
        )
    if not 1 <= num_latents <= tokens.shape[1]:
        raise ValueError(
            f"num_latents={num_latents} must be from 1 to the number of tokens, {tokens.shape[1]}: each latent is made "
            "of one of the last tokens. Call the model with fewer latents, or pad the tokens with 0 on the right."
        )
    if isinstance(tokens, jax.core.Tracer):
        return
    padding = np.asarray(tokens) == PAD
    if (padding[:, :-1] & ~padding[:, 1:]).any():
        row = int((padding[:, :-1] & ~padding[:, 1:]).any(axis=1).argmax())
        raise ValueError(
            f"In row {row} a token follows padding ({PAD}): sequences are padded on the right only, and everything "
            "after the first padding would be ignored. Move the tokens to the left."
        )
