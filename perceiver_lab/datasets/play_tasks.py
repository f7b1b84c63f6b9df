"""Four questions about pieces of the plays, each with its own records and labels, as the tasks of GLUE are.

    speaker     which of the ten who say most says this?                                  from the names in the text
    kind        is this from a comedy, a history or a tragedy?               the First Folio's division of the plays
    verse       is this verse or prose? Its lines are joined: the layout would tell       from the layout of the text
    continues   are the two halves one piece, or is the second from elsewhere in the play?              made by us

As everywhere, the last 8 KiB of every 64 KiB are for the test.
"""

import bisect
import itertools
from collections.abc import Iterator
from typing import NamedTuple

from perceiver_lab.datasets.plays import PIECE, SHORTEST, SPEAKERS, ranges, speeches, spoken_pieces

# The plays in the order of the text: title, kind, and where it begins, in bytes.
PLAYS = (
    ("Coriolanus", "tragedy", 0),
    ("Richard III", "history", 154_470),
    ("Richard II", "history", 317_027),
    ("Romeo and Juliet", "tragedy", 442_994),
    ("Henry VI, Part 3", "history", 576_460),
    ("The Winter's Tale", "comedy", 710_427),
    ("Measure for Measure", "comedy", 846_171),
    ("The Taming of the Shrew", "comedy", 966_133),
    ("The Tempest", "comedy", 1_080_739),  # only its beginning
)
TASKS = {
    "speaker": SPEAKERS,
    "kind": ("comedy", "history", "tragedy"),
    "verse": ("prose", "verse"),
    "continues": ("elsewhere", "continues"),
}
# In training each task has about as many pieces: of kinds every fourth, of halves every third. There is seven times as
# much verse as prose, and six in seven are left out everywhere, so that neither is a good guess.
_EVERY = {"kind": 4, "continues": 3}
_EVERY_VERSE = 7
_ELSEWHERE = 7  # pieces further on in the same play


class Piece(NamedTuple):
    """A piece of a speech: its words, the number of its play, and the lines of the whole speech."""

    words: bytes
    play: int
    lines: tuple[bytes, ...]


def labelled_pieces(task: str, part: str) -> list[tuple[bytes, str]]:
    """The pieces of one task with their labels: 32 to 64 bytes each.

    Args:
      task: one of `TASKS`.
      part: "train" or "test".

    Raises:
      ValueError: another task or part.
    """
    if task not in TASKS:
        raise ValueError(f"There is no task {task!r}; there are {', '.join(TASKS)}.")
    if task == "speaker":
        return spoken_pieces(part)
    made = {"kind": _kinds, "verse": _verses, "continues": _halves}[task](list(pieces(part)))
    return made[:: _EVERY.get(task, 1)] if part == "train" else made


def pieces(part: str) -> Iterator[Piece]:
    """All pieces of all speeches that lie in one part, in order, cut from the beginning of each speech.

    Raises:
      ValueError: another part.
    """
    runs, begins = ranges(part), [begin for _, _, begin in PLAYS]
    for speech in speeches():
        end = speech.start + len(speech.words)
        if not any(start <= speech.start and end <= stop for start, stop in runs):
            continue
        play = bisect.bisect(begins, speech.start) - 1
        lines = tuple(line for line in speech.words.split(b"\n") if line)
        for place in range(0, len(speech.words), PIECE):
            words = speech.words[place : place + PIECE]
            if len(words) >= SHORTEST:
                yield Piece(words, play, lines)


def is_verse(lines: tuple[bytes, ...]) -> bool | None:
    """Whether a speech is verse, whose lines all begin with a capital, or prose, which runs on; None if not clear."""
    if len(lines) < 3:
        return None
    run_on = sum(line[:1].islower() for line in lines[1:]) / (len(lines) - 1)
    return True if run_on == 0 else False if run_on > 0.3 else None


def _kinds(found):
    return [(piece.words, PLAYS[piece.play][1]) for piece in found]


def _verses(found):
    by_form = {form: [piece for piece in found if is_verse(piece.lines) is form] for form in (True, False)}
    chosen = [(piece, "verse") for piece in by_form[True][::_EVERY_VERSE]]
    chosen += [(piece, "prose") for piece in by_form[False]]
    return [(piece.words.replace(b"\n", b" "), form) for piece, form in chosen]


def _halves(found):
    """Every second piece as it is, the others with the second half of a piece further on, or further back."""
    made, half = [], PIECE // 2
    whole = [piece for piece in found if len(piece.words) == PIECE]
    for _, group in itertools.groupby(whole, key=lambda piece: piece.play):
        group = list(group)
        for number, piece in enumerate(group):
            other = group[(number + _ELSEWHERE) % len(group)] if number % 2 else piece
            made.append((piece.words[:half] + other.words[half:], "elsewhere" if number % 2 else "continues"))
    return made
