"""Point clouds as pictures: seen from one side, the nearer a point, the larger and brighter."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from perceiver_lab.figures.style import COLOURS, SEQUENTIAL, DescribedFigure, drawn, figure

# Where the eye is: somewhat to the right and above, so that no face of an upright box is seen edge on.
_RIGHT = np.array([0.8, -0.6, 0.0])
_UP = np.array([-0.24, -0.32, 0.92])
_TOWARDS = np.cross(_RIGHT, _UP)


@drawn
def point_clouds(
    clouds: Sequence[Float[np.ndarray, "_ 3"]] | Float[np.ndarray, "n m 3"],
    *,
    titles: Sequence[str] = (),
    marked: Sequence[Int[np.ndarray, "_"]] = (),
    columns: int = 5,
    alt: str | None = None,
) -> DescribedFigure:
    """Clouds side by side, each on its own scale.

    Args:
      clouds: points (x, y, z) of each.
      titles: one for each.
      marked: for each cloud, the numbers of the points to be drawn large; the others are then pale.
      columns: at most so many in a row.
      alt: by default, how many clouds there are, and their titles.

    Raises:
      ValueError: no cloud, or not one title and one list of numbers for each where there are any.
    """
    count = len(clouds)
    if count == 0 or {len(titles), len(marked)} - {0, count}:
        raise ValueError(
            f"Give at least one cloud, and a title and a list of marked points for each or for none; got {count} "
            f"clouds, {len(titles)} titles and {len(marked)} lists."
        )
    alt = alt or f"{count} point clouds: {', '.join(titles) or 'without titles'}."
    columns = min(columns, count)
    rows = -(-count // columns)
    made, axes = figure(rows, columns, alt=alt, size=(min(10.0, 2.0 * columns), 2.15 * rows))
    for number, ax in enumerate(axes.flat):
        ax.set(xticks=[], yticks=[], aspect="equal")
        ax.spines[:].set_visible(False)
        if number < count:
            _draw(ax, np.asarray(clouds[number]), marked[number] if marked else None)
            ax.set_title(titles[number] if titles else "", fontsize=8, fontweight="normal", loc="center")
    return made


def _draw(ax, points, marked):
    x, y, near = (points @ axis for axis in (_RIGHT, _UP, _TOWARDS))
    order = np.argsort(near)  # the nearest are drawn last
    if marked is None:
        sizes = np.linspace(1.5, 7, len(points))
        ax.scatter(x[order], y[order], c=near[order], cmap=SEQUENTIAL, s=sizes, linewidths=0)
        return
    ax.scatter(x[order], y[order], c="#b8bcc4", s=2, linewidths=0)
    ax.scatter(x[marked], y[marked], c=COLOURS[1], s=9, marker="o", edgecolors="#333333", linewidths=0.3)
