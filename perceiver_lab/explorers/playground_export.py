"""The query playground without Python behind it: the still picture of a notebook, and a saved page."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from perceiver_lab.explorers.base import Answer
from perceiver_lab.figures import DescribedFigure, figure, style, to_rgb

if TYPE_CHECKING:
    from perceiver_lab.explorers.playground import QueryPlayground

# Of a saved page. A power of two, and windows that move by half their sides: these numbers are exact in both languages.
LATTICE = 16  # points along each side of the picture
MOST_ZOOM = 4


def still(playground: "QueryPlayground") -> DescribedFigure:
    """The picture with the point, and the window drawn from queries beside the same pixels; the answers are told."""
    here, shape = playground.answers, playground.answers.shape
    center = playground.inner(playground.center)
    [found] = here.at(playground.example, np.array([playground.point], np.float64))
    sure = ["" if one["sure"] is None else f" ({one['sure']:.0%})" for one in found["answers"]]
    texts = [one["text"] for one in found["answers"]]
    said = ", ".join(f"{name}: {text}{share}" for name, text, share in zip(here.tasks, texts, sure, strict=True))
    row, column = playground.point
    rows, columns = here.grid
    alt = (
        f"Query playground, first frame: example {playground.example}, {shape[0]} x {shape[1]} pixels; at row {row:g}, "
        f"column {column:g} the model says {said}. Beside it the picture, {playground.zoom} times enlarged, as answers "
        f"to {playground.view} at {rows} x {columns} points, each with a query of its own."
    )
    image = to_rgb(playground.frames[playground.example, playground.frame])
    drawn = here.window(playground.example, playground.view, center, playground.zoom)
    spans = [side / playground.zoom / 2 for side in shape]
    (top, bottom), (left, right) = ((v - s, v + s) for v, s in zip(center, spans, strict=True))
    made, axes = figure(1, 3, alt=alt, size=(8.4, 3.1))
    with style():
        pictures = (image, drawn, image)
        titles = ("picture", f"{playground.view}, asked", "pixels, enlarged")
        extents = (None, (left, right, bottom, top), None)
        for ax, picture, title, extent in zip(axes[0], pictures, titles, extents, strict=True):
            ax.imshow(picture, extent=extent, interpolation="bilinear" if ax is axes[0, 2] else "nearest")
            ax.plot(column, row, "+", color="white", markersize=13, markeredgewidth=4)
            ax.plot(column, row, "+", color="black", markersize=12, markeredgewidth=1.5)
            ax.set(title=title, xticks=[], yticks=[])
        for ax in axes[0, 1:]:
            ax.set(xlim=(left, right), ylim=(bottom, top))
        if playground.zoom > 1:
            corners = [left, right, right, left, left], [top, top, bottom, bottom, top]
            axes[0, 0].plot(*corners, color="black", linewidth=3)
            axes[0, 0].plot(*corners, color="white", linewidth=1.2)
    return made


def reduce(
    playground: "QueryPlayground", *, examples: Sequence[int] | None = None
) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
    """State and answers: all tasks at 16 x 16 points, windows up to four times enlarged, one blend per example.

    Args:
      playground: what is saved.
      examples: by default the one shown and the next two.

    Raises:
      ValueError: an example that there is not.
    """
    available = playground.facts["examples"]
    if examples is None:
        examples = list(dict.fromkeys((playground.example + i) % len(available) for i in range(3)))
    if not examples or not set(examples) <= set(available):
        raise ValueError(f"examples={list(examples)} are not in this playground, which has 0 to {available[-1]}.")
    examples = sorted(int(i) for i in examples)
    zooms = [zoom for zoom in playground.facts["zooms"] if zoom <= MOST_ZOOM]
    facts = {**playground.facts, "examples": examples, "zooms": zooms, "lattice": LATTICE}
    shape, zoom = playground.answers.shape, min(playground.zoom, MOST_ZOOM)
    state = playground.state() | {
        "facts": facts,
        "example": playground.example if playground.example in examples else examples[0],
        "zoom": zoom,
        "point": [_nearest(v, _points(side)) for v, side in zip(playground.point, shape, strict=True)],
        "center": [_nearest(v, _centers(side, zoom)) for v, side in zip(playground.center, shape, strict=True)],
    }
    answers = []
    for example in examples:
        asks = [{"what": "picture", "example": example, "frame": frame} for frame in range(facts["frames"])]
        asks += _windows(playground, zooms, example)
        asks.append({**playground.asks()[-1], "example": example})
        answers += [(ask, playground.answer(ask)) for ask in asks] + _at_points(playground, example)
    return state, answers


def _windows(playground, zooms, example):
    tasks = [name for name, task in playground.answers.tasks.items() if task.at_point]
    rows, columns = playground.answers.shape
    return [
        {"what": "window", "example": example, "task": task, "center": [row, column], "zoom": zoom}
        for zoom in zooms
        for row in _centers(rows, zoom)
        for column in _centers(columns, zoom)
        for task in tasks
    ]


def _at_points(playground, example):
    rows, columns = (_points(side) for side in playground.answers.shape)
    points = [[row, column] for row in rows for column in columns]
    found = playground.answers.at(example, np.array(points, np.float64))
    return [
        (
            {"what": "point", "example": example, "point": point},
            ({"answers": one["answers"]}, [one["weights"].tobytes()]),
        )
        for point, one in zip(points, found, strict=True)
    ]


def _points(side):
    return _exact((i + 0.5) * side / LATTICE - 0.5 for i in range(LATTICE))


def _centers(side, zoom):
    """Windows of a zoom overlap by half."""
    return _exact(side * (k + 1) / (2 * zoom) - 0.5 for k in range(2 * zoom - 1))


def _exact(values):
    return [int(v) if float(v).is_integer() else float(v) for v in values]


def _nearest(value, lattice):
    return min(lattice, key=lambda v: abs(v - value))
