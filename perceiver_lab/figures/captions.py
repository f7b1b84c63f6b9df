"""Frames and what is said of them: a Flamingo as a diagram, clips with captions, where tokens look, who sees whom."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8

from perceiver_lab.figures.diagrams import BLUE, GREEN, ORANGE, PINK, arrow, box
from perceiver_lab.figures.images import overlay
from perceiver_lab.figures.style import COLOURS, DescribedFigure, bare, drawn, figure

Clip = UInt8[np.ndarray, "t h w 3"]


@drawn
def flamingo_diagram(
    *, num_frames: int = 4, num_cells: int = 16, num_latents: int = 8, num_blocks: int = 3
) -> DescribedFigure:
    """A Flamingo (2204.14198, figure 3): frames become a few tokens, which a frozen language model reads through gates.

    Args:
      num_frames: T of a clip; at most six are drawn.
      num_cells: S of each frame.
      num_latents: R, tokens that come out.
      num_blocks: of the language model, each with a gated layer before it.

    Raises:
      ValueError: a number below 1.
    """
    if min(num_frames, num_cells, num_latents, num_blocks) < 1:
        raise ValueError(
            f"A Flamingo has at least one frame, cell, latent and block; got {num_frames}, {num_cells}, {num_latents} "
            f"and {num_blocks}."
        )
    alt = (
        f"A Flamingo. On the left {num_frames} frames pass through the vision network; each gives {num_cells} cells, "
        f"to which a time embedding is added. A resampler with {num_latents} latents makes {num_latents} tokens of all "
        f"of them. On the right text passes through a language model of {num_blocks} frozen blocks; before each "
        "stands a gated layer, in which the text reads the tokens. The next byte comes out."
    )
    made, axes = figure(1, 1, alt=alt, size=(9.8, 4.0))
    ax = axes[0, 0]
    bare(ax)
    for number in range(min(num_frames, 6)):
        box(ax, 0.1 + 0.16 * number, 0.25 + 0.16 * number, 0.95, 0.8, ORANGE, "")
    ax.text(0.9, -0.05, f"{num_frames} frames", ha="center", va="top", fontsize=9.5)
    box(ax, 2.5, 0.4, 1.25, 1.0, GREEN, "vision\n+ time")
    box(ax, 4.85, 0.3, 1.5, 1.2, PINK, "resampler")
    box(ax, 3.6, 2.15, 1.3, 0.65, BLUE, f"{num_latents} latents")
    arrow(ax, (1.95, 0.9), (2.5, 0.9))
    arrow(ax, (3.75, 0.9), (4.85, 0.9))
    ax.text(4.3, 1.0, f"{num_frames} × {num_cells}\ncells", ha="center", va="bottom", fontsize=8.5)
    arrow(ax, (4.6, 2.15), (5.2, 1.5))
    first, step, row = 7.9, 2.3, 2.05
    last = first + step * (num_blocks - 1) + 0.45
    ax.plot([6.35, last], [0.9, 0.9], color="#333333", linewidth=1.3)
    ax.text(6.9, 1.0, f"{num_latents}\ntokens", ha="center", va="bottom", fontsize=8.5)
    ax.text(first - 0.15, row + 0.5, "<image> two red", ha="right", va="bottom", fontsize=9.5, family="monospace")
    for number in range(num_blocks):
        x = first + step * number
        box(ax, x, row, 0.9, 0.9, PINK, "gated\nlayer")
        box(ax, x + 1.15, row, 0.9, 0.9, BLUE, "frozen\nblock")
        arrow(ax, (x + 0.45, 0.9), (x + 0.45, row))
        arrow(ax, (x - (0.25 if number else 1.2), row + 0.45), (x, row + 0.45))
        arrow(ax, (x + 0.9, row + 0.45), (x + 1.15, row + 0.45))
    end = first + step * num_blocks - 0.25
    arrow(ax, (end, row + 0.45), (end + 0.45, row + 0.45))
    ax.text(end + 0.5, row + 0.45, "next\nbyte", va="center", fontsize=9.5, fontweight="bold")
    ax.set(xlim=(-0.1, end + 1.3), ylim=(-0.5, 3.25))
    return made


@drawn
def captioned_clips(
    clips: Mapping[str, Clip],
    *,
    right: Sequence[bool] | None = None,
    columns: int = 2,
    alt: str | None = None,
) -> DescribedFigure:
    """Pictures and clips, their frames side by side, what is said about each above it.

    Args:
      clips: text -> frames.
      right: whether the text is true, marked by a sign and a colour; by default none is marked.
      columns: at most so many side by side.
      alt: by default, the texts.

    Raises:
      ValueError: no clip, or not one mark for each.
    """
    if not clips or (right is not None and len(right) != len(clips)):
        raise ValueError(f"Give at least one clip, and a mark for each or none; got {len(clips)} and {right}.")
    marks = [None] * len(clips) if right is None else [bool(one) for one in right]
    signs = {None: "", True: "✓ ", False: "✗ "}
    told = [f"{signs[mark]}{' '.join(text.split())}" for text, mark in zip(clips, marks, strict=True)]
    longest = max(len(frames) for frames in clips.values())
    lines = max(text.count("\n") for text in clips) + 1
    rows = -(-len(clips) // columns)
    side = min(0.85, 9.6 / (columns * longest))
    made, axes = figure(
        rows, columns, alt=alt or f"{len(clips)} pictures and clips with texts: {'; '.join(told)}",
        size=(min(9.8, max(4.0, side * longest + 0.2) * columns), rows * (side + 0.1 + 0.2 * lines)),
    )  # fmt: skip
    for ax in axes.flat:
        bare(ax)
    for ax, (text, frames), mark in zip(axes.flat, clips.items(), marks, strict=False):
        gap = np.full((frames.shape[1], 2, 3), 255, np.uint8)
        ax.imshow(np.concatenate([part for frame in frames for part in (frame, gap)][:-1], axis=1))
        ax.set(anchor="W", xlim=(-0.5, longest * (frames.shape[2] + 2) - 2.5))
        colour = {None: "black", True: COLOURS[2], False: COLOURS[1]}[mark]
        ax.set_title(signs[mark] + text, fontsize=9, fontweight="normal", color=colour)
    return made


@drawn
def token_maps(
    frames: Clip, weights: Float[np.ndarray, "r t s"], grid: tuple[int, int], *, alt: str | None = None
) -> DescribedFigure:
    """Where each token looks: a row for each, the frames from left to right, and how its weight is shared among them.

    Args:
      frames: of one clip.
      weights: of R tokens on the S cells of T frames, each token's on a scale of its own. What is missing to 1 the
        tokens gave to themselves.
      grid: rows and columns of the cells.
      alt: by default, the frame on which each token has most weight.

    Raises:
      ValueError: weights for other frames or cells.
    """
    weights = np.asarray(weights)
    if weights.shape[1:] != (len(frames), grid[0] * grid[1]):
        raise ValueError(
            f"Weights {weights.shape} are not for {len(frames)} frames of {grid[0]} x {grid[1]} cells: expected "
            f"(tokens, {len(frames)}, {grid[0] * grid[1]})."
        )
    shares = weights.sum(axis=-1)
    told = ", ".join(f"token {r}: frame {shares[r].argmax()} ({shares[r].max():.0%})" for r in range(len(weights)))
    count = len(weights)
    made, axes = figure(
        1, 2, alt=alt or f"Where {count} tokens look in a clip of {len(frames)} frames. Most weight of {told}.",
        size=(9.2, 0.5 + 0.62 * count), width_ratios=(1.25, 1),
    )  # fmt: skip
    picture, matrix = axes[0]
    rows = []
    for row in weights:
        scaled = row.reshape(len(frames), *grid) / (row.max() or 1)
        rows.append(np.concatenate([_laid_on(frame, one) for frame, one in zip(frames, scaled, strict=True)], axis=1))
    picture.imshow(np.concatenate(rows), aspect="equal")
    height, width = frames.shape[1:3]
    picture.set_yticks(np.arange(count) * height + height / 2, [f"token {r}" for r in range(count)], fontsize=8.5)
    picture.set_xticks(
        np.arange(len(frames)) * width + width / 2, [f"frame {t}" for t in range(len(frames))], fontsize=8.5
    )
    picture.set(title="where it looks")
    own = 1 - shares.sum(axis=-1, keepdims=True)
    table = np.concatenate([shares, own], axis=1)
    matrix.imshow(table, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (r, t), value in np.ndenumerate(table):
        matrix.text(
            t, r, f"{value:.0%}", ha="center", va="center", fontsize=8, color="white" if value < 0.6 else "black"
        )
    matrix.set_xticks(range(table.shape[1]), [*(f"frame {t}" for t in range(len(frames))), "tokens"], fontsize=8.5)
    matrix.set_yticks([])
    matrix.set(title="share of its weight")
    for ax in (picture, matrix):
        ax.tick_params(length=0)
    return made


def _laid_on(frame, level):
    """A frame with a map of [0, 1] on it, on the scale of the whole clip."""
    cells = np.zeros_like(level, np.float32) + level
    peak = cells.max()
    if peak <= 0:
        return frame
    return np.asarray(overlay(frame, cells, opacity=0.75 * float(peak)))


@drawn
def media_mask(
    text: Sequence[str], masks: Mapping[str, Bool[np.ndarray, "n i"]], *, alt: str | None = None
) -> DescribedFigure:
    """Which byte of a text may see which image, a row for each image.

    Args:
      text: what is written for each byte; a marker that stands for an image is drawn as ▣.
      masks: title -> True where byte n may see image i.
      alt: by default, how many bytes see each image.

    Raises:
      ValueError: a mask for a text of another length.
    """
    if any(len(mask) != len(text) for mask in masks.values()):
        lengths = {title: len(mask) for title, mask in masks.items()}
        raise ValueError(f"The text has {len(text)} bytes, but masks have {lengths}.")
    told = [
        f"{title}: " + ", ".join(f"image {i} is seen by {int(mask[:, i].sum())}" for i in range(mask.shape[1]))
        for title, mask in masks.items()
    ]
    alt = alt or f"Which of {len(text)} bytes sees which image. {'; '.join(told)}."
    images = max(mask.shape[1] for mask in masks.values())
    made, axes = figure(len(masks), 1, alt=alt, size=(9.8, (0.75 + 0.26 * images) * len(masks)))
    for ax, (title, mask) in zip(axes[:, 0], masks.items(), strict=True):
        ax.imshow(np.where(mask.T, 0.25, 1.0), cmap="gray", vmin=0, vmax=1, aspect="auto")
        for edge in range(1, len(text)):
            ax.axvline(edge - 0.5, color="#cccccc", linewidth=0.4)
        for edge in range(1, mask.shape[1]):
            ax.axhline(edge - 0.5, color="#cccccc", linewidth=0.4)
        ax.set_yticks(range(mask.shape[1]), [f"image {i}" for i in range(mask.shape[1])], fontsize=8.5)
        ax.set_xticks(range(len(text)), text, fontsize=8.5)
        ax.tick_params(length=0)
        ax.set_title(title)
    return made
