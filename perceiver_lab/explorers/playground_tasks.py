"""What a model can be asked in the query playground, and how its answers are said and coloured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float, Num, UInt8

from perceiver_lab.figures import COLOURS, SEQUENTIAL, flow_to_rgb

KINDS = ("classes", "probability", "colour", "flow")
CHANNELS = ("red", "green", "blue")
UNSURE = 0.55  # grey of a class that is no likelier than the others

Values = Float[np.ndarray, "o v"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One kind of question.

    Attributes:
      name: of the group of queries that asks it; of a model with one kind of query, any name.
      kind: of the answer. "classes": logits (K,), one per name in `classes`; "probability": one logit; "colour": 1 or 3
        levels in [-1, 1], as `datasets.to_float` makes them; "flow": (x, y) in pixels, right and down.
      classes: names of the classes; of a probability, what is said below and above one half.
      at_point: asked at a point of the picture; otherwise once per picture.
      read: what the model answers, rows (O, K) -> what `kind` asks for, where that is not the same.

    Raises:
      ValueError: another kind, classes that do not fit it, or a picture that would have a flow but no points.
    """

    name: str
    kind: str
    classes: Sequence[str] = ()
    at_point: bool = True
    read: Callable[[np.ndarray], np.ndarray] | None = None

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"The task {self.name!r} has kind={self.kind!r}; choose one of {', '.join(KINDS)}.")
        if self.kind == "probability" and not self.classes:
            object.__setattr__(self, "classes", ("no", "yes"))
        object.__setattr__(self, "classes", tuple(str(name) for name in self.classes))
        expected = {"classes": len(self.classes) > 1, "probability": len(self.classes) == 2}
        if not expected.get(self.kind, not self.classes):
            raise ValueError(
                f"The task {self.name!r} of kind {self.kind!r} has the classes {list(self.classes)}: classes take at "
                "least two names, a probability two (or none: no, yes), colour and flow none."
            )
        if self.kind in ("colour", "flow") and not self.at_point:
            raise ValueError(
                f"The task {self.name!r} has a {self.kind}, which is that of a point: leave at_point=True."
            )

    def values(self, rows: Num[np.ndarray, "o k"]) -> Values:
        """The model's rows as probabilities (O, K), levels in [0, 1] (O, 3) or pixels (O, 2).

        Raises:
          ValueError: rows of another width than the kind asks for.
        """
        rows = np.asarray(rows if self.read is None else self.read(np.asarray(rows)), np.float64)
        widths = {"classes": (len(self.classes),), "probability": (1,), "colour": (1, 3), "flow": (2,)}[self.kind]
        if rows.ndim != 2 or rows.shape[1] not in widths:
            raise ValueError(
                f"Answers to {self.name!r} have shape {rows.shape}; of kind {self.kind!r} they must be (O, K) with K = "
                f"{' or '.join(map(str, widths))}. Give the task `read=`, a function from the one to the other."
            )
        if self.kind == "flow":
            return rows
        if self.kind == "colour":
            return np.broadcast_to(np.clip((rows + 1) / 2, 0, 1), (len(rows), 3))
        if self.kind == "probability":
            rows = np.concatenate([np.zeros_like(rows), rows], axis=1)
        exponentials = np.exp(rows - rows.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def colours(self, values: Values, scale: float = 1.0) -> UInt8[np.ndarray, "o 3"]:
        """A colour for each answer.

        Classes have Okabe and Ito's colours, the greyer the less sure; a probability is on cividis; a colour is itself;
        a flow has Middlebury's, full at `scale` pixels (see `figures.flow_to_rgb`).
        """
        if self.kind == "flow":
            return flow_to_rgb(values[None], longest=scale)[0]
        if self.kind == "probability":
            levels = np.rint(values[:, 1] * 255).astype(int)
            rgb = matplotlib.colormaps[SEQUENTIAL](levels)[:, :3]
        elif self.kind == "classes":
            best, even = values.argmax(axis=1), 1 / values.shape[1]
            sure = ((values.max(axis=1) - even) / (1 - even))[:, None]
            rgb = sure * palette(values.shape[1])[best] + (1 - sure) * UNSURE
        else:
            rgb = values
        return np.rint(rgb * 255).astype(np.uint8)

    def say(self, value: Float[np.ndarray, " v"]) -> str:
        """One answer in words."""
        if self.kind in ("classes", "probability"):
            return self.classes[int(value.argmax())]
        if self.kind == "colour":
            return f"rgb {', '.join(str(level) for level in np.rint(value * 255).astype(int))}"
        sides = (("left", "right"), ("up", "down"))
        parts = [f"{abs(v):.1f} px {side[int(v > 0)]}" for v, side in zip(value, sides, strict=True)]
        return ", ".join(parts)

    def sure(self, value: Float[np.ndarray, " v"]) -> float | None:
        """The probability of what is said, where there is one."""
        return float(value.max()) if self.kind in ("classes", "probability") else None

    def bars(self, value: Float[np.ndarray, " v"], truth: Float[np.ndarray, " v"] | None) -> list[list[Any]]:
        """[name, value in [0, 1], text or None for percent, mark or None] for each part of an answer."""
        if self.kind == "flow":
            return []
        if self.kind != "colour":
            return [[name, float(v), None, None] for name, v in zip(self.classes, value, strict=True)]
        marks = [None] * 3 if truth is None else [float(v) for v in truth]
        return [
            [name, float(v), str(round(float(v) * 255)), mark]
            for name, v, mark in zip(CHANNELS, value, marks, strict=True)
        ]


def palette(count: int) -> Float[np.ndarray, "count 3"]:
    """Colours of so many classes in [0, 1]: Okabe and Ito's, or, of more than there are, steps of a colour map."""
    if count <= len(COLOURS):
        return np.array([matplotlib.colors.to_rgb(colour) for colour in COLOURS[:count]])
    return matplotlib.colormaps["turbo"](np.linspace(0, 1, count))[:, :3]


def hexadecimal(colours: UInt8[np.ndarray, "o 3"]) -> list[str]:
    """As #rrggbb."""
    return [f"#{bytes(colour).hex()}" for colour in colours]
