"""QueryPlayground: ask a Perceiver IO anything, anywhere: at a point, between pixels, and between two questions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from jaxtyping import Num

from perceiver_lab.explorers.base import Answer, Explorer, colour_table, front_end, png_bytes
from perceiver_lab.explorers.playground_answers import STEPS, Answers
from perceiver_lab.explorers.playground_model import QueryModel, Read
from perceiver_lab.explorers.playground_tasks import Task, hexadecimal, palette
from perceiver_lab.figures import DescribedFigure, to_rgb, wheel_rgb

ZOOMS = (1, 2, 4, 8, 16)
LEAST_PIXELS = 3  # along each side of a window
GRAIN = 64  # points lie on 64ths of a pixel, which Python and the browser write down alike
WHEEL = 33  # pixels of the legend of a flow


class QueryPlayground(Explorer):
    """Questions to the latents of one picture.

    The state is in traits that can be read and set: `example`, `frame` (of pictures with several), `task` (the question
    that is looked at), `view` (the one that windows are drawn of), `point` and `center` (row and column, whole at the
    middles of pixels), `zoom`, `first` and `second` ([task, row, column]), and `blend`, from 0 (first) to 1 (second).
    """

    title = "Query playground"
    _esm = front_end("playground_draw", "playground")["_esm"]
    _css = front_end("playground_draw", "playground")["_css"]
    facts = traitlets.Dict().tag(sync=True)
    example = traitlets.Int(0).tag(sync=True)
    frame = traitlets.Int(0).tag(sync=True)
    task = traitlets.Unicode("").tag(sync=True)
    view = traitlets.Unicode("").tag(sync=True)
    point = traitlets.List(traitlets.Float()).tag(sync=True)
    center = traitlets.List(traitlets.Float()).tag(sync=True)
    zoom = traitlets.Int(1).tag(sync=True)
    first = traitlets.List().tag(sync=True)
    second = traitlets.List().tag(sync=True)
    blend = traitlets.Float(0.0).tag(sync=True)

    def __init__(
        self,
        model,
        images: Num[np.ndarray, "b ..."],
        tasks: Sequence[Task],
        *,
        inputs: Num[np.ndarray, "b ..."] | None = None,
        truth: Mapping[str, Num[np.ndarray, "b ..."]] | None = None,
        read: Read | None = None,
        **state,
    ):
        """Read the first example and ask.

        Args:
          model: a `PerceiverIO`; its weights as they are now.
          images: what is shown, (B, H, W, 1 or 3), or (B, frames, H, W, 1 or 3).
          tasks: what it can be asked; each has the name of a group of its queries.
          inputs: what the model reads, if not the images; uint8 images are scaled as in `datasets.to_float`.
          truth: task -> right answers: classes (B,) or (B, H, W), colours as pictures, flows (B, H, W, 2).
          read: for a model that reads otherwise than `model.encode(model.embed(x))`, such as some of the pixels: a
            function of (model, x) -> inputs (1, M, C), for queries that are made of them, and latents (1, N, D).
          **state: first values of the traits, such as `zoom=4`.

        Raises:
          ValueError: images, tasks, truth or state that do not fit each other or the model.
        """
        images = np.asarray(images)
        if images.ndim not in (4, 5) or not images.size:
            raise ValueError(
                f"images must be (B, H, W, channels) or (B, frames, H, W, channels), at least one; got {images.shape}."
            )
        self.frames = images if images.ndim == 5 else images[:, None]
        inputs = _scaled(images) if inputs is None else np.asarray(inputs)
        if len(inputs) != len(images):
            raise ValueError(f"There are {len(images)} images but {len(inputs)} inputs: give one of each per example.")
        right = {name: np.asarray(values) for name, values in ({} if truth is None else truth).items()}
        self.answers = Answers(QueryModel(model, inputs, self.frames.shape[2:4], read), tasks, right, len(images))
        super().__init__(facts=self._facts(), **(self._defaults(state) | state))
        self.answer_first(self.asks())
        for name, task in self.answers.tasks.items():
            if task.at_point:  # compiled now: whoever chooses it later need not wait
                self.answers.window(self.example, name, self.center, self.zoom)

    def _facts(self):
        tasks, shape = self.answers.tasks, self.answers.shape
        kinds = {
            name: {
                "kind": task.kind,
                "classes": list(task.classes),
                "colours": _hex_palette(task),
                "at_point": task.at_point,
                "between": self.answers.model.between(self.answers.group(name)),
            }
            for name, task in tasks.items()
        }
        return {
            "shape": list(shape),
            "window": list(self.answers.grid),
            "examples": list(range(len(self.frames))),
            "frames": self.frames.shape[1],
            "tasks": list(tasks),
            "kinds": kinds,
            "zooms": [zoom for zoom in ZOOMS if zoom == 1 or min(shape) / zoom >= LEAST_PIXELS],
            "steps": STEPS,
            "has_truth": bool(self.answers.truth),
            "lattice": 0,
            "colours": colour_table(),
            "wheel": _wheel() if any(task.kind == "flow" for task in tasks.values()) else "",
        }

    def _defaults(self, state):
        tasks, shape = self.answers.tasks, self.answers.shape
        at_points = [name for name, task in tasks.items() if task.at_point]
        view = state["task"] if state.get("task") in at_points else at_points[0]
        ends = [[at_points[0], *(grained(share * (side - 1)) for side in shape)] for share in (0.25, 0.75)]
        point = list(state.get("point", [grained((side - 1) / 2) for side in shape]))
        return {"task": view, "view": view, "point": point, "center": point, "first": ends[0], "second": ends[1]}

    @traitlets.validate("example", "frame", "task", "view", "point", "center", "zoom", "first", "second", "blend")
    def _valid(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        tasks, shape = self.answers.tasks, self.answers.shape

        def inside(place):
            return len(place) == 2 and all(-0.5 <= v <= s - 0.5 for v, s in zip(place, shape, strict=True))

        def question():
            return len(value) == 3 and value[0] in tasks and inside(value[1:])

        allowed = {
            "example": lambda: 0 <= value < len(self.frames),
            "frame": lambda: 0 <= value < self.frames.shape[1],
            "task": lambda: value in tasks,
            "view": lambda: value in tasks and tasks[value].at_point,
            "point": lambda: inside(value),
            "center": lambda: inside(value),
            "zoom": lambda: value in self.facts["zooms"],
            "blend": lambda: 0 <= value <= 1,
        }
        if not allowed.get(name, question)():
            raise ValueError(
                f"{name}={value!r} is not in this playground: it has {len(self.frames)} examples of "
                f"{self.frames.shape[1]} frames, the tasks {', '.join(tasks)} (a view is one at points), rows from "
                f"-0.5 to {shape[0] - 0.5}, columns from -0.5 to {shape[1] - 0.5}, the zooms "
                f"{', '.join(map(str, self.facts['zooms']))}, and blends from 0 to 1."
            )
        return value

    def asks(self) -> list[dict[str, Any]]:
        """The four questions whose answers are shown in the present state."""
        here = {"example": self.example}
        return [
            {"what": "picture", "frame": self.frame, **here},
            {"what": "point", "point": plain(self.point), **here},
            {"what": "window", "task": self.view, "center": self.inner(self.center), "zoom": self.zoom, **here},
            {"what": "blend", "first": plain(self.first), "second": plain(self.second), **here},
        ]

    def inner(self, center: Sequence[int | float]) -> list[int | float]:
        """The center moved so far that its window lies on the picture."""
        halves = [side / self.zoom / 2 for side in self.answers.shape]
        moved = (
            min(max(v, half - 0.5), side - 0.5 - half)
            for v, half, side in zip(center, halves, self.answers.shape, strict=True)
        )
        return plain(moved)

    def answer(self, ask: Mapping[str, Any]) -> Answer:
        """Answer the front end: picture, point (all tasks there), window, blend (all steps of it)."""
        what, example = ask.get("what"), ask.get("example", 0)
        if what == "picture":
            return {}, [png_bytes(to_rgb(self.frames[example, ask["frame"]]))]
        if what == "point":
            [found] = self.answers.at(example, np.array([ask["point"]], np.float64))
            return {"answers": found["answers"]}, [found["weights"].tobytes()]
        if what == "window":
            drawn = self.answers.window(example, ask["task"], ask["center"], ask["zoom"])
            return {"scale": self.answers.scale(example, ask["task"])}, [png_bytes(drawn)]
        if what == "blend":
            return {"strips": self.answers.path(example, ask["first"], ask["second"])}, []
        return super().answer(ask)

    def first_frame(self) -> DescribedFigure:
        """The picture, the window drawn from queries, and the answers at the point."""
        from perceiver_lab.explorers.playground_export import still

        return still(self)

    def export(self, **reduction) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
        """State and answers for a saved page: points and windows on lattices, and one blend.

        Args:
          **reduction: `examples`; see `playground_export.reduce`.
        """
        from perceiver_lab.explorers.playground_export import reduce

        return reduce(self, **reduction)

    def __repr__(self):
        height, width = self.answers.shape
        tasks = ", ".join(self.answers.tasks)
        return f"QueryPlayground({len(self.frames)} examples of {height} x {width}, tasks: {tasks})"


def plain(values) -> list[Any]:
    """Whole numbers without a decimal point, as the browser writes them."""
    return [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]


def grained(value: float) -> float:
    """The nearest 64th of a pixel."""
    return round(value * GRAIN) / GRAIN


def _hex_palette(task):
    if task.kind != "classes":
        return []
    return hexadecimal(np.rint(palette(len(task.classes)) * 255).astype(np.uint8))


def _scaled(images):
    if images.dtype != np.uint8:
        return images
    from perceiver_lab.datasets import to_float

    return np.stack([to_float({"image": image})["image"] for image in images])


def _wheel():
    """The colours of a flow around a point, as the text of a PNG's URL."""
    import base64

    return f"data:image/png;base64,{base64.b64encode(png_bytes(wheel_rgb(WHEEL))).decode()}"
