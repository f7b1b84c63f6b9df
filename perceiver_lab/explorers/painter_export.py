"""The mask painter without Python behind it: the still picture of a notebook, and a saved page."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib

from perceiver_lab.explorers.base import Answer
from perceiver_lab.explorers.painter import SMUDGE, smudge
from perceiver_lab.figures import COLOURS, SURPRISE, DescribedFigure, figure, style

if TYPE_CHECKING:
    from perceiver_lab.explorers.painter import MaskPainter

WORD = re.compile(rb"[0-9A-Za-z'\x80-\xff]+")  # `wordsOf` in painter_draw.js finds the same
COLUMNS = 32  # bytes in a line of the picture
MOST_BITS = 8.0  # the surprise of who knows nothing: one of 256
MOST_RUNS = 512  # of a text on a saved page
NAMES = {0x20: "␣", 0x0A: "↵", 0x09: "⇥"}


def still(painter: "MaskPainter") -> DescribedFigure:
    """The text as bytes, what is hidden painted over, with the best guess and the surprise below."""
    content = painter.text.encode("utf-8")
    answer = painter.fill(painter.text, painter.hidden) if painter.hidden else {"guesses": [], "bits": None}
    guesses = dict(zip(painter.hidden, answer["guesses"], strict=True))
    lines = [range(start, min(start + COLUMNS, len(content))) for start in range(0, len(content), COLUMNS)]
    made, axes = figure(alt=_told(painter, guesses, answer["bits"]), size=(9.6, 0.4 + 0.75 * len(lines)))
    with style():
        ax = axes[0, 0]
        for row, places in enumerate(lines):
            for place in places:
                _draw_byte(ax, place - places[0], 3 * row, content[place], guesses.get(place))
        ax.set(xlim=(-0.6, COLUMNS - 0.4), ylim=(3 * len(lines) - 0.4, -0.6))
        ax.axis("off")
    return made


def _draw_byte(ax, column, row, byte, guess):
    letter = {"ha": "center", "va": "center", "family": "DejaVu Sans Mono"}
    if guess is None:
        ax.text(column, row, _name(byte), fontsize=11, **letter)
        return
    ax.add_patch(matplotlib.patches.Rectangle((column - 0.46, row - 0.5), 0.92, 1.0, color="#333333"))
    ax.text(column, row, _name(byte), fontsize=11, color="white", **letter)
    best, right = guess["top"][0][0], guess["rank"] == 1
    colour = COLOURS[2] if right else COLOURS[1]
    ax.text(column, row + 1.0, _name(best), fontsize=11, color=colour, weight="bold", **letter)
    level = matplotlib.colormaps[SURPRISE](min(guess["bits"] / MOST_BITS, 1.0))
    ax.add_patch(matplotlib.patches.Rectangle((column - 0.46, row + 1.5), 0.92, 0.35, color=level))
    if not right:  # a mark as well as a colour
        ax.plot([column - 0.3, column + 0.3], [row + 1.42] * 2, color=colour, linewidth=1.2)


def _name(byte):
    """A byte in one or two characters that every font has; of bytes beyond ASCII, their number."""
    if byte in NAMES:
        return NAMES[byte]
    return chr(byte) if 0x20 < byte < 0x7F else f"{byte & 0xFF:02X}" if byte >= 0 else "?"


def _told(painter, guesses, bits):
    content = painter.text.encode("utf-8")
    start = f"Mask painter, first frame: {len(content)} bytes of text, {len(guesses)} of them hidden: {painter.text!r}."
    if not guesses:
        return f"{start} The model is asked for nothing."
    right = sum(guess["rank"] == 1 for guess in guesses.values())
    said = "".join(_name(guess["top"][0][0]) for guess in guesses.values())
    return (
        f"{start} Below each hidden byte stands the model's best guess, underlined where it is wrong: {said}. "
        f"{right} of {len(guesses)} are right; {bits:.2f} bits per hidden byte; as colours, 0 is bright and 8 dark."
    )


def reduce(
    painter: "MaskPainter", *, texts: Sequence[int] | None = None, longest: int | None = None
) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
    """State and answers: of each text every run of bytes up to a length, every word, and all seven smudges.

    Args:
      painter: what is saved.
      texts: numbers of the texts that the page holds; by default the first three. The text shown comes along.
      longest: of the runs that can be painted; by default at most 8, and fewer of long texts.

    Raises:
      ValueError: a text that there is not, or no length.
    """
    available = painter.facts["texts"]
    texts = list(range(min(3, len(available)))) if texts is None else [int(i) for i in texts]
    if not all(0 <= i < len(available) for i in texts):
        raise ValueError(f"texts={texts} are not in this painter, which has 0 to {len(available) - 1}.")
    chosen = list(dict.fromkeys([*(available[i] for i in texts), painter.text]))
    most = max(len(text.encode("utf-8")) for text in chosen)
    longest = max(1, min(8, MOST_RUNS // most)) if longest is None else longest
    if longest < 1:
        raise ValueError(f"longest={longest}: a page needs runs of at least one byte.")
    answers = []
    for text in chosen:
        maskings = _maskings(text, longest)
        if text == painter.text and painter.hidden:
            maskings.append(list(painter.hidden))
        maskings = [list(places) for places in dict.fromkeys(map(tuple, maskings))]
        for places, found in zip(maskings, painter.filler.fill(text, maskings), strict=True):
            answers.append(({"what": "fill", "text": text, "hidden": places}, (found, [])))
    return painter.state() | {"facts": {**painter.facts, "texts": chosen, "longest": longest}}, answers


def _maskings(text, longest):
    content = text.encode("utf-8")
    size = len(content)
    runs = [list(range(start, start + n)) for n in range(1, min(longest, size) + 1) for start in range(size - n + 1)]
    words = [list(range(*word.span())) for word in WORD.finditer(content)]
    return [*runs, *words, *(smudge(text, start) for start in range(SMUDGE))]
