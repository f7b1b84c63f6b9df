"""What a Perceiver IO is asked, as pictures: the model, the points that queries stand for, labels at pixels."""

import matplotlib
import numpy as np
from jaxtyping import Integer, UInt8

from perceiver_lab.figures.diagrams import BLUE, GREEN, ORANGE, PINK, arrow, box
from perceiver_lab.figures.style import COLOURS, DescribedFigure, bare, drawn, figure


@drawn
def perceiver_io_diagram(
    *, num_inputs: int = 2304, num_latents: int = 32, num_queries: int = 40000, num_layers: int = 4
) -> DescribedFigure:
    """Perceiver IO (2107.14795, figure 2): read once, think, and answer as many queries as there are.

    Args:
      num_inputs: M.
      num_latents: N.
      num_queries: O.
      num_layers: self-attention layers on the latents.
    """
    m, o = (f"{number:,}".replace(",", "\u2009") for number in (num_inputs, num_queries))
    alt = (
        f"Perceiver IO. {num_latents} latents read {num_inputs:,} inputs by cross-attention, once, and work on "
        f"themselves in {num_layers} self-attention layers. Then one more cross-attention, the decoder, in which "
        f"{num_queries:,} queries ask and the latents answer: one output per query. Reading costs M times N, the "
        "decoder O times N."
    )
    made, axes = figure(1, 1, alt=alt, size=(9.8, 3.9))
    ax = axes[0, 0]
    bare(ax)
    box(ax, 0.9, 2.75, 2.7, 0.75, ORANGE, f"inputs   {m} × C")
    box(ax, -0.9, 0.35, 1.2, 0.9, BLUE, f"latents\n{num_latents} × D")
    box(ax, 0.9, 0.3, 1.15, 1.0, PINK, "encoder:\ncross-\nattention")
    box(ax, 2.75, 0.3, 1.1, 1.0, BLUE, f"{num_layers} ×\nself-att.")
    box(ax, 4.85, 0.35, 1.2, 0.9, BLUE, f"latents\n{num_latents} × D")
    box(ax, 7.3, 0.3, 1.15, 1.0, PINK, "decoder:\ncross-\nattention")
    box(ax, 6.3, 2.75, 3.15, 0.75, GREEN, f"queries   {o} × E\n(whatever you ask)")
    box(ax, 9.75, 0.35, 1.5, 0.9, GREEN, f"outputs\n{o} × K")
    arrow(ax, (1.47, 2.75), (1.47, 1.3), "keys, values")
    arrow(ax, (7.87, 2.75), (7.87, 1.3), "who asks")
    arrow(ax, (6.05, 0.8), (7.3, 0.8))
    ax.text(6.67, 0.95, "keys,\nvalues", fontsize=8.5, ha="center", va="bottom")
    for start, end in ((0.3, 0.9), (2.05, 2.75), (3.85, 4.85), (8.45, 9.75)):
        arrow(ax, (start, 0.8), (end, 0.8))
    costs = ((0.9, "M · N, once", "#8a3d73"), (2.75, "N · N", "#00527f"), (7.3, "O · N", "#8a3d73"))
    for x, text, colour in costs:
        ax.text(x, -0.1, text, color=colour, fontsize=10, va="top", fontweight="bold")
    ax.set_xlim(-1.1, 11.5)
    ax.set_ylim(-0.6, 3.65)
    return made


@drawn
def query_points(num_cells: int = 6) -> DescribedFigure:
    """Two answers to "where is cell i of d": on the whole grid, and as the release computes it for selected cells.

    Args:
      num_cells: d, along each side.

    Raises:
      ValueError: fewer than two cells, which have nothing between them.
    """
    if num_cells < 2:
        raise ValueError(f"num_cells={num_cells}: two grids differ from two cells on.")
    whole, selected = np.linspace(-1, 1, num_cells), -1 + 2 * np.arange(num_cells) / num_cells
    alt = (
        f"Coordinates of {num_cells} x {num_cells} cells, twice. On the whole grid they run from -1 to 1; computed as "
        f"-1 + 2 i / {num_cells} they run from -1 to {selected[-1]:.2f}. A line joins each cell's two places: they "
        "agree for the first cell and are the farther apart the nearer the last row and column are."
    )
    made, axes = figure(1, 1, alt=alt, size=(5.6, 4.4))
    ax = axes[0, 0]
    places = {"whole grid": whole, "selected cells, release": selected}
    looks = ({"marker": "o", "color": BLUE, "s": 46}, {"marker": "s", "color": ORANGE, "s": 46, "facecolors": "none"})
    grids = [np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2) for axis in places.values()]
    for (x, y), (x2, y2) in zip(*grids, strict=True):
        ax.annotate("", (x2, y2), (x, y), arrowprops={"arrowstyle": "-", "color": "#888888", "linewidth": 1})
    for name, points, look in zip(places, grids, looks, strict=True):
        ax.scatter(*points.T, label=name, linewidths=1.6, **look)
    ax.set(xlabel="x", ylabel="y", xticks=(-1, 0, 1), yticks=(-1, 0, 1), xlim=(-1.12, 1.12), ylim=(1.12, -1.12))
    ax.set_aspect("equal")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=2, fontsize=9)
    return made


def labels_to_rgb(labels: Integer[np.ndarray, "*grid"]) -> UInt8[np.ndarray, "*grid 3"]:
    """Labels as colours, in the order of `COLOURS`: the same as in the query playground.

    Args:
      labels: 0 to 6.

    Raises:
      ValueError: a label beyond the colours.
    """
    if labels.size and not 0 <= labels.min() <= labels.max() < len(COLOURS):
        raise ValueError(f"Labels must be 0 to {len(COLOURS) - 1}; these go from {labels.min()} to {labels.max()}.")
    table = np.array([matplotlib.colors.to_rgb(colour) for colour in COLOURS])
    return np.rint(255 * table).astype(np.uint8)[labels]
