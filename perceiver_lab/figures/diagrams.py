"""The ideas as pictures: cross-attention as shapes, the Perceiver as a line of parts."""

import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from perceiver_lab.figures.style import COLOURS, DescribedFigure, bare, drawn, figure

BLUE, ORANGE, GREEN, PINK = COLOURS[:4]
HATCHES = {BLUE: "", ORANGE: "///", GREEN: "...", PINK: "xx"}


@drawn
def cross_attention_shapes(
    num_queries: int = 4, num_inputs: int = 10, channels: int = 6, output_channels: int | None = None
) -> DescribedFigure:
    """Every array of a cross-attention as a rectangle, from the inputs to an output as long as the queries.

    Sides grow with the square root of the size.

    Args:
      num_queries: N.
      num_inputs: M.
      channels: width of queries and keys.
      output_channels: width of values and output; by default `channels`.

    Raises:
      ValueError: a size below 1.
    """
    output_channels = channels if output_channels is None else output_channels
    sizes = (num_queries, num_inputs, channels, output_channels)
    if min(sizes) < 1:
        raise ValueError(f"All sizes must be at least 1; got N, M, channels, output channels = {sizes}.")
    n, m, d, e = sizes
    alt = (
        f"Cross-attention as shapes. Queries {n} by {d} times transposed keys {d} by {m} give scores {n} by {m}; "
        f"softmax over each row; times values {m} by {e} gives an output of {n} by {e}: as many rows as queries, "
        "however many inputs there are."
    )
    made, axes = figure(1, 1, alt=alt, size=(9.8, 3.3))
    ax = axes[0, 0]
    bare(ax)
    ax.set_aspect("equal")
    scale = _scale(max(n, m, d, e))
    tallest = scale(max(n, m, d))
    x, top = 0.0, tallest / 2
    steps = [
        ("queries Q", n, d, BLUE, "·"),
        ("keys Kᵀ", d, m, ORANGE, "="),
        ("scores", n, m, PINK, "softmax\nof rows →"),
        ("weights", n, m, PINK, "·"),
        ("values V", m, e, ORANGE, "="),
        ("output", n, e, GREEN, ""),
    ]
    for name, rows, cols, colour, after in steps:
        height, width = scale(rows), scale(cols)
        _array(ax, x, top - height / 2, width, height, colour)
        ax.text(x + width / 2, top + height / 2 + 0.12, name, ha="center", va="bottom", fontsize=10, fontweight="bold")
        ax.text(x + width / 2, top - height / 2 - 0.12, f"{rows} × {cols}", ha="center", va="top", fontsize=10)
        gap = 1.25 if "\n" in after else 0.75
        ax.text(x + width + gap / 2, top, after, ha="center", va="center", fontsize=9 if "\n" in after else 16)
        x += width + gap
    ax.set_xlim(-0.4, x)
    ax.set_ylim(-0.5, tallest + 0.5)
    made.set_size_inches(9.8, 9.8 * (tallest + 1) / (x + 0.4))
    return made


def _scale(largest):
    # Square root: 4 and 400 both stay visible, and longer is still longer.
    return lambda size: 0.25 + 1.75 * float(np.sqrt(size / largest))


def _array(ax, x, y, width, height, colour):
    ax.add_patch(
        Rectangle(
            (x, y), width, height, facecolor=colour + "33", edgecolor=colour, hatch=HATCHES[colour], linewidth=1.6
        )
    )


@drawn
def perceiver_diagram(
    *, num_inputs: int = 50176, num_latents: int = 512, num_reads: int = 3, layers_per_block: int = 6
) -> DescribedFigure:
    """The Perceiver (2103.03206, figure 1): one long input array, read again and again by a small latent array.

    Args:
      num_inputs: M.
      num_latents: N.
      num_reads: cross-attentions; one to five are drawn.
      layers_per_block: self-attention layers after each.

    Raises:
      ValueError: a number of reads that cannot be drawn.
    """
    if not 1 <= num_reads <= 5:
        raise ValueError(f"num_reads={num_reads}: the diagram shows one to five reads. Draw the first few.")
    m, n = f"{num_inputs:,}".replace(",", "\u2009"), str(num_latents)
    alt = (
        f"The Perceiver. A latent array of {n} rows reads the input array of {num_inputs} rows by cross-attention, "
        f"{num_reads} times; after each read, {layers_per_block} self-attention layers work on the latents alone; "
        "the latents' average gives the logits. Only the reads touch the long array."
    )
    made, axes = figure(1, 1, alt=alt, size=(9.8, 3.9))
    ax = axes[0, 0]
    bare(ax)
    step, right = 2.9, 0.9 + 2.9 * num_reads
    box(ax, 0.9, 2.75, right - 0.9 - 0.35, 0.75, ORANGE, f"input array   {m} × C   (pixels + positions)")
    box(ax, -0.9, 0.35, 1.2, 0.9, BLUE, f"latents\n{n} × D")
    for number in range(num_reads):
        x = 0.9 + step * number
        box(ax, x, 0.3, 0.95, 1.0, PINK, "cross-\nattention")
        arrow(ax, (x + 0.47, 2.75), (x + 0.47, 1.3), f"keys, values\n{m}" if number == 0 else "")
        arrow(ax, (x - 0.6, 0.8), (x, 0.8))
        box(ax, x + 1.3, 0.3, 1.0, 1.0, BLUE, f"{layers_per_block} ×\nself-att.")
        arrow(ax, (x + 0.95, 0.8), (x + 1.3, 0.8))
    arrow(ax, (right - 0.6, 0.8), (right, 0.8))
    box(ax, right, 0.35, 1.15, 0.9, GREEN, "mean,\nlinear")
    arrow(ax, (right + 1.15, 0.8), (right + 1.6, 0.8))
    ax.text(right + 1.65, 0.8, "logits", va="center", fontsize=10, fontweight="bold")
    _cost_notes(ax, right)
    ax.set_xlim(-1.1, right + 2.5)
    ax.set_ylim(-0.75, 3.65)
    return made


def _cost_notes(ax, right):
    ax.text(0.95, -0.15, "a read costs M · N", color="#8a3d73", fontsize=10, va="top", fontweight="bold")
    ax.text(
        3.9,
        -0.15,
        "a latent layer costs N · N, whatever M is",
        color="#00527f",
        fontsize=10,
        va="top",
        fontweight="bold",
    )


def box(ax, x, y, width, height, colour, text):
    """A rounded box with its text in the middle."""
    ax.add_patch(
        FancyBboxPatch(
            (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.08", facecolor=colour + "2e", edgecolor=colour
        )
    )
    ax.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=9.5)


def arrow(ax, start, end, label=""):
    """An arrow, its label to the right of its middle."""
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color="#333333", linewidth=1.3))
    if label:
        ax.text(start[0] + 0.12, (start[1] + end[1]) / 2, label, fontsize=8.5, va="center", ha="left")
