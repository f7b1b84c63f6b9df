"""Pictures and sounds as the rows of tokens that a Perceiver AR reads, value by value (2202.07765)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int, Int32, UInt8

from perceiver_lab.ops import mulaw_decode, mulaw_encode
from perceiver_lab.ops.sequences import NUM_SPECIAL_TOKENS, PAD, SOS

Record = dict[str, Any]
Transform = Callable[[Record, np.random.Generator], Record]

FIRST_PLACE = 2  # of the first column, row and channel: 0 is padding's, 1 the start token's on each axis


def halve(record: Record, rng: np.random.Generator | None = None) -> Record:
    """A transform: "image" at half its resolution, each value the mean of a square of four, rounded down.

    Raises:
      ValueError: a picture of odd height or width.
    """
    image = np.asarray(record["image"])
    height, width, channels = image.shape
    if height % 2 or width % 2:
        raise ValueError(f"A picture of {height} x {width} pixels cannot be halved: expected an even height and width.")
    squares = image.reshape(height // 2, 2, width // 2, 2, channels)
    return {**record, "image": (squares.sum(axis=(1, 3), dtype=np.int64) // 4).astype(np.uint8)}


def picture_events(levels: int = 256) -> Transform:
    """A transform: "image" (h, w, c) uint8 becomes "events" (1 + h w c,) and their "positions" (1 + h w c, 3).

    Values follow each other as in the release: row by row, in a row from left to right, in a pixel channel by channel.
    The start token comes first. An event's position is its column, row and channel, each counted from 2; the start
    token's is 1 on every axis.

    Args:
      levels: values that are told apart: of a byte, as many as fit, the lowest bits left out.

    Raises:
      ValueError: levels that are no power of two from 2 to 256; from the transform, no picture of bytes.
    """
    if levels not in (2, 4, 8, 16, 32, 64, 128, 256):
        raise ValueError(f"levels={levels} must be a power of two, from 2 to 256: the upper bits of a byte.")

    def encode(record, rng=None):
        image = np.asarray(record["image"])
        if image.ndim != 3 or image.dtype != np.uint8:
            raise ValueError(
                f"picture_events wants a record with an 'image' (height, width, channels) of uint8, got {image.dtype} "
                f"of shape {image.shape}. Put it before transforms that make floats."
            )
        row, column, channel = np.indices(image.shape).reshape(3, -1) + FIRST_PLACE
        places = np.concatenate([np.full((1, 3), FIRST_PLACE - 1), np.stack([column, row, channel], axis=1)])
        symbols = image.reshape(-1).astype(np.int32) // (256 // levels) + NUM_SPECIAL_TOKENS
        others = {name: value for name, value in record.items() if name != "image"}
        return {**others, "events": np.append(np.int32(SOS), symbols), "positions": places.astype(np.int32)}

    return encode


def events_picture(
    events: Int[np.ndarray, " m"], shape: tuple[int, int, int], levels: int = 256
) -> UInt8[np.ndarray, "h w c"]:
    """The picture of events behind the start token, each value in the middle of its level; what is missing is 0.

    Raises:
      ValueError: more events than the shape has values, or tokens that are no level.
    """
    symbols = np.asarray(events)[1:] - NUM_SPECIAL_TOKENS
    low, high = (symbols.min(), symbols.max()) if symbols.size else (0, 0)
    if len(symbols) > np.prod(shape) or low < 0 or high >= levels:
        raise ValueError(
            f"{len(symbols)} events after the start token, with values from {low} to {high}; a picture {tuple(shape)} "
            f"has {np.prod(shape)}, from 0 to {levels - 1}."
        )
    step = 256 // levels
    image = np.zeros(int(np.prod(shape)), np.uint8)
    image[: len(symbols)] = symbols * step + (step // 2 if levels < 256 else 0)
    return image.reshape(shape)


def sound_events(length: int | None = None) -> Transform:
    """A transform: the recorded part of "sound" becomes "events", the start token and a token for each sample.

    A token is 3 + the number of the sample's mu-law code, from the lowest sample (0) to the highest (255).

    Args:
      length: to which events are padded on the right, so that clips of any length stack; by default they are not.

    Raises:
      ValueError: from the transform, a clip that is longer.
    """

    def encode(record, rng=None):
        events = sound_tokens(np.asarray(record["sound"])[: int(record["length"]), 0])
        return heard(record, events, length)

    return encode


def heard(record: Record, events: Int32[np.ndarray, " m"], length: int | None) -> Record:
    """The record with "events", padded on the right to `length` if there is one, in the place of its sound.

    Raises:
      ValueError: more events than `length`.
    """
    if length is not None and len(events) > length:
        raise ValueError(f"A clip of {len(events)} events does not fit into {length}. Give a longer length.")
    padding = 0 if length is None else length - len(events)
    others = {name: value for name, value in record.items() if name not in ("sound", "length")}
    return {**others, "events": np.pad(events, (0, padding), constant_values=PAD)}


def sound_tokens(samples: np.ndarray) -> Int32[np.ndarray, " m"]:
    """The start token, and a token for each sample (T,) in [-1, 1]."""
    return np.append(np.int32(SOS), _RANK[mulaw_encode(samples)].astype(np.int32) + NUM_SPECIAL_TOKENS)


def tokens_sound(tokens: Int[np.ndarray, " m"]) -> np.ndarray:
    """The samples (T,) float32 of tokens; special ones are left out.

    Raises:
      ValueError: numbers that are no token.
    """
    tokens = np.asarray(tokens)
    if tokens.min(initial=0) < 0 or tokens.max(initial=0) >= NUM_SPECIAL_TOKENS + 256:
        raise ValueError(
            f"Tokens from {tokens.min()} to {tokens.max()} were given, but they go from 0 to "
            f"{NUM_SPECIAL_TOKENS + 255}: three special tokens, then 256 levels."
        )
    return mulaw_decode(_CODES[tokens[tokens >= NUM_SPECIAL_TOKENS] - NUM_SPECIAL_TOKENS])


_CODES = np.argsort(mulaw_decode(np.arange(256, dtype=np.uint8)), kind="stable").astype(np.uint8)
_RANK = np.argsort(_CODES)
