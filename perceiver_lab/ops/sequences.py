"""Sequences of tokens as Perceiver AR reads them (2202.07765): padding, and the inputs at which the latents sit.

Token 0 pads, on the right only; 1 ends a sequence, 2 starts it; what the data themselves say begins at 3.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

PAD, EOS, SOS = 0, 1, 2
NUM_SPECIAL_TOKENS = 3
NOWHERE = jnp.iinfo(jnp.int32).max  # the index of an element that may not be read: it comes after everything


def sequence_lengths(tokens: Int[Array, "b m"]) -> Int[Array, " b"]:
    """How many tokens come before the first padding. One in the middle cuts off what follows."""
    padding = tokens == PAD
    return jnp.where(padding.any(axis=1), padding.argmax(axis=1), tokens.shape[1])


def latent_indices(lengths: Int[Array, " b"], num_latents: int) -> Int[Array, "b n"]:
    """The inputs at which the latents sit: the last `num_latents` before the padding.

    A shorter sequence has latents that sit nowhere; their index is -1, and they come first:

        length 5, 3 latents   2 3 4
        length 2, 3 latents  -1 0 1
    """
    return jnp.maximum(lengths[:, None] + jnp.arange(-num_latents, 0)[None], -1)


def take_inputs(x: Shaped[Array, "b m *c"], indices: Int[Array, "b n"]) -> Shaped[Array, "b n *c"]:
    """The rows of `x` at the latents' inputs; a latent that sits nowhere gets the last row.

    That is what the released code's lookup at -1 does, too. Nobody reads such a latent, and no loss counts it.
    """
    indices = jnp.where(indices < 0, x.shape[1] - 1, indices)
    return jnp.take_along_axis(x, indices.reshape(*indices.shape, *[1] * (x.ndim - 2)), axis=1)


def terminal_positions(lengths: Int[Array, " b"], num_inputs: int) -> Int[Array, "b m"]:
    """Positions counted from the end: 0 for the last token before the padding, 1 for the one before it.

    Padding, which nobody reads, gets the numbers that are left.
    """
    return (lengths[:, None] - 1 - jnp.arange(num_inputs)[None]) % num_inputs


def inputs_and_targets(
    events: Shaped[Array, "b m *p"], tokens: Int[Array, "b m"] | None = None
) -> tuple[Shaped[Array, "b k *p"], Shaped[Array, "b k *p"]]:
    """What is read, and what is to be said at each place: the sequence, shifted by one (k = m - 1).

        events   2 5 6 7 0        inputs   2 5 6 0        targets   5 6 7 0

    The last token of a sequence is a target only, so that inputs end where targets do.

    Args:
      events: tokens (B, M), or something that belongs to each, such as its positions (B, M, P).
      tokens: (B, M) where `events` are not the tokens themselves: they tell where a sequence ends.
    """
    lengths = sequence_lengths(events if tokens is None else tokens)
    is_read = jnp.arange(events.shape[1])[None] != lengths[:, None] - 1
    inputs = jnp.where(is_read.reshape(*is_read.shape, *[1] * (events.ndim - 2)), events, PAD)
    return inputs[:, :-1], events[:, 1:]


def latent_targets(
    inputs: Int[Array, "b m"], targets: Int[Array, "b m"], num_latents: int
) -> tuple[Int[Array, "b n"], Float[Array, "b n"]]:
    """The token that each latent is asked for, and 1 where there is one, else 0.

    Args:
      inputs: that the model reads; their padding places the latents.
      targets: the token after each input, 0 where there is none; see `inputs_and_targets`.
      num_latents: N.
    """
    index = latent_indices(sequence_lengths(inputs), num_latents)
    labels = take_inputs(targets, index)
    return labels, ((index >= 0) & (labels != PAD)).astype(jnp.float32)
