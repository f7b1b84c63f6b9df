"""TokenBudget: a clip read with many frames or few, in any order, into the same number of tokens, and what is said."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from jaxtyping import Float32, UInt8

from perceiver_lab.explorers.base import Answer, Explorer, colour_table, front_end
from perceiver_lab.explorers.budget_model import Said, SeeingModel
from perceiver_lab.figures import DescribedFigure

ORDERS = ("as filmed", "reversed", "shuffled")
QUESTIONS = {"caption": "", "first?": "first? ", "last?": "last? "}


class TokenBudget(Explorer):
    """Frames in, always as many tokens out, and what a frozen language model says when it reads some of them.

    The state is in traits that can be read and set: `example`, `frames` (how many, evenly spread over the clip),
    `order`, `dropped` (places of frames that are not read), `tokens` (the text may read the first so many), `token`
    (whose map is shown), `layer` of the resampler, and `question`.
    """

    title = "Token budget"
    _esm = front_end("budget_draw", "budget")["_esm"]
    _css = front_end("budget_draw", "budget")["_css"]
    facts = traitlets.Dict().tag(sync=True)
    example = traitlets.Int(0).tag(sync=True)
    frames = traitlets.Int(4).tag(sync=True)
    order = traitlets.Unicode(ORDERS[0]).tag(sync=True)
    dropped = traitlets.List(traitlets.Int()).tag(sync=True)
    tokens = traitlets.Int(0).tag(sync=True)
    token = traitlets.Int(0).tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    question = traitlets.Unicode("caption").tag(sync=True)

    def __init__(self, model, clips: UInt8[np.ndarray, "b t h w 3"], texts: Sequence[str], **state):
        """Look at the first clip.

        Args:
          model: a `Flamingo` with a `Resampler`, such as the one of the recipe `captions_flamingo`; its weights as
            they are now.
          clips: B clips of T frames, at least 2.
          texts: what is to be seen in each, such as "a red star then a blue circle."
          **state: first values of the traits, such as `order="reversed"`.

        Raises:
          ValueError: another model; clips, texts or state that do not fit.
        """
        self.model, self._clips, self._texts = SeeingModel(model), np.asarray(clips), [str(text) for text in texts]
        side, shape = self.model.side, self._clips.shape
        if not shape[0] or shape[1] < 2 or shape[2:4] != (side, side) or len(self._texts) != len(self._clips):
            raise ValueError(
                f"The token budget takes at least one clip (B, T, {side}, {side}, 3) of 2 frames or more, as large as "
                f"its model reads them, and a text for each; got {shape} and {len(self._texts)} texts."
            )
        self._looks: dict[tuple, tuple[np.ndarray, list[np.ndarray]]] = {}
        state = {"tokens": self.model.num_tokens, "frames": min(4, shape[1]), **state}
        super().__init__(facts=self._facts(), **state)
        self.answer_first(self.asks())

    def _facts(self):
        count, longest = self._clips.shape[:2]
        return {
            "texts": self._texts,
            "examples": list(range(count)),
            "side": self.model.side,
            "grid": list(self.model.grid),
            "longest": longest,
            "counts": [n for n in (1, 2, 3, 4, 6, 8, 12, 16) if n < longest] + [longest],
            "own": self.model.max_frames,
            "orders": list(ORDERS),
            "questions": list(QUESTIONS),
            "num_tokens": self.model.num_tokens,
            "budgets": list(range(self.model.num_tokens + 1)),
            "colours": colour_table(),
            "saved": False,
        }

    @traitlets.validate("example", "frames", "order", "dropped", "tokens", "token", "layer", "question")
    def _valid(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        allowed = {
            "example": range(len(self._clips)),
            "frames": range(1, self._clips.shape[1] + 1),
            "order": ORDERS,
            "tokens": range(self.model.num_tokens + 1),
            "token": range(self.model.num_tokens),
            "layer": range(2**10),  # those beyond the last show the last
            "question": tuple(QUESTIONS),
        }
        wrong = [one for one in value if not 0 <= one < self._clips.shape[1]] if name == "dropped" else []
        if wrong or (name != "dropped" and value not in allowed[name]):
            raise ValueError(
                f"{name}={value!r} does not exist here: there are {len(self._clips)} clips of {self._clips.shape[1]} "
                f"frames, {self.model.num_tokens} tokens, the orders {', '.join(ORDERS)} and the questions "
                f"{', '.join(QUESTIONS)}."
            )
        return value

    def numbers(self, frames: int, order: str) -> list[int]:
        """Which frames of a clip are shown, in the order in which they are shown."""
        chosen = np.linspace(0, self._clips.shape[1] - 1, frames).round().astype(int)
        if order == "shuffled":
            chosen = chosen[np.random.default_rng(frames).permutation(frames)]
        return [int(one) for one in (chosen[::-1] if order == "reversed" else chosen)]

    def look(
        self, example: int, frames: int, order: str, dropped: Sequence[int] = ()
    ) -> tuple[Float32[np.ndarray, "r d"], list[Float32[np.ndarray, "r k"]]]:
        """Tokens and maps, see `SeeingModel.look`; kept, so that a text can be asked for again without looking.

        Raises:
          ValueError: a clip, an order or a number of frames that there is not.
        """
        if example not in range(len(self._clips)) or order not in ORDERS or not 1 <= frames <= self._clips.shape[1]:
            raise ValueError(
                f"There is no clip {example} with {frames!r} frames in the order {order!r}: this explorer has "
                f"{len(self._clips)} clips of {self._clips.shape[1]} frames, {', '.join(ORDERS)}."
            )
        key = (example, frames, order, tuple(sorted(set(dropped))))
        if key not in self._looks:
            numbers = self.numbers(frames, order)
            there = ~np.isin(np.arange(frames), list(dropped))
            self._looks[key] = self.model.look(self._clips[example][numbers], there)
        return self._looks[key]

    def say(self, tokens: int | None = None, question: str | None = None, **clip) -> Said:
        """What the model says.

        Args:
          tokens: the text may read the first so many; by default as the state has it.
          question: one of `QUESTIONS`; the same.
          **clip: arguments of `look`; the same.
        """
        tokens, question = (
            self.tokens if tokens is None else tokens,
            self.question if question is None else question,
        )
        found, _ = self.look(**{**self._clip(), **clip})
        return self.model.say(found, np.arange(self.model.num_tokens) < tokens, QUESTIONS[question])

    def _clip(self):
        return {
            "example": self.example,
            "frames": self.frames,
            "order": self.order,
            "dropped": [one for one in sorted(set(self.dropped)) if one < self.frames],
        }

    def asks(self) -> list[dict[str, Any]]:
        """What the front end asks first."""
        clip = self._clip()
        said = {"what": "say", **clip, "tokens": self.tokens, "question": self.question}
        return [{"what": "clip", "example": self.example}, {"what": "look", **clip}, said]

    def answer(self, ask: Mapping[str, Any]) -> Answer:
        """Answer the front end: clip (its frames), look (maps of every layer), say (the text)."""
        what, clip = ask.get("what"), {name: ask.get(name) for name in ("example", "frames", "order", "dropped")}
        if what == "clip":
            return {}, [self._clips[ask["example"]].tobytes()]
        if what == "look":
            _, maps = self.look(**clip)
            return {"numbers": self.numbers(clip["frames"], clip["order"])}, [one.tobytes() for one in maps]
        if what == "say":
            said = self.say(ask["tokens"], ask["question"], **clip)
            shares = [round(float(share), 4) for share in said.shares]
            return {"text": said.text, "probability": round(said.probability, 5), "shares": shares}, []
        return super().answer(ask)

    def first_frame(self) -> DescribedFigure:
        """The frames, where the tokens look, and what is said."""
        from perceiver_lab.explorers.budget_export import still

        return still(self)

    def export(self, **reduction) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
        """State and answers for a saved page: some clips, few and many frames, two orders, four budgets.

        Args:
          **reduction: `examples`; see `budget_export.reduce`.
        """
        from perceiver_lab.explorers.budget_export import reduce

        return reduce(self, **reduction)

    def __repr__(self):
        count, longest = self._clips.shape[:2]
        return f"TokenBudget({count} clips of {longest} frames, {self.model.num_tokens} tokens)"
