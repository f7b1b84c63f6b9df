"""ShuffleDial: shuffle the pixels, with their positions or without, and watch which models notice."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from jaxtyping import Int, Num

from perceiver_lab.explorers.base import Answer, Explorer, front_end, png_bytes
from perceiver_lab.figures import COLOURS, DescribedFigure, figure, style, to_rgb

Predict = Callable[[np.ndarray, np.ndarray | None], Any]
EXPORT_STEP = 10


class ShuffleDial(Explorer):
    """A dial from 0 to 100 % of the pixels shuffled; traits `example`, `strength`, `along` (positions move along)."""

    title = "Shuffle dial"
    _esm = front_end("shuffle")["_esm"]
    _css = front_end("shuffle")["_css"]
    facts = traitlets.Dict().tag(sync=True)
    example = traitlets.Int(0).tag(sync=True)
    strength = traitlets.Int(0).tag(sync=True)
    along = traitlets.Bool(True).tag(sync=True)

    def __init__(
        self,
        images: Num[np.ndarray, "b h w c"],
        labels: Sequence[int] | Int[np.ndarray, " b"],
        predict: Mapping[str, Predict],
        *,
        class_names: Sequence[str] | None = None,
        seed: int = 0,
        shown: int = 8,
        **state,
    ):
        """Ask every model once, unshuffled.

        Args:
          images: (B, H, W, channels), as the models take them; all are predicted, for the counts of right answers.
          labels: (B,) right classes.
          predict: name -> function (images (B, H, W, channels), positions (B, H * W, 2) or None) -> logits (B, K). One
            that takes no positions ignores them; None stands for each pixel's place in the image it is given.
          class_names: by default the numbers.
          seed: of the permutation.
          shown: so many of the images can be chosen.
          **state: first values of the traits.

        Raises:
          ValueError: no image, no model, not one label per image, or logits of another shape.
        """
        self._images, self._labels = np.asarray(images), np.asarray(labels)
        if self._images.ndim != 4 or not self._images.size or self._labels.shape != self._images.shape[:1]:
            raise ValueError(
                f"images must be (B, H, W, channels) with one label each; got shapes {self._images.shape} and "
                f"{self._labels.shape}."
            )
        if not predict:
            raise ValueError("There is no model to ask: predict={'Perceiver': function, ...} names at least one.")
        self._predict, self._count = dict(predict), min(shown, len(self._images))
        height, width = self._images.shape[1:3]
        rng = np.random.default_rng(seed)
        self._order = rng.permutation(height * width)
        grid = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
        self._grid = np.stack(grid, -1).reshape(-1, 2).astype(np.float32)
        self._logits = functools.lru_cache(64)(self._ask_models)
        classes = {name: logits.shape[-1] for name, logits in self._logits(0, True).items()}
        names = [str(n) for n in (range(max(classes.values())) if class_names is None else class_names)]
        if set(classes.values()) != {len(names)} or not 0 <= self._labels.min() <= self._labels.max() < len(names):
            raise ValueError(
                f"{len(names)} class names do not fit: models predict {classes}, labels {self._labels[:8]}."
            )
        facts = {
            "shape": [height, width],
            "examples": list(range(self._count)),
            "labels": [int(label) for label in self._labels[: self._count]],
            "class_names": names,
            "models": list(self._predict),
            "total": len(self._images),
            "step": 1,
        }
        super().__init__(facts=facts, **state)
        now = {"strength": self.strength, "along": self.along, "example": self.example}
        self.answer_first([{"what": "shuffle", **now}])

    @traitlets.validate("example", "strength")
    def _valid(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        most = self._count - 1 if name == "example" else 100
        if not 0 <= value <= most:
            raise ValueError(f"{name}={value} is out of range: it may be 0 to {most} here.")
        return value

    def permutation(self, strength: int) -> Int[np.ndarray, " m"]:
        """Which pixel comes to each place: `strength` percent of the places, always the same first, trade theirs."""
        moved = self._order[: round(len(self._order) * strength / 100)]
        permutation = np.arange(len(self._order))
        permutation[moved] = np.roll(moved, 1)
        return permutation

    def shuffled(self, strength: int) -> Num[np.ndarray, "b h w c"]:
        """All images with so many percent of their pixels moved."""
        flat = self._images.reshape(len(self._images), -1, self._images.shape[-1])
        return flat[:, self.permutation(strength)].reshape(self._images.shape)

    def _ask_models(self, strength, along):
        images = self.shuffled(strength)
        positions = None
        if along:
            positions = np.repeat(self._grid[self.permutation(strength)][None], len(images), axis=0)
        logits = {name: np.asarray(call(images, positions), np.float64) for name, call in self._predict.items()}
        for name, values in logits.items():
            if values.ndim != 2 or len(values) != len(images):
                raise ValueError(f"The model {name!r} must give logits ({len(images)}, K); they are {values.shape}.")
        return logits

    def results(self, strength: int, along: bool, example: int) -> list[dict[str, Any]]:
        """Of each model: probabilities on one example, how many of all examples are right, and how far logits moved.

        The largest logit difference is over all examples and classes, against the same model without shuffling.
        """
        found = []
        for name, logits in self._logits(strength, along).items():
            exponentials = np.exp(logits[example] - logits[example].max())
            found.append(
                {
                    "name": name,
                    "probabilities": [float(p) for p in exponentials / exponentials.sum()],
                    "right": int((logits.argmax(-1) == self._labels).sum()),
                    "moved": float(np.abs(logits - self._logits(0, True)[name]).max()),
                }
            )
        return found

    def answer(self, ask: Mapping[str, Any]) -> Answer:
        """Answer the front end: the shuffled picture, the original, and the models' results."""
        if ask.get("what") != "shuffle":
            return super().answer(ask)
        strength, along, example = ask["strength"], ask["along"], ask["example"]
        pictures = [png_bytes(to_rgb(images[example])) for images in (self.shuffled(strength), self._images)]
        return {"models": self.results(strength, along, example)}, pictures

    def export(self) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
        """State and answers of a saved page: the dial in steps of 10 %."""
        state = self.state()
        state["facts"] = {**self.facts, "step": EXPORT_STEP}
        state["strength"] = round(self.strength / EXPORT_STEP) * EXPORT_STEP
        asks = [
            {"what": "shuffle", "strength": strength, "along": along, "example": example}
            for example in range(self._count)
            for strength in range(0, 101, EXPORT_STEP)
            for along in (False, True)
        ]
        return state, [(ask, self.answer(ask)) for ask in asks]

    def first_frame(self) -> DescribedFigure:
        """Original, shuffled picture, and each model's probability for the right class."""
        results = self.results(self.strength, self.along, self.example)
        label = int(self._labels[self.example])
        values = [result["probabilities"][label] for result in results]
        names = self.facts["class_names"]
        said = ", ".join(f"{r['name']} {v:.2f}" for r, v in zip(results, values, strict=True))
        alt = (
            f"Shuffle dial, first frame: a picture of class {names[label]} with {self.strength} % of its pixels "
            f"shuffled, positions {'moved along' if self.along else 'left behind'}. "
            f"Probability of the right class: {said}."
        )
        made, axes = figure(1, 3, alt=alt, size=(8.2, 2.7), width_ratios=(1, 1, 1.2))
        with style():
            pictures = (self._images[self.example], self.shuffled(self.strength)[self.example])
            for ax, picture, title in zip(axes[0], pictures, ("original", f"{self.strength} % shuffled"), strict=False):
                ax.imshow(to_rgb(picture))
                ax.set(title=title, xticks=[], yticks=[])
            axes[0, 2].barh(range(len(values)), values, color=COLOURS[0])
            axes[0, 2].set_yticks(range(len(values)), [result["name"] for result in results])
            axes[0, 2].set(title=f"probability of {names[label]}", xlim=(0, 1), ylim=(len(values) - 0.4, -0.6))
        return made

    def __repr__(self):
        height, width = self.facts["shape"]
        return f"ShuffleDial({self.facts['total']} images of {height} x {width}, models: {', '.join(self._predict)})"
