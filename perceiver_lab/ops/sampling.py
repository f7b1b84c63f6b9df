"""From logits to a token: which tokens may come, and one of them at random.

Filters look at the distribution of the model as it is; the temperature acts on what they leave. That is the order of
the code released with Perceiver AR (2202.07765).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from perceiver_lab.ops.attention import MASKED
from perceiver_lab.ops.sequences import NUM_SPECIAL_TOKENS

Number = float | int | Float[Array, ""] | Int[Array, ""]  # plain, or traced inside a compiled function


def keep(logits: Float[Array, "*b v"], allowed: Bool[Array, "*#b v"]) -> Float[Array, "*b v"]:
    """Rule out what is not allowed: its logit becomes -1e30, finite so that nothing turns into NaN."""
    return jnp.where(allowed, logits, MASKED)


def keep_top_k(logits: Float[Array, "*b v"], top_k: Number) -> Float[Array, "*b v"]:
    """The `top_k` likeliest tokens (1805.04833, section 5.4), and those as likely as the last of them."""
    ascending = jnp.sort(logits, axis=-1)
    place = jnp.clip(logits.shape[-1] - jnp.asarray(top_k, jnp.int32), 0, logits.shape[-1] - 1)
    return keep(logits, logits >= jnp.take(ascending, place[None], axis=-1))


def keep_top_p(logits: Float[Array, "*b v"], top_p: Number) -> Float[Array, "*b v"]:
    """The nucleus: the likeliest tokens that together have at least probability `top_p` (1904.09751, section 3.1).

    Tokens from the least likely on are dropped while all of them together stay below 1 - top_p.
    """
    ascending = jnp.sort(logits, axis=-1)
    cumulative = jnp.cumsum(jax.nn.softmax(ascending, axis=-1), axis=-1)
    place = jnp.minimum((cumulative < 1 - top_p).sum(axis=-1, keepdims=True), logits.shape[-1] - 1)
    return keep(logits, logits >= jnp.take_along_axis(ascending, place, axis=-1))


def keep_min_p(logits: Float[Array, "*b v"], min_p: Number) -> Float[Array, "*b v"]:
    """The tokens at least `min_p` times as likely as the likeliest (2407.01082)."""
    likeliest = logits.max(axis=-1, keepdims=True)
    return keep(logits, logits >= likeliest + jnp.log(jnp.asarray(min_p, jnp.float32)))


def filter_logits(
    logits: Float[Array, "*b v"],
    *,
    temperature: Number = 1.0,
    top_k: Number | None = None,
    top_p: Number | None = None,
    min_p: Number | None = None,
) -> Float[Array, "*b v"]:
    """The logits that are sampled from: filtered, then divided by the temperature.

    Args:
      logits: of the model.
      temperature: above 1 evens the distribution out, below sharpens it; 0 leaves the logits undivided, since then the
        likeliest token is taken.
      top_k, top_p, min_p: filters, each applied to what the one before left; None lets everything pass.

    Raises:
      ValueError: as `check_sampling`.
    """
    check_sampling(temperature, top_k, top_p, min_p)
    logits = logits.astype(jnp.float32)
    for rule, value in ((keep_top_k, top_k), (keep_top_p, top_p), (keep_min_p, min_p)):
        logits = logits if value is None else rule(logits, value)
    return logits / jnp.where(temperature == 0, 1.0, temperature)


def sample(
    key: Array,
    logits: Float[Array, "*b v"],
    *,
    temperature: Number = 1.0,
    top_k: Number | None = None,
    top_p: Number | None = None,
    min_p: Number | None = None,
) -> Int[Array, "*b"]:
    """One token per row; arguments as in `filter_logits`. Temperature 0 takes the likeliest.

    Raises:
      ValueError: as `check_sampling`.
    """
    filtered = filter_logits(logits, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    drawn = jax.random.categorical(key, filtered, axis=-1)
    return jnp.where(temperature == 0, filtered.argmax(axis=-1), drawn).astype(jnp.int32)


def channel_tokens(channel: int | Int[Array, ""], *, num_channels: int = 3, num_values: int = 256) -> Bool[Array, " v"]:
    """Which tokens may come where each colour channel has values of its own in the vocabulary.

    The vocabulary is: special tokens, the values of channel 0, those of channel 1, and so on. Special tokens are
    allowed everywhere, as in the released code.

    Args:
      channel: number of the channel that comes next.
      num_channels: of the image.
      num_values: of each channel.

    Returns:
      (3 + num_channels * num_values,), True = allowed.
    """
    tokens = jnp.arange(NUM_SPECIAL_TOKENS + num_channels * num_values)
    return (tokens < NUM_SPECIAL_TOKENS) | ((tokens - NUM_SPECIAL_TOKENS) // num_values == channel)


def check_sampling(
    temperature: Number, top_k: Number | None = None, top_p: Number | None = None, min_p: Number | None = None
) -> None:
    """Refuse settings that mean nothing. Inside a compiled function they are unknown and not checked.

    Raises:
      ValueError: a temperature below 0, top_k below 1, top_p outside of (0, 1], min_p outside of [0, 1].
    """
    for name, value, right, said in (
        ("temperature", temperature, lambda x: x >= 0, "at least 0; 0 takes the likeliest token, 1 the model as it is"),
        ("top_k", top_k, lambda x: x >= 1, "at least 1; None lets all tokens pass"),
        ("top_p", top_p, lambda x: 0 < x <= 1, "above 0 and at most 1; None or 1 lets all tokens pass"),
        ("min_p", min_p, lambda x: 0 <= x <= 1, "from 0 to 1; None or 0 lets all tokens pass"),
    ):
        if value is None or isinstance(value, jax.core.Tracer):
            continue
        if not right(float(np.asarray(value))):  # NaN is not right either
            raise ValueError(f"{name}={value} must be {said}.")
