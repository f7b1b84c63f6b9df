"""Why did it say that: which way each kind of map goes through a Perceiver, and such maps beside each other."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Num
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from perceiver_lab.figures.diagrams import BLUE, GREEN, ORANGE, PINK, arrow, box
from perceiver_lab.figures.images import overlay, to_rgb
from perceiver_lab.figures.style import SIGNED, DescribedFigure, bare, drawn, figure, signed_limits

WAYS = (
    ("raw map", "the weights of one read, and nothing after it", 3.0, False),
    ("rollout", "the weights of all layers multiplied; values, MLPs and signs are left out", 8.15, False),
    ("gradient", "from the logit back through everything, for a change too small to see", 10.0, True),
    ("occlusion", "take a pixel away, run everything again, see what the logit loses", 10.0, False),
)


@drawn
def ways_to_look() -> DescribedFigure:
    """A Perceiver of two reads as a line of parts, and below it how far each kind of map follows the pixels."""
    told = "; ".join(f"{name}: {says}" for name, says, *_ in WAYS)
    alt = (
        "A Perceiver from left to right: pixels, a first read, latent layers, a second read, latent layers, their "
        f"mean, a logit. Below, four lines, each along the parts that a map takes into account. {told}."
    )
    made, axes = figure(1, 1, alt=alt, size=(9.8, 4.1))
    ax = axes[0, 0]
    bare(ax)
    parts = (
        (0.0, 1.1, ORANGE, "pixels"),
        (2.0, 1.0, PINK, "read 0"),
        (3.5, 1.3, BLUE, "latent\nlayers"),
        (5.3, 1.0, PINK, "read 1"),
        (6.85, 1.3, BLUE, "latent\nlayers"),
        (8.7, 1.3, GREEN, "mean,\nlogit"),
    )
    for x, width, colour, text in parts:
        box(ax, x, 3.1, width, 0.85, colour, text)
    for (x, width, *_), (to, *_) in itertools.pairwise(parts):
        arrow(ax, (x + width, 3.52), (to, 3.52))
    ax.plot((0.55, 0.55, 5.8), (3.95, 4.35, 4.35), color="#333333", linewidth=1.3)
    arrow(ax, (5.8, 4.35), (5.8, 3.95))
    for row, (name, says, end, back) in enumerate(WAYS):
        y = 2.4 - 0.72 * row
        arrow(ax, *(((end, y), (0.55, y)) if back else ((0.55, y), (end, y))))
        ax.text(0.4, y, name, ha="right", va="center", fontweight="bold")
        ax.text(0.6, y - 0.08, says, va="top", fontsize=9)
    ax.set(xlim=(-1.3, 10.2), ylim=(-0.25, 4.55))
    return made


@drawn
def explanations(
    images: Num[np.ndarray, "r h w c"],
    maps: Mapping[str, Float[np.ndarray, "r h w"]],
    *,
    titles: Sequence[str] = (),
    signed: Sequence[str] = (),
    alt: str,
) -> DescribedFigure:
    """Pictures one below the other, and beside each what several kinds of map make of it, each on its own scale.

    Args:
      images: one for each row.
      maps: name -> one map for each picture.
      titles: one for each picture, such as what the model says.
      signed: names of the maps with values of both signs, which are drawn alone, white being zero.
      alt: what is to be seen.

    Raises:
      ValueError: nothing to show, or not one map and one title for each picture.
    """
    images, rows = np.asarray(images), len(images)
    titles = [str(title) for title in titles] or [""] * rows
    if not rows or not maps or len(titles) != rows or any(len(values) != rows for values in maps.values()):
        counts = {name: len(values) for name, values in maps.items()}
        raise ValueError(f"Each of the {rows} pictures needs a map of each kind and a title; got {counts}, {titles}.")
    columns = 1 + len(maps)
    side = min(1.7, 9.8 / columns)
    made, axes = figure(rows, columns, alt=alt, size=(side * columns, (side + 0.12) * rows + 0.2))
    for row in range(rows):
        axes[row, 0].imshow(to_rgb(images[row]))
        axes[row, 0].set_ylabel(titles[row], fontsize=9, fontweight="bold")
        for ax, (name, values) in zip(axes[row, 1:], maps.items(), strict=True):
            if name in signed:
                ax.imshow(values[row], **signed_limits(values[row]))
            else:
                ax.imshow(overlay(images[row], values[row]))
        for ax, name in zip(axes[row], ("input", *maps), strict=True):
            bare(ax)
            if not row:
                ax.set_title(name.replace(", ", ",\n"), fontsize=9, loc="center")
    if signed:
        colours = ScalarMappable(Normalize(-1, 1), SIGNED)
        bar = made.colorbar(colours, ax=axes, ticks=(-1, 0, 1), shrink=min(1.0, 3 / rows), aspect=15, pad=0.01)
        bar.ax.set_yticklabels(("against", "nothing", "for"), fontsize=9)
    return made
