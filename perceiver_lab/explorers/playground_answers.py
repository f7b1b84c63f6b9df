"""What the query playground says: answers at points, windows drawn from queries, and blends of two queries."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Num, UInt8

from perceiver_lab.explorers.playground_model import QueryModel, window_shape
from perceiver_lab.explorers.playground_tasks import Task, hexadecimal
from perceiver_lab.figures import to_rgb

STEPS = 33  # from one query to another

Points = Num[np.ndarray, "o 2"]
Question = Sequence[Any]  # task, row, column


class Answers:
    """The tasks of one model, asked about its examples."""

    def __init__(self, model: QueryModel, tasks: Sequence[Task], truth: Mapping[str, np.ndarray], examples: int):
        """Check that all fits.

        Args:
          model: the examples are its.
          tasks: see `Task`.
          truth: see `QueryPlayground`.
          examples: how many there are.

        Raises:
          ValueError: tasks, or truth, that the model does not have.
        """
        self.model, self.shape, self.truth = model, model.shape, dict(truth)
        self.tasks = {task.name: task for task in tasks}
        self.grid = window_shape(self.shape)
        self.scale = functools.lru_cache(64)(self._scale)
        self._check(tasks, examples)

    def _check(self, tasks, examples):
        groups, grouped = self.model.groups, None not in self.model.groups
        unknown = sorted(set(self.tasks) - set(groups)) if grouped else []
        if not tasks or len(self.tasks) < len(tasks) or unknown or (not grouped and len(tasks) > 1):
            raise ValueError(
                f"The tasks {[task.name for task in tasks]} do not fit this model, whose queries are "
                f"{sorted(groups) if grouped else 'of one kind'}: name each group at most once, and at least one."
            )
        if not any(task.at_point for task in tasks):
            raise ValueError("No task is asked at points, so nothing can be drawn: give one with at_point=True.")
        for task in tasks:
            count = self.model.num_queries(self.group(task.name))
            if not task.at_point and count != 1:
                raise ValueError(f"The task {task.name!r} has at_point=False but {count} queries: one is expected.")
        for name, values in self.truth.items():
            at_point = name in self.tasks and self.tasks[name].at_point
            expected = (examples, *self.shape) if at_point else (examples,)
            if name not in self.tasks or values.shape[: len(expected)] != expected:
                raise ValueError(
                    f"truth[{name!r}] has shape {values.shape}; it must be of one of the tasks {list(self.tasks)}, "
                    f"with one entry per example and, of a task at points, per pixel: here {expected} first."
                )

    def group(self, name: str) -> str | None:
        """The group of queries of a task."""
        return None if None in self.model.groups else name

    def at(self, example: int, points: Points) -> list[dict[str, Any]]:
        """What every task says at each of some points, and which latents answered: one entry per point.

        Each has "answers", a list over tasks of what is said, and "weights" (tasks, N) float32.
        """
        asked = [self._queries(example, name, points) for name in self.tasks]
        ends = np.cumsum([0, *map(len, asked)])
        rows, weights = self.model.answer_few(example, np.concatenate(asked))
        found = {}
        for name, start, stop in zip(self.tasks, ends[:-1], ends[1:], strict=True):
            found[name] = self.tasks[name].values(rows[self.group(name)][start:stop]), weights[start:stop]
        result = []
        for i, point in enumerate(points):
            here = {name: tuple(part[min(i, len(part) - 1)] for part in both) for name, both in found.items()}
            said = [self._say(example, name, value, point) for name, (value, _) in here.items()]
            result.append({"answers": said, "weights": np.float32([looked for _, looked in here.values()])})
        return result

    def window_points(self, center: Sequence[int | float], zoom: int) -> Points:
        """Where a window asks, row by row: evenly spread over the picture's share around a center."""
        axes = []
        for middle, side, count in zip(center, self.shape, self.grid, strict=True):
            span = side / zoom
            start = min(max(middle - span / 2, -0.5), side - 0.5 - span)
            axes.append(start + (np.arange(count) + 0.5) * span / count)
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)

    def window(self, example: int, name: str, center: Sequence[int | float], zoom: int) -> UInt8[np.ndarray, "h w 3"]:
        """A task's answers over a part of the picture, in colours; every pixel was asked for by itself."""
        values = self._values_at(example, name, self.window_points(center, zoom))
        return self.tasks[name].colours(values, self.scale(example, name)).reshape(*self.grid, 3)

    def path(self, example: int, first: Question, second: Question) -> list[dict[str, Any]]:
        """The answers to queries blended from one question to another, read as answers to either.

        Where both are the same task at two points, also what is said at the points between: that is another thing.
        """
        ends = [(name, np.array([place], np.float64)) for name, *place in (first, second)]
        queries = [self._queries(example, name, place) for name, place in ends]
        share = np.linspace(0, 1, STEPS)[:, None]
        blended = (1 - share) * queries[0] + share * queries[1]
        rows, _ = self.model.answer_few(example, blended.astype(np.float32))
        names = dict.fromkeys((first[0], second[0]))
        strips = [self._strip(example, name, rows, f"Blended, read as {name}") for name in names]
        if len(names) == 1 and self.tasks[first[0]].at_point:
            points = (1 - share) * ends[0][1] + share * ends[1][1]
            rows, _ = self.model.answer_few(example, self._queries(example, first[0], points))
            strips.append(self._strip(example, first[0], rows, f"Asked on the line from A to B: {first[0]}"))
        return strips

    def _queries(self, example, name, points):
        return self.model.queries(example, self.group(name), points if self.tasks[name].at_point else None)

    def _values_at(self, example, name, points):
        return self.tasks[name].values(self.model.answer_many(example, self.group(name), points))

    def _scale(self, example, name):
        """The greatest speed in the picture, in pixels: that of full colour. 1 where nothing moves by its kind."""
        if self.tasks[name].kind != "flow":
            return 1.0
        flow = self._values_at(example, name, self.window_points((0, 0), 1))
        return float(max(np.hypot(flow[:, 0], flow[:, 1]).max(), 1e-6))

    def _say(self, example, name, value, point):
        task, true = self.tasks[name], self._true(example, name, point)
        sure = task.sure(value)
        return {
            "text": task.say(value),
            "sure": None if sure is None else round(sure, 4),
            "colour": hexadecimal(task.colours(value[None], self.scale(example, name)))[0],
            "bars": [[title, round(v, 4), text, mark] for title, v, text, mark in task.bars(value, true)],
            "vector": [round(float(v), 3) for v in value] if task.kind == "flow" else None,
            "true": None if true is None else task.say(true),
        }

    def _true(self, example, name, point):
        """The right answer as values, at the pixel that the point lies in."""
        if name not in self.truth:
            return None
        task, right = self.tasks[name], self.truth[name][example]
        if task.at_point:
            row, column = (min(int(v + 0.5), side - 1) for v, side in zip(point, self.shape, strict=True))
            if task.kind == "colour":
                return to_rgb(right)[row, column] / 255
            right = right[row, column]
        return (
            np.asarray(right, np.float64) if task.kind == "flow" else np.eye(len(task.classes))[int(np.squeeze(right))]
        )

    def _strip(self, example, name, rows, label):
        task = self.tasks[name]
        values = task.values(rows[self.group(name)])
        sure = [task.sure(value) for value in values]
        return {
            "label": label,
            "colours": hexadecimal(task.colours(values, self.scale(example, name))),
            "texts": [task.say(value) for value in values],
            "sure": [None if s is None else round(s, 4) for s in sure],
        }
