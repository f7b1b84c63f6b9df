"""Text as ids, byte + 6, with six special ids before the bytes: the tokeniser of the released Perceiver IO.

The paper counts four special ids (2107.14795, section 4.1); the release has BOS and EOS besides, hence 262 ids in all.
Nothing is added to a text: no CLS, no SEP, no BOS, no EOS.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int32

PAD, BOS, EOS, MASK, CLS, SEP = range(6)
FIRST_BYTE = 6  # the id of byte 0
VOCABULARY = FIRST_BYTE + 256


def encode_text(text: str | bytes) -> Int32[np.ndarray, " m"]:
    """The ids of a text, one for each of its UTF-8 bytes, or of bytes as they are: (M,) int32.

    Raises:
      ValueError: a text with half a character in it (a lone surrogate), which UTF-8 has no bytes for.
    """
    try:
        content = text.encode("utf-8") if isinstance(text, str) else text
    except UnicodeEncodeError as error:
        raise ValueError(
            f"This text has {error.object[error.start]!r} at place {error.start}, half a character, which UTF-8 has no "
            "bytes for. Read the file as bytes, open(path, 'rb'), and give those: any bytes can be read."
        ) from error
    return np.frombuffer(content, np.uint8).astype(np.int32) + FIRST_BYTE


def decode_ids(ids: Int[np.ndarray, " m"] | Sequence[int]) -> str:
    """The text of ids. Special ids are left out; bytes that are no UTF-8 become U+FFFD.

    Raises:
      ValueError: anything but a row of whole numbers from 0 to 261.
    """
    ids = _checked(ids)
    return (ids[ids >= FIRST_BYTE] - FIRST_BYTE).astype(np.uint8).tobytes().decode("utf-8", errors="replace")


def pad_ids(ids: Int[np.ndarray, " m"] | Sequence[int], length: int) -> Int32[np.ndarray, " length"]:
    """The ids, and PAD after them up to `length`: (length,) int32.

    Raises:
      ValueError: more ids than `length`, or what are no ids.
    """
    ids = _checked(ids)
    if len(ids) > length:
        raise ValueError(
            f"A text of {len(ids)} bytes does not fit into {length}. Cut it into pieces of at most {length} bytes, or "
            "pad to a greater length if the model reads one."
        )
    return np.pad(ids, (0, length - len(ids)), constant_values=PAD)


def sentence_bytes(length: int) -> Callable[..., dict[str, Any]]:
    """Records with a "sentence", as TFDS's GLUE has them, as records with "bytes" (length,), padded, and "label".

    What is longer is cut off at its end.

    Raises:
      ValueError: (from the transform) a label below 0: GLUE does not tell those of its test splits.
    """

    def convert(record, rng=None):
        if record["label"] < 0:
            raise ValueError(
                f"The label of {record['sentence']!r} is {record['label']}: the labels of GLUE's test splits are not "
                "told. Take its split 'validation'."
            )
        return {"bytes": pad_ids(encode_text(record["sentence"])[:length], length), "label": record["label"]}

    return convert


def hide_ids(ids: Int[np.ndarray, " m"] | Sequence[int], places: Sequence[int] | slice) -> Int32[np.ndarray, " m"]:
    """A copy of the ids with MASK at some places, such as `slice(51, 60)`.

    Args:
      ids: of one text.
      places: numbers of its bytes from 0, or a slice of them.

    Raises:
      ValueError: no places, places outside of the text, places of special ids, or what are no ids.
    """
    ids = _checked(ids)
    end = int((ids != PAD).nonzero()[0].max(initial=-1)) + 1
    if isinstance(places, slice):  # range would cut at the end of the text what lies outside, and say nothing
        last = end if places.stop is None else places.stop
        places = range(places.start or 0, last, places.step or 1)
    chosen = np.array(places, np.int64)
    if not chosen.size or chosen.min() < 0 or chosen.max() >= end:
        asked = f"{chosen.min()} to {chosen.max()}" if chosen.size else "none"
        raise ValueError(
            f"The places to hide are {asked}, but this text has {end} bytes, numbered from 0; what comes after them is "
            "padding. Choose at least one place within the text."
        )
    special = chosen[(ids[chosen] < FIRST_BYTE) & (ids[chosen] != MASK)]
    if special.size:
        raise ValueError(f"There are special ids and no bytes at {special.tolist()}. Choose places of bytes.")
    hidden = ids.copy()
    hidden[chosen] = MASK
    return hidden


def is_text(ids: Int[np.ndarray, "*b m"]) -> Bool[np.ndarray, "*b m"]:
    """True where there is a byte, False at padding and other special ids."""
    return np.asarray(ids) >= FIRST_BYTE


def _checked(ids):
    """One row of ids, int32."""
    ids = np.asarray(ids)
    if ids.ndim == 1 and not ids.size:
        return ids.astype(np.int32)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise ValueError(
            f"The ids of a text are one row of whole numbers (M,); got {ids.dtype} of shape {ids.shape}. "
            "encode_text(text) makes them; of a batch, take one row."
        )
    if ids.min() < 0 or ids.max() >= VOCABULARY:
        raise ValueError(
            f"Ids from {ids.min()} to {ids.max()} were given, but they go from 0 to {VOCABULARY - 1}: six special "
            "ids, then byte + 6."
        )
    return ids.astype(np.int32)
