"""Where an element is, as pictures: the row that is read for a pixel, waves that samples cannot tell apart, fits."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Num
from matplotlib.patches import Rectangle

from perceiver_lab.figures.images import to_rgb
from perceiver_lab.figures.style import COLOURS, DescribedFigure, bare, drawn, figure, series, signed_limits

BLUE, ORANGE, GREEN, PINK = COLOURS[:4]


@drawn
def input_row(
    image: Num[np.ndarray, "height width channels"],
    pixel: tuple[int, int],
    *,
    num_bands: int,
    frequencies: Sequence[float | int] = (1, 4, 16),
) -> DescribedFigure:
    """What a Perceiver reads for one pixel: its colour, its coordinates, and the values there of waves along each axis.

    Args:
      image: (H, W, 1 or 3), as for `to_rgb`.
      pixel: (row, column) of the one that is followed.
      num_bands: waves per axis, for the numbers of channels in the row.
      frequencies: of the waves that are drawn, in turns from one end to the other: sin(pi f x).

    Raises:
      ValueError: the pixel lies outside the picture.
    """
    picture = to_rgb(image)
    height, width = picture.shape[:2]
    row, column = pixel
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"Pixel {pixel} does not lie in a picture of {height} x {width}; both are counted from 0.")
    ys, xs = np.linspace(-1, 1, height), np.linspace(-1, 1, width)
    colours = np.asarray(image).shape[-1]
    total = colours + 2 + 4 * num_bands
    named = "1 colour" if colours == 1 else f"{colours} colours"
    alt = (
        f"One pixel of a photo is marked at y = {ys[row]:.2f}, x = {xs[column]:.2f}. Beside it, sine waves down and "
        f"across the picture at frequencies {', '.join(f'{f:g}' for f in frequencies)}, with their values at that "
        f"pixel. Below, the row that is read for it: {named}, 2 coordinates, {2 * num_bands} sines and "
        f"{2 * num_bands} cosines, {total} channels in all."
    )
    ratios = {"height_ratios": (1, 1, 0.62), "width_ratios": (2.1, *[1] * len(frequencies))}
    made, axes = figure(3, 1 + len(frequencies), alt=alt, size=(8.6, 4.1), **ratios)
    grid = axes[0, 0].get_gridspec()
    for ax in (*axes[:2, 0], *axes[2]):
        ax.remove()
    _photo(made.add_subplot(grid[:2, 0]), picture, ys[row], xs[column])
    for number, frequency in enumerate(frequencies):
        _wave(axes[0, 1 + number], np.sin(np.pi * frequency * ys)[:, None], width, pixel, f"sin(π·{frequency:g}·y)")
        _wave(axes[1, 1 + number], np.sin(np.pi * frequency * xs)[None], height, pixel, f"sin(π·{frequency:g}·x)")
    _segments(made.add_subplot(grid[2, :]), colours, num_bands, total)
    return made


def _photo(ax, picture, y, x):
    ax.imshow(picture, extent=(-1, 1, 1, -1))
    ax.plot(x, y, marker="s", markersize=10, markerfacecolor="none", markeredgecolor="white", markeredgewidth=3.5)
    ax.plot(x, y, marker="s", markersize=10, markerfacecolor="none", markeredgecolor="black", markeredgewidth=1.5)
    ax.set(title=f"a pixel at y = {y:.2f}, x = {x:.2f}", xticks=(-1, 0, 1), yticks=(-1, 0, 1), xlabel="x", ylabel="y")


def _wave(ax, values, length, pixel, title):
    row, column = pixel
    whole = np.repeat(values, length, axis=0 if values.shape[0] == 1 else 1)
    ax.imshow(whole, aspect="auto", **signed_limits(np.ones(1)))
    ax.plot(column, row, marker="s", markersize=8, markerfacecolor="none", markeredgecolor="black", markeredgewidth=1.8)
    ax.set_title(f"{title} = {round(float(whole[row, column]), 2) + 0.0:.2f}", fontsize=9, fontweight="normal")
    bare(ax)


def _segments(ax, colours, num_bands, total):
    bare(ax)
    parts = [
        (f"colour\n{colours}", 1.0, COLOURS[4], ""),
        ("y, x\n2", 1.0, ORANGE, "///"),
        (f"sin(π f y)\n{num_bands}", 2.0, BLUE, ""),
        (f"sin(π f x)\n{num_bands}", 2.0, BLUE, "\\\\\\"),
        (f"cos(π f y)\n{num_bands}", 2.0, GREEN, ""),
        (f"cos(π f x)\n{num_bands}", 2.0, GREEN, "\\\\\\"),
    ]
    left = 0.0
    for text, wide, colour, hatch in parts:
        ax.add_patch(
            Rectangle((left, 0), wide, 1, facecolor=colour + "33", edgecolor=colour, hatch=hatch, linewidth=1.6)
        )
        label = ax.text(left + wide / 2, 0.5, text, ha="center", va="center", fontsize=10)
        label.set_bbox({"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5})
        left += wide
    ax.set(xlim=(-0.05, left + 0.05), ylim=(-0.1, 1.1))
    ax.set_title(f"the row that is read for this pixel: {total} channels")


@drawn
def same_samples(
    cells: int, frequencies: tuple[float | int, float | int], *, alt: str | None = None
) -> DescribedFigure:
    """Two cosines that a grid cannot tell apart, or can: the waves as lines, what the cells see of them as marks.

    Args:
      cells: of the grid, from -1 to 1 with both ends.
      frequencies: of the two waves, in turns from one end to the other: cos(pi f x).
      alt: by default, which waves, and how far their samples lie apart at most, up to their sign.

    Raises:
      ValueError: fewer than two cells.
    """
    if cells < 2:
        raise ValueError(f"cells={cells}: two waves are compared on at least two cells.")
    fine, coarse = np.linspace(-1, 1, 1500), np.linspace(-1, 1, cells)
    samples = [np.cos(np.pi * f * coarse) for f in frequencies]
    sign = -1 if np.abs(samples[0] + samples[1]).max() < np.abs(samples[0] - samples[1]).max() else 1
    apart = np.abs(samples[0] - sign * samples[1]).max()
    lower, higher = (f"{f:g}" for f in frequencies)
    verdict = "lie on each other" if apart < 1e-6 else f"lie up to {apart:.2f} apart"
    turned = ", one turned upside down" if sign < 0 else ""
    alt = alt or (
        f"Cosines of frequency {lower} and {higher} over {cells} cells{turned}: between the cells they differ, at the "
        f"cells they {verdict}."
    )
    made, axes = figure(1, 1, alt=alt, size=(8.4, 2.0))
    ax = axes[0, 0]
    for number, (frequency, factor) in enumerate(zip(frequencies, (1, sign), strict=True)):
        name = f"{'−' if factor < 0 else ''}cos(π·{frequency:g}·x)"
        looks = {"color": COLOURS[number], "linestyle": "-" if number == 0 else "--"}
        ax.plot(fine, factor * np.cos(np.pi * frequency * fine), label=name, linewidth=1.3, **looks)
    ax.plot(coarse, samples[0], "o", color=COLOURS[0], markersize=9, label=f"the {cells} cells see {lower}")
    ax.plot(coarse, sign * samples[1], "+", color="black", markersize=8, label=f"the {cells} cells see {higher}")
    ax.set(xlabel="x", yticks=(-1, 0, 1))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=4, fontsize=9)
    return made


@drawn
def over_frequency(
    curves: Mapping[str, tuple[Sequence[float | int], Sequence[float | int]]],
    *,
    marks: Mapping[str, float | int],
    ylabel: str,
    limits: tuple[float | int, float | int] | None = None,
    alt: str | None = None,
) -> DescribedFigure:
    """Curves over the highest frequency that features may have, with special frequencies marked.

    Args:
      curves: name -> (frequencies, values).
      marks: name -> frequency, drawn as upright lines.
      ylabel: what the values are.
      limits: lowest and highest value shown.
      alt: by default, where each curve is highest.

    Raises:
      ValueError: no curve, or not one value per frequency.
    """
    if not curves or any(len(f) != len(values) or len(f) == 0 for f, values in curves.values()):
        raise ValueError("Give at least one curve, as (frequencies, values) of the same length, not empty.")
    best = {name: (f[int(np.argmax(v))], float(np.max(v))) for name, (f, v) in curves.items()}
    described = "; ".join(f"{name} is highest, {value:.1f}, at {at:g}" for name, (at, value) in best.items())
    lines = ", ".join(f"{name} at {at:g}" for name, at in marks.items())
    made, axes = figure(
        1, 1, alt=alt or f"{ylabel} over the highest frequency: {described}. Marked: {lines}.", size=(7.0, 3.3)
    )
    ax = axes[0, 0]
    for number, (name, (frequencies, values)) in enumerate(curves.items()):
        ax.plot(frequencies, values, label=name, **series(number, points=len(frequencies)))
    low, high = limits or ax.get_ylim()
    ax.set_ylim(low, high)
    for name, at in marks.items():
        ax.axvline(at, color="#444444", linestyle=":", linewidth=1.4)
        label = ax.text(at, high, f"{name}: {at:g}", ha="center", va="bottom", fontsize=9)
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
    ax.set(xlabel="highest frequency", ylabel=ylabel)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, fontsize=9)
    return made
