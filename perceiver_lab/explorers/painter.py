"""MaskPainter: paint over the bytes of a text, and a model says what stands beneath."""

from collections.abc import Mapping, Sequence
from typing import Any

import traitlets

from perceiver_lab.datasets import NeighbourCounts
from perceiver_lab.explorers.base import Answer, Explorer, colour_table, front_end
from perceiver_lab.explorers.painter_model import ByteFiller
from perceiver_lab.figures import SURPRISE, DescribedFigure

SMUDGE = 7  # every seventh byte: about the share that is hidden in training


class MaskPainter(Explorer):
    """Bytes of a text, hidden by hand and filled in by a model.

    The state is in traits that can be read and set: `text`, `hidden` (places from 0 that the model does not see), and
    `cursor` (the place that is looked at). Bytes are hidden for the model alone: what stands there stays on the screen.
    """

    title = "Mask painter"
    _esm = front_end("painter_draw", "painter")["_esm"]
    _css = front_end("painter_draw", "painter")["_css"]
    facts = traitlets.Dict().tag(sync=True)
    text = traitlets.Unicode("").tag(sync=True)
    hidden = traitlets.List(traitlets.Int()).tag(sync=True)
    cursor = traitlets.Int(0).tag(sync=True)

    def __init__(self, model, texts: Sequence[str | bytes], *, counts: NeighbourCounts | None = None, **state):
        """Take the first text and hide every seventh byte.

        Args:
          model: reads ids through `ByteInput` and answers at every byte; its weights as they are now.
          texts: to choose from, each of at most as many UTF-8 bytes as the model reads.
          counts: of the training text; what counting is worth then stands beside the model's bits.
          **state: first values of the traits, such as `hidden=[3, 4, 5]`.

        Raises:
          ValueError: a model that does not read bytes, texts that it cannot read, or places outside of the text.
        """
        self.filler = ByteFiller(model, counts)
        texts = [self.filler.checked(text) for text in texts]
        if not texts:
            raise ValueError("There is no text to paint on: give at least one.")
        state["text"] = self.filler.checked(state.get("text", texts[0]))
        state.setdefault("hidden", smudge(state["text"]))
        state.setdefault("cursor", state["hidden"][0] if state["hidden"] else 0)
        super().__init__(facts=self._facts(texts), **state)
        self.answer_first(self.asks())
        if not self.hidden:  # compiled now: whoever paints first need not wait
            self.fill(self.text, [0])

    def _facts(self, texts):
        return {
            "texts": texts,
            "length": self.filler.length,
            "counted": 0 if self.filler.counts is None else self.filler.counts.reach,
            "smudge": SMUDGE,
            "longest": 0,
            "colours": colour_table(SURPRISE),
        }

    @traitlets.validate("text", "hidden", "cursor")
    def _valid(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        if name == "text":
            return self.filler.checked(value)
        size = len(self.text.encode("utf-8"))
        places = [value] if name == "cursor" else value
        if not all(0 <= place < size for place in places):
            raise ValueError(f"{name}={value!r} is not in the text, whose {size} bytes are numbered 0 to {size - 1}.")
        return value if name == "cursor" else sorted(set(value))

    @traitlets.observe("text")
    def _shorten(self, change):
        """A shorter text has fewer places."""
        size = len(change["new"].encode("utf-8"))
        if any(place >= size for place in self.hidden):
            self.hidden = [place for place in self.hidden if place < size]
        self.cursor = min(self.cursor, size - 1)

    def asks(self) -> list[dict[str, Any]]:
        """What the front end asks first."""
        return [{"what": "fill", "text": self.text, "hidden": list(self.hidden)}] if self.hidden else []

    def fill(self, text: str, hidden: Sequence[int]) -> dict[str, Any]:
        """What the model makes of a text with some bytes hidden.

        Args:
          text: of at most as many bytes as the model reads.
          hidden: places from 0, at least one.

        Returns:
          "guesses" of each hidden place in order, "bits" and "counts"; see `ByteFiller.fill`.

        Raises:
          ValueError: a text that cannot be read, or places that are not in it.
        """
        return self.filler.fill(text, [hidden])[0]

    def answer(self, ask: Mapping[str, Any]) -> Answer:
        """Answer the front end: fill."""
        if ask.get("what") == "fill":
            return self.fill(ask["text"], ask["hidden"]), []
        return super().answer(ask)

    def first_frame(self) -> DescribedFigure:
        """The text with what is hidden painted over, the guesses below, and the surprise as a colour."""
        from perceiver_lab.explorers.painter_export import still

        return still(self)

    def export(self, **reduction) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
        """State and answers for a saved page: short runs and whole words of some texts, and smudges.

        Args:
          **reduction: `texts`, `longest`; see `painter_export.reduce`.
        """
        from perceiver_lab.explorers.painter_export import reduce

        return reduce(self, **reduction)

    def __repr__(self):
        return f"MaskPainter({len(self.facts['texts'])} texts, at most {self.filler.length} bytes)"


def smudge(text: str, start: int = 3) -> list[int]:
    """Every seventh place of a text from `start` on; of a shorter text its last."""
    size = len(text.encode("utf-8"))
    return list(range(min(start, size - 1), size, SMUDGE))
