"""The plays that ship (tinyshakespeare, 1,115,394 bytes): what of them is held out, and who says what.

Of every 64 KiB of the text, the last 8 KiB are for testing: about a scene of each play. Nothing that is read in
training overlaps them, whatever the task, so that a model that was trained on the text has not read the speeches on
which it is tested later.
"""

import functools
import lzma
from dataclasses import dataclass

from perceiver_lab.datasets.shipped import read_shipped

PERIOD = 2**16  # bytes
HELD_OUT = 2**13  # bytes at the end of each period
STRETCH = 128  # bytes of a record of running text
STEP = 64  # bytes from the beginning of one to that of the next
PIECE = 64  # bytes of a record with its speaker, at most
LONG, LONG_STEP = 2048, 1024  # bytes of a record for long contexts, and from the beginning of one to the next
SHORTEST = 32  # bytes; what is shorter says too little

# The ten who say most, by bytes. Some are one man under two names (Gloucester becomes King Richard III).
SPEAKERS = (
    "GLOUCESTER",
    "DUKE VINCENTIO",
    "KING RICHARD II",
    "LEONTES",
    "CORIOLANUS",
    "ROMEO",
    "PETRUCHIO",
    "JULIET",
    "MENENIUS",
    "QUEEN MARGARET",
)


@dataclass(frozen=True, kw_only=True)
class Speech:
    """What one speaker says before the next one does.

    Attributes:
      speaker: the name as the text has it.
      start: where the words begin in the text, in bytes.
      words: without the line of the name.
    """

    speaker: str
    start: int
    words: bytes


@functools.cache
def whole_text() -> bytes:
    """All plays, as they ship.

    Raises:
      FileNotFoundError, ValueError: the file is missing or not the one that shipped.
    """
    return lzma.decompress(read_shipped("tinyshakespeare.txt.xz"))


def ranges(part: str, size: int | None = None) -> list[tuple[int, int]]:
    """Where the runs of text of one part begin and end, in bytes.

    Args:
      part: "train" or "test".
      size: of the text; by default of the plays.

    Raises:
      ValueError: another part.
    """
    size = len(whole_text()) if size is None else size
    _check(part)
    first, last = (0, PERIOD - HELD_OUT) if part == "train" else (PERIOD - HELD_OUT, PERIOD)
    runs = [(start + first, min(start + last, size)) for start in range(0, size, PERIOD)]
    return [(start, end) for start, end in runs if start < end]


def texts(part: str) -> list[bytes]:
    """The runs of text of one part, "train" or "test"."""
    return [whole_text()[start:end] for start, end in ranges(part)]


def stretches(part: str) -> list[bytes]:
    """Running text in stretches of 128 bytes, one from every 64th byte of each run: any 64 bytes lie in one of them."""
    return [text[start : start + STRETCH] for text in texts(part) for start in range(0, len(text) - STRETCH + 1, STEP)]


def long_stretches(part: str) -> list[bytes]:
    """Running text for models with long contexts.

    For training stretches of 2,048 bytes, one from every 1,024th byte of each run, so that any 1,025 bytes of a run lie
    in one of them; the last run, which is shorter, is left out. For testing stretches of 1,024 that do not overlap.
    """
    size = LONG if part == "train" else LONG_STEP
    return [text[start : start + size] for text in texts(part) for start in range(0, len(text) - size + 1, LONG_STEP)]


@functools.cache
def speeches() -> tuple[Speech, ...]:
    """All speeches in order. In the text a line with the name and a colon comes first, and an empty line after."""
    found, start = [], 0
    for block in whole_text().split(b"\n\n"):
        name, colon, words = block.partition(b":\n")
        if words:  # twice an empty line is one too many and belongs to the block
            speaker = name.strip(b"\n").decode()
            found.append(Speech(speaker=speaker, start=start + len(name) + len(colon), words=words))
        start += len(block) + 2
    return tuple(found)


def spoken_pieces(part: str) -> list[tuple[bytes, str]]:
    """Pieces of 32 to 64 bytes of what `SPEAKERS` say, with the speaker.

    A speech is cut from its beginning. One that reaches from one part into the other belongs to neither.
    """
    runs, pieces = ranges(part), []
    for speech in speeches():
        end = speech.start + len(speech.words)
        if speech.speaker not in SPEAKERS or not any(start <= speech.start and end <= stop for start, stop in runs):
            continue
        cut = [speech.words[place : place + PIECE] for place in range(0, len(speech.words), PIECE)]
        pieces += [(piece, speech.speaker) for piece in cut if len(piece) >= SHORTEST]
    return pieces


def _check(part):
    if part not in ("train", "test"):
        raise ValueError(f"part must be 'train' or 'test', got {part!r}.")
