"""What `generate` is given, checked and laid out in arrays of fixed size."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from perceiver_lab.models import PerceiverAR
from perceiver_lab.ops.sampling import channel_tokens
from perceiver_lab.ops.sequences import NUM_SPECIAL_TOKENS, PAD, SOS


class Plan(NamedTuple):
    """When full passes are made.

    Attributes:
      refill_to: latents of a full pass.
      period: tokens from one full pass to the next; None for one at the start only.
    """

    refill_to: int
    period: int | None


class Prepared(NamedTuple):
    """Prompts in a buffer of the context's size and one place more, and what may come.

    Attributes:
      events: start token, prompt, padding.
      lengths: of each row, the start token counted.
      allowed: True for tokens that may be sampled, channel by channel.
      stops: True for tokens that end a row.
      positions: of every place of the context, per axis.
    """

    events: Int[np.ndarray, "b m"]
    lengths: Int[np.ndarray, " b"]
    allowed: Bool[np.ndarray, "c v"]
    stops: Bool[np.ndarray, " v"]
    positions: Int[np.ndarray, "k p"]


def make_plan(model: PerceiverAR, refill_to: int | None, rolling: bool) -> Plan:
    """Full passes with `refill_to` latents, by default half of the model's, rounded down.

    Raises:
      ValueError: no latents, or more than the model has.
    """
    num_latents = model.config.num_latents
    refill_to = max(num_latents // 2, 1) if refill_to is None else refill_to
    if not 1 <= refill_to <= num_latents:
        raise ValueError(
            f"refill_to={refill_to} must be from 1 to the model's {num_latents} latents; {num_latents} itself makes a "
            "full pass for every token."
        )
    return Plan(refill_to, None if rolling else num_latents - refill_to + 1)


def prepare(
    model: PerceiverAR,
    prompts: Sequence[Sequence[int]],
    num_tokens: int,
    stop_tokens: Sequence[int],
    forbidden_tokens: Sequence[int],
    positions: Int[np.ndarray, "k p"] | None,
    num_channels: int,
) -> Prepared:
    """See `generate`.

    Raises:
      ValueError: no prompts, prompts that are no token numbers or too long; tokens outside of the vocabulary; channels
        that do not share it evenly; positions of another shape, or none where there are several axes.
    """
    context, vocabulary = model.config.max_context, model.input_adapter.vocabulary
    rows = [_row(prompt, number, vocabulary) for number, prompt in enumerate(prompts)]
    if not rows or num_tokens < 1:
        raise ValueError(
            f"{len(rows)} prompts and num_tokens={num_tokens}: give at least one prompt, which may be empty, and ask "
            "for at least one token."
        )
    longest = max(len(row) for row in rows)
    if longest + num_tokens > context:
        raise ValueError(
            f"The longest prompt has {longest} tokens, and {num_tokens} more are asked for, but a context of {context} "
            f"has room for {context} behind the start token. Shorten the prompt to its last "
            f"{max(context - num_tokens, 0)} tokens, or ask for fewer."
        )
    events = np.full((len(rows), context + 1), PAD, np.int32)
    events[:, 0] = SOS
    for number, row in enumerate(rows):
        events[number, 1 : 1 + len(row)] = row
    stops = _marked(stop_tokens, "stop_tokens", vocabulary)
    allowed = _of_channels(num_channels, vocabulary) & ~_marked(
        [PAD, SOS, *forbidden_tokens], "forbidden_tokens", vocabulary
    )
    if not allowed.any(axis=1).all():
        raise ValueError("forbidden_tokens leaves no token that could be sampled.")
    lengths = np.array([len(row) + 1 for row in rows], np.int32)
    return Prepared(events, lengths, allowed, stops, _positions(model, positions))


def _row(prompt, number, vocabulary):
    row = np.asarray(prompt)
    row = row.astype(np.int32) if row.size == 0 else row
    if row.ndim != 1 or row.dtype.kind not in "iu":
        raise ValueError(
            f"Prompt {number} must be a sequence of token numbers; got {row.dtype} of shape {row.shape}. One prompt is "
            "given as [prompt]."
        )
    if row.size and (row.min() < 0 or row.max() >= vocabulary or (row == PAD).any() or (row == SOS).any()):
        raise ValueError(
            f"Prompt {number} has tokens from {row.min()} to {row.max()}; expected numbers below {vocabulary} without "
            f"padding ({PAD}) and without the start token ({SOS}), which is put first by itself."
        )
    return row


def _of_channels(num_channels, vocabulary):
    """True where a token may stand in a channel: (channels, vocabulary)."""
    num_values, rest = divmod(vocabulary - NUM_SPECIAL_TOKENS, max(num_channels, 1))
    if num_channels < 1 or rest:
        raise ValueError(
            f"num_channels={num_channels} does not divide the {vocabulary - NUM_SPECIAL_TOKENS} tokens that are not "
            "special: each channel has as many values of its own."
        )
    sizes = {"num_channels": num_channels, "num_values": num_values}
    return np.stack([np.asarray(channel_tokens(channel, **sizes)) for channel in range(num_channels)])


def _marked(tokens, name, vocabulary):
    tokens = np.asarray(list(tokens), np.int64)
    if tokens.size and (tokens.min() < 0 or tokens.max() >= vocabulary):
        raise ValueError(f"{name} {tokens.tolist()} must be numbers from 0 to {vocabulary - 1}.")
    marked = np.zeros(vocabulary, bool)
    marked[tokens] = True
    return marked


def _positions(model, positions):
    sizes, context = model.input_adapter.position_sizes, model.config.max_context
    num_axes = max(len(sizes), 1)
    if positions is None and num_axes == 1:
        positions = np.arange(1, context + 1, dtype=np.int32)[:, None]
    if positions is None or np.shape(positions) != (context, num_axes):
        raise ValueError(
            f"positions must be integers (M, axes) = {(context, num_axes)}, one row per place of the context; got "
            f"{None if positions is None else np.shape(positions)}."
        )
    positions = np.asarray(positions, np.int32)
    if sizes and ((positions < 0) | (positions >= np.array(sizes))).any():
        raise ValueError(f"positions reach {positions.max(axis=0).tolist()}, but the tables have {list(sizes)} rows.")
    return positions
