"""Captions as ids, and how pictures and texts become the sequences that a language model reads.

chunk      <image> question answer <end>       ids of bytes; the image stands where its marker does
prompt     one chunk, or examples before it, whose answers may be read but are not asked for ("shots")
training   several chunks one after the other, cut off at the length of the model
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32

from perceiver_lab.datasets.bytes import CLS, EOS, PAD, decode_ids, encode_text, pad_ids
from perceiver_lab.datasets.captions import COLOURS, KINDS, SHAPES

Record = dict[str, Any]
Batch = dict[str, np.ndarray]

IMAGE = CLS  # marks an image; the released ids have nothing for it, and nothing here uses CLS otherwise
CHUNK = 44  # ids of the longest chunk
_ROTATING = ("red", "green", "blue")  # change places when the channels do; yellow, purple and cyan among themselves
_PAIR = re.compile(f"({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})")


def encode_chunk(question: str, answer: str) -> Int32[np.ndarray, " n"]:
    """<image> question answer <end> as ids."""
    return np.concatenate([[IMAGE], encode_text(question + answer), [EOS]]).astype(np.int32)


def chunk_record(question: str, answer: str, other: str = "") -> dict[str, Any]:
    """What a data set keeps of a text: "ids" and "other" (44,) int32, padded, and "asked", how many ids come before.

    "other" is the same chunk with the other answer; padding alone where there is none.

    Raises:
      ValueError: a text that is too long for a chunk.
    """
    wrong = encode_chunk(question, other) if other else np.zeros(0, np.int32)
    asked = 1 + len(encode_text(question))
    return {"ids": pad_ids(encode_chunk(question, answer), CHUNK), "other": pad_ids(wrong, CHUNK), "asked": asked}


def only_text(record: Record, rng: np.random.Generator | None = None) -> Record:
    """Leave the frames out: what a language model is trained on."""
    return {name: value for name, value in record.items() if name not in ("frames", "num_frames")}


def any_pair(record: Record, rng: np.random.Generator) -> Record:
    """Give every coloured shape that the text names another colour and shape, any of all pairs as likely.

    For a language model that never sees the pictures: it has then read of all pairs, those that are held out among
    them, as a real one has read of more than it was ever shown.
    """

    def another(match):
        return f"{list(COLOURS)[int(rng.integers(len(COLOURS)))]} {SHAPES[int(rng.integers(len(SHAPES)))]}"

    text = _PAIR.sub(another, decode_ids(record["ids"]))
    return {**record, "ids": pad_ids(encode_chunk("", text), CHUNK)}


def turned(record: Record, rng: np.random.Generator) -> Record:
    """Turn and mirror all frames in the same way, one of eight as likely; not those of digits, which would lie."""
    if record["kind"] == KINDS.index("digit"):
        return record
    frames = np.rot90(record["frames"], int(rng.integers(4)), axes=(1, 2))
    return {**record, "frames": frames[:, :, ::-1] if rng.integers(2) else frames}


def recoloured(record: Record, rng: np.random.Generator) -> Record:
    """Let red, green and blue change places, in the frames of which the text names no colour."""
    if record["kind"] != KINDS.index("what"):
        return record
    return {**record, "frames": record["frames"][..., rng.permutation(3)]}


def other_colours(record: Record, rng: np.random.Generator) -> Record:
    """In half of the captions of coloured shapes, let the channels change places and write colours that are not there.

    Those words are not asked for; what comes after them is, and is not to be guessed from a colour, seen or read. The
    right name of a pair is never among them: "red" stands where the thing is yellow, purple or cyan.

    Returns:
      The record with "unasked" (44,) bool beside it: True at the ids of such words.
    """
    unasked, text = np.zeros(CHUNK, bool), decode_ids(record["ids"])
    if rng.integers(2) or not _PAIR.search(text):
        return {**record, "unasked": unasked}
    written, end = "", 0
    for pair in _PAIR.finditer(text):
        absent = [name for name in COLOURS if (name in _ROTATING) != (pair[1] in _ROTATING)]
        written += text[end : pair.start()]
        begin = 1 + len(written)  # behind the image's marker
        written += absent[int(rng.integers(len(absent)))]
        unasked[begin : 1 + len(written)] = True
        end = pair.end(1)
    ids = pad_ids(encode_chunk("", written + text[end:]), CHUNK)
    return {**record, "frames": record["frames"][..., rng.permutation(3)], "ids": ids, "unasked": unasked}


def as_prompt(record: Record, rng: np.random.Generator | None = None) -> Record:
    """One chunk as a sequence of its own, with the wrong answer beside it.

    Returns:
      "ids" and "other" (44,), "answers" and "other_answers" (44,) bool: True at the ids that are to be predicted;
      "frames" (1, T, 32, 32, 3) and "frame_mask" (1, T) if the record has frames; "kind" and "held_out".
    """
    prompt = {name: record[name] for name in ("ids", "other", "kind", "held_out")}
    prompt["answers"] = answered(record["ids"], record["asked"])
    prompt["other_answers"] = answered(record["other"], record["asked"])
    return prompt | _frames([record])


def few_shot(examples: Sequence[Record], query: Record, length: int) -> Record:
    """A prompt with examples before the query: their answers are there to be read, only the query's is asked for.

    Args:
      examples: records of the data set, none for zero shots.
      query: the record that is asked about.
      length: of the sequence; padded.

    Returns:
      "ids" (length,) int32, "answers" (length,) bool, "frames" (1 + examples, T, 32, 32, 3) uint8, "frame_mask".

    Raises:
      ValueError: a prompt that is longer than `length`.
    """
    records = [*examples, query]
    chunks = [record["ids"][record["ids"] != PAD] for record in records]
    whole = np.concatenate(chunks)
    if len(whole) > length:
        raise ValueError(
            f"{len(examples)} examples and the query have {len(whole)} ids together, and there is room for {length}. "
            "Take fewer examples."
        )
    answers = np.zeros(length, bool)
    answers[len(whole) - len(chunks[-1]) + int(query["asked"]) : len(whole)] = True
    return {"ids": pad_ids(whole, length), "answers": answers} | _frames(records)


def interleave(images: int, length: int) -> Callable[[Batch], Batch]:
    """Make sequences of several chunks: a batch of n records becomes one of n / images sequences.

    Args:
      images: chunks in each sequence.
      length: of a sequence; what is longer is cut off.

    Returns:
      A function for `pipeline(..., mix=...)`. It returns "ids" (k, length) int32, "answers" (k, length) bool, "record"
      (k, images) and, if the records have frames, "frames" (k, images, T, 32, 32, 3) and "frame_mask".

    Raises:
      ValueError: numbers below 1; (from the function) records that do not come out even.
    """
    if min(images, length) < 1:
        raise ValueError(f"interleave({images!r}, {length!r}): expected whole numbers, at least 1.")

    def mix(batch):
        count = len(batch["ids"])
        if count % images:
            raise ValueError(
                f"{count} records do not make sequences of {images} each. Choose a batch size that is a multiple of it."
            )
        ids, answers = np.full((count // images, length), PAD, np.int32), np.zeros((count // images, length), bool)
        wanted = answered(batch["ids"], batch["asked"])
        if "unasked" in batch:
            wanted &= ~batch["unasked"]
        for row in range(count // images):
            part = slice(row * images, (row + 1) * images)
            there = batch["ids"][part] != PAD
            joined, asked = batch["ids"][part][there][:length], wanted[part][there][:length]
            ids[row, : len(joined)], answers[row, : len(asked)] = joined, asked
        mixed = {"ids": ids, "answers": answers, "record": batch["record"].reshape(-1, images)}
        if "frames" in batch:
            mixed["frames"] = batch["frames"].reshape(-1, images, *batch["frames"].shape[1:])
            there = _there(batch["num_frames"], batch["frames"].shape[1])
            mixed["frame_mask"] = there.reshape(-1, images, there.shape[-1])
        return mixed

    return mix


def answered(ids: Int32[np.ndarray, "*b n"], asked: Any) -> Bool[np.ndarray, "*b n"]:
    """True at the ids of the answer and at its end: what comes after the first `asked` ids and is no padding."""
    return (np.arange(ids.shape[-1]) >= np.asarray(asked)[..., None]) & (ids != PAD)


def _frames(records: Sequence[Mapping]) -> Record:
    if "frames" not in records[0]:
        return {}
    frames = np.stack([record["frames"] for record in records])
    return {"frames": frames, "frame_mask": _there([record["num_frames"] for record in records], frames.shape[1])}


def _there(counts, longest):
    """True where there is a frame, (n, T)."""
    return np.arange(longest) < np.asarray(counts)[:, None]
