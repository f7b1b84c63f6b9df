"""The Hierarchical Perceiver as pictures: groups that meet on the way up, and positions that find their places."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from perceiver_lab.figures.diagrams import BLUE, GREEN, ORANGE, PINK, arrow, box
from perceiver_lab.figures.style import DescribedFigure, bare, drawn, figure

REACH = 2.4  # at least, in either direction, of a cloud of mean square 1


@drawn
def hip_diagram(
    num_groups: Sequence[int], num_latents: Sequence[int], channels: Sequence[int], *, num_inputs: int
) -> DescribedFigure:
    """The levels of a HiP (2202.10890) side by side, each with its groups, and the skips between opposite ones.

    Args:
      num_groups, num_latents, channels: of every level, as in `HiPConfig`.
      num_inputs: elements that are cut into the first level's groups.

    Raises:
      ValueError: not as many of each.
    """
    levels = len(num_groups)
    if not levels == len(num_latents) == len(channels):
        raise ValueError(f"Each level has groups, latents and channels; got {num_groups}, {num_latents}, {channels}.")
    told = "; ".join(
        f"{g} group{'s' * (g > 1)} of {n} by {d}" for g, n, d in zip(num_groups, num_latents, channels, strict=True)
    )
    alt = (
        f"A Hierarchical Perceiver. {num_inputs} inputs are cut into {num_groups[0]} groups. Level by level, latents "
        f"read the groups below them: {told}. From each level of the first half a skip leads to the one opposite. At "
        "the end the positions of all elements ask for the outputs."
    )
    made, axes = figure(1, 1, alt=alt, size=(9.8, 3.6))
    ax = axes[0, 0]
    bare(ax)
    shown = [min(g, 8) for g in num_groups]
    tallest, step = max(shown), 2.3
    _groups(
        ax, 0.0, shown[0], tallest, ORANGE, f"inputs\n{num_groups[0]} groups\n{-(-num_inputs // num_groups[0])} rows"
    )
    for level in range(levels):
        x = step * (level + 1)
        colour = PINK if level == levels // 2 else BLUE
        groups = "1 group" if num_groups[level] == 1 else f"{num_groups[level]} groups"
        name = f"block {level}\n{groups}\n{num_latents[level]} × {channels[level]}"
        _groups(ax, x, shown[level], tallest, colour, name)
        arrow(ax, (x - step + 1.0, tallest / 2), (x, tallest / 2))
        opposite = levels - 1 - level
        if level < opposite:
            top = tallest + 0.5 + 0.5 * (levels // 2 - level)
            ends = [x + 0.5, step * (opposite + 1) + 0.5]
            ax.plot(
                [ends[0], *ends, ends[1]], [tallest + 0.1, top, top, tallest + 0.1], color="#444444", lw=1.2, ls="--"
            )
            if not level:
                ax.text(sum(ends) / 2, top + 0.06, "skips", ha="center", va="bottom", fontsize=9)
    end = step * (levels + 1)
    arrow(ax, (end - step + 1.0, tallest / 2), (end, tallest / 2))
    box(ax, end, tallest / 2 - 0.9, 2.2, 1.8, GREEN, "positions\nask for\noutputs")
    ax.set(xlim=(-0.6, end + 2.4), ylim=(-1.9, tallest + 1.1 + 0.5 * (levels // 2)))
    return made


def _groups(ax, x, count, tallest, colour, text):
    height = tallest / count
    for number in range(count):
        ax.add_patch(
            Rectangle((x, number * height + 0.06), 1.0, height - 0.12, facecolor=colour + "2e", edgecolor=colour)
        )
    ax.text(x + 0.5, -0.15, text, ha="center", va="top", fontsize=9.5)


def laid_out_grid(
    colours: UInt8[np.ndarray, "m 3"], cells: Int[np.ndarray, " m"] | Sequence[int], side: int
) -> UInt8[np.ndarray, "side side 3"]:
    """The picture in which each element's colour lies in its cell."""
    picture = np.zeros((side * side, 3), np.uint8)
    picture[np.asarray(cells)] = colours
    return picture.reshape(side, side, 3)


@drawn
def position_clouds(
    clouds: Mapping[str, Float[np.ndarray, "m 2"]],
    colours: UInt8[np.ndarray, "m 3"],
    pairs: Sequence[Sequence[int]] | Int[np.ndarray, "p 2"],
    *,
    pictures: Mapping[str, UInt8[np.ndarray, "side side 3"]] | None = None,
    alt: str,
) -> DescribedFigure:
    """Learned positions in two directions, in the colours of a picture, and pictures beside them.

    Args:
      clouds: title -> points (row, column), see `introspect.flatten`.
      colours: of each element.
      pairs: elements that lie side by side in the true picture; lines join them.
      pictures: title -> picture.
      alt: what the clouds look like.
    """
    pictures = {} if pictures is None else pictures
    count = len(clouds) + len(pictures)
    made, axes = figure(1, count, alt=alt, size=(min(10.0, 2.6 * count), 2.8))
    reach = max(REACH, *(1.1 * np.abs(points).max() for points in clouds.values()))  # one for all: they are compared
    for ax, (title, points) in zip(axes[0], clouds.items(), strict=False):
        flat = points[:, ::-1]
        ax.add_collection(LineCollection(flat[np.asarray(pairs)], colors="#9aa0a8", linewidths=0.6))
        ax.scatter(*flat.T, c=colours / 255, s=26, marker="s", edgecolors="#333333", linewidths=0.3, zorder=2)
        ax.set(title=title, xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal", xticks=[], yticks=[])
    for ax, (title, picture) in zip(axes[0, len(clouds) :], pictures.items(), strict=True):
        ax.imshow(picture)
        ax.set(title=title)
        bare(ax)
    return made
