"""Sequences as Perceiver AR reads them (2202.07765): events, the start token first, and crops of them to train on.

Token 0 pads, on the right only; 1 ends a sequence, 2 starts it; what the data themselves say begins at 3, as in the
code released with the paper. (`bytes` numbers its special ids as another release does, and has six of them.)
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Int32

from perceiver_lab.ops.sequences import EOS, NUM_SPECIAL_TOKENS, PAD, SOS

Record = dict[str, Any]
Transform = Callable[[Record, np.random.Generator], Record]

FIRST_SYMBOL = NUM_SPECIAL_TOKENS  # the token of byte 0
TOKENS = FIRST_SYMBOL + 256

MIRRORED = 64  # events of a sequence of the copy task, as the set "mirrored" has them


def text_events(text: str | bytes) -> Int32[np.ndarray, " m"]:
    """The start token, then byte + 3 of each byte of a text: (1 + bytes,) int32. Nothing ends it: text goes on."""
    content = text.encode("utf-8") if isinstance(text, str) else text
    symbols = np.frombuffer(content, np.uint8).astype(np.int32) + FIRST_SYMBOL
    return np.concatenate([np.array([SOS], np.int32), symbols])


def events_text(events: Int[np.ndarray, " m"] | Sequence[int]) -> str:
    """The text of events. Special tokens are left out; bytes that are no UTF-8 become U+FFFD.

    Raises:
      ValueError: numbers that are no token.
    """
    events = np.asarray(events)
    if events.min(initial=0) < 0 or events.max(initial=0) >= TOKENS:
        raise ValueError(
            f"Tokens from {events.min()} to {events.max()} were given, but they go from 0 to {TOKENS - 1}: three "
            "special tokens, then byte + 3."
        )
    symbols = events[events >= FIRST_SYMBOL] - FIRST_SYMBOL
    return symbols.astype(np.uint8).tobytes().decode("utf-8", errors="replace")


def mirrored(length: int, rng: np.random.Generator) -> Int32[np.ndarray, " length"]:
    """A sequence of the copy task: start, random symbols, the same symbols backwards, end.

        SOS r1 r2 ... rk rk ... r2 r1 EOS         k = length / 2 - 1

    From the middle on every token is certain, and the last symbol is as far from its double as can be.

    Raises:
      ValueError: an odd length, or one without a symbol.
    """
    if length < 4 or length % 2:
        raise ValueError(f"A mirrored sequence has an even length of at least 4, got {length}.")
    half = rng.integers(FIRST_SYMBOL, TOKENS, length // 2 - 1).astype(np.int32)
    return np.concatenate([[SOS], half, half[::-1], [EOS]]).astype(np.int32)


def crop_events(context: int, fewest: int) -> Transform:
    """What is read and what is to be said in one step of training, as in the release.

    A crop ends anywhere behind the first `fewest` events and begins at most `context` events earlier, so that the
    first events of a sequence are not read more often than others. "events" (M,) become "inputs" and "targets", both
    (context,) int32, the second one event ahead of the first, padded on the right. "positions" (M, axes), if a record
    has them, are cut to those of the inputs.

        events   2 5 6 7 8, of which a crop ends behind the 7      inputs   2 5 6 0      targets   5 6 7 0

    Args:
      context: inputs that are read at most.
      fewest: inputs that are read at least, where a sequence has as many: the latents of the model, or more.

    Raises:
      ValueError: sizes that do not fit together; from the transform, a record without such events.
    """
    if not 1 <= fewest <= context:
        raise ValueError(f"crop_events: fewest={fewest} must be from 1 to the context, {context}.")

    def crop(record, rng):
        events = np.asarray(record.get("events"))
        if events.ndim != 1 or events.dtype.kind not in "iu" or len(events) < 2 or (events == PAD).any():
            raise ValueError(
                "crop_events wants a record with 'events', integers (M,) without padding, the start token and at least "
                f"one more; got {sorted(record)} with {events.dtype} of shape {events.shape}."
            )
        end = int(rng.integers(min(fewest + 1, len(events)), len(events) + 1))
        part = events[max(end - context - 1, 0) : end]
        room = (0, context + 1 - len(part))
        others = {name: value for name, value in record.items() if name != "events"}
        if "positions" in others:  # of the inputs; a target's place is known to who predicts it as the one that is next
            places = np.asarray(others["positions"])[max(end - context - 1, 0) : end - 1]
            others["positions"] = np.pad(places, (room, (0, 0))).astype(np.int32)
        inputs, targets = (np.pad(one, room).astype(np.int32) for one in (part[:-1], part[1:]))
        return {**others, "inputs": inputs, "targets": targets}

    return crop
