"""A Perceiver AR that reads on: keys and values of what it has read stay in a cache of fixed size (2202.07765, E.3).

    cache = empty_cache(model, batch_size)
    logits, cache = extend(model, cache, prompt, num_latents=8)
    logits, cache = extend(model, cache, next_token)

Inputs are read by one layer only, so their keys and values depend on the token and its place alone. Those of a latent
depend on all that it has read and attended to.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from perceiver_lab.layers import Memory
from perceiver_lab.models.perceiver_ar import PerceiverAR
from perceiver_lab.models.placement import check_tokens, is_token
from perceiver_lab.ops import causal_mask, latent_indices, sequence_lengths
from perceiver_lab.ops.sequences import NOWHERE


class ARCache(NamedTuple):
    """What a Perceiver AR remembers of the tokens so far: keys and values, of a size that never changes.

    Attributes:
      read: of the inputs, up to the context's length.
      layers: of the latents, in all layers together.
      input_key: place of the input in each slot of `read`; `NOWHERE` where it is empty.
      latent_key: the same for `layers`.
      num_inputs: tokens read so far, of each example.
      num_latents: latents made so far, of each example.
    """

    read: Memory
    layers: Memory
    input_key: Int[Array, "b m"]
    latent_key: Int[Array, "b n"]
    num_inputs: Int[Array, " b"]
    num_latents: Int[Array, " b"]


class Appended(NamedTuple):
    """Where tokens go that continue a cache.

    Attributes:
      latent_index: as in `Placement`, counted within these tokens.
      slots: of the inputs; one that does not exist where there is padding.
      latent_slots: of the latents; one that does not exist where there is no input.
      read_mask: True where a latent may read a slot.
      latent_mask: True where a latent may attend to a slot.
      cache: the cache with everything but the keys and values brought up to date.
    """

    latent_index: Int[Array, "b n"]
    slots: Int[Array, "b k"]
    latent_slots: Int[Array, "b n"]
    read_mask: Bool[Array, "b n m"]
    latent_mask: Bool[Array, "b n l"]
    cache: ARCache


def append(cache: ARCache, tokens: Int[Array, "b k"], num_latents: int) -> Appended:
    """Slots for further tokens, and for latents on the last of them. Where all are taken, the oldest give way."""
    size, num_slots = cache.input_key.shape[1], cache.latent_key.shape[1]
    lengths = sequence_lengths(tokens)
    latent_index = latent_indices(lengths, num_latents)
    has_input = latent_index >= 0
    index = cache.num_inputs[:, None] + jnp.arange(tokens.shape[1])[None]
    own_index = jnp.where(has_input, cache.num_inputs[:, None] + latent_index, -1)
    num_new = jnp.minimum(lengths, num_latents)
    count = cache.num_latents[:, None] + jnp.arange(num_latents)[None] - (num_latents - num_new[:, None])
    slots = jnp.where(is_token(tokens), index % size, size)
    latent_slots = jnp.where(has_input, count % num_slots, num_slots)
    rows = jnp.arange(len(tokens))[:, None]
    cache = cache._replace(
        input_key=cache.input_key.at[rows, slots].set(index, mode="drop"),
        latent_key=cache.latent_key.at[rows, latent_slots].set(own_index, mode="drop"),
        num_inputs=cache.num_inputs + lengths,
        num_latents=cache.num_latents + num_new,
    )
    masks = causal_mask(own_index, cache.input_key), causal_mask(own_index, cache.latent_key)
    return Appended(latent_index, slots, latent_slots, *masks, cache)


def empty_cache(
    model: PerceiverAR, batch_size: int, *, max_context: int | None = None, num_latents: int | None = None
) -> ARCache:
    """A cache that holds nothing yet, with room for the model's context and latents, or for other numbers of them.

    Raises:
      ValueError: a model whose positions change with every token: nothing of it can be kept.
    """
    config, width = model.config, model.input_adapter.num_channels
    if config.position_source != "data":
        raise ValueError(
            f"position_source={config.position_source!r}: these positions change with every further token, so nothing "
            "can be kept. A model for cached generation takes its positions from the data."
        )
    num_inputs = config.max_context if max_context is None else max_context
    num_latents = config.num_latents if num_latents is None else num_latents
    read = (batch_size, num_inputs, config.num_cross_heads, width // config.num_cross_heads)
    layers = (batch_size, num_latents, config.num_self_heads, config.latent_channels // config.num_self_heads)
    layers = (config.num_self_attends, *layers)
    return ARCache(
        Memory(jnp.zeros(read), jnp.zeros(read)),
        Memory(jnp.zeros(layers), jnp.zeros(layers)),
        jnp.full((batch_size, num_inputs), NOWHERE),
        jnp.full((batch_size, num_latents), NOWHERE),
        jnp.zeros(batch_size, jnp.int32),
        jnp.zeros(batch_size, jnp.int32),
    )


def extend(
    model: PerceiverAR,
    cache: ARCache,
    tokens: Int[Array, "b k"],
    *,
    positions: Int[Array, "b k p"] | None = None,
    num_latents: int | None = None,
) -> tuple[Float[Array, "b n v"], ARCache]:
    """Read further tokens after those that the cache holds.

    Exact as long as nothing had to give way in the cache: the logits are those of one call on all tokens, with as many
    latents as the cache holds by then. Once it overflows, the latents that stay still carry what they had read from
    latents that are gone, which is no computation that the model was trained with. Several tokens at once must not
    make it overflow: the first of them would miss what gave way to the last.

    Args:
      model: its positions come from the data.
      cache: of the tokens so far.
      tokens: padded with 0 on the right; an example may have none.
      positions: as in the model's call, by default counted on from the last one.
      num_latents: how many of these tokens become latents, by default all.

    Returns:
      Logits (B, N, V) as in the model's call, and the cache with these tokens.

    Raises:
      ValueError: more tokens or latents than the cache has room for; and what the model's `place` refuses.
    """
    num_latents = tokens.shape[1] if num_latents is None else num_latents
    check_tokens(tokens, num_latents, cache.input_key.shape[1])
    if num_latents > cache.latent_key.shape[1]:
        raise ValueError(
            f"num_latents={num_latents}, but the cache has room for {cache.latent_key.shape[1]}. Make fewer of the "
            "tokens latents, or a cache with more room."
        )
    positions = model.given_or_counted(tokens, positions, cache.num_inputs)
    to = append(cache, tokens, num_latents)
    inputs, turns = model.embed(tokens, positions), model.turns(positions, to.latent_index)
    latents, read = model.reader.extend(
        model.first_latents(inputs, to.latent_index),
        inputs,
        cache.read,
        slots=to.slots,
        mask=to.read_mask,
        query_rotation=turns.queries,
        key_rotation=turns.inputs,
    )
    latents, layers = model.stack.extend(
        latents, cache.layers, slots=to.latent_slots, mask=to.latent_mask, rotation=turns.latents
    )
    return model.predict(latents), to.cache._replace(read=read, layers=layers)
