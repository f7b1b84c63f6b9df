"""Text as pictures: bytes in cells, what a model says about them, who looks at which, and how many bits it takes."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.patches import Rectangle

from perceiver_lab.datasets.bytes import FIRST_BYTE, MASK, VOCABULARY, decode_ids, encode_text, hide_ids
from perceiver_lab.figures.diagrams import BLUE, GREEN, ORANGE, PINK, arrow, box
from perceiver_lab.figures.style import COLOURS, SEQUENTIAL, SURPRISE, DescribedFigure, bare, drawn, figure

SIGNS = {10: "↵", 13: "↵", 9: "⇥", 32: " "}


def byte_sign(id: int | np.integer) -> str:
    """What is written for an id: the character where it has one, ↵ for a line break, otherwise the byte as two digits.

    Special ids have no sign.
    """
    byte = int(id) - FIRST_BYTE
    if byte < 0:
        return ""
    return SIGNS.get(byte) or (chr(byte) if 32 < byte < 127 else f"{byte:02X}")


@drawn
def text_cells(
    ids: Int[np.ndarray, "n m"],
    *,
    values: Float[np.ndarray, "n m"] | None = None,
    marked: Bool[np.ndarray, "n m"] | None = None,
    titles: Sequence[str] = (),
    label: str = "",
    alt: str | None = None,
) -> DescribedFigure:
    """Rows of text, every byte in a cell of its own; what is hidden is hatched.

    Args:
      ids: byte + 6; MASK is drawn as a hole, other special ids stay empty.
      values: colours, from 0 on; one scale for all rows. NaN stays white.
      marked: cells to frame.
      titles: one to the left of each row.
      label: what the values are; beside their scale.
      alt: by default, the texts.

    Raises:
      ValueError: no rows; values, marks or titles that do not fit them.
    """
    ids = np.asarray(ids)
    for name, array in (("values", values), ("marked", marked)):
        if array is not None and np.shape(array) != ids.shape:
            raise ValueError(f"{name} {np.shape(array)} and ids {ids.shape} differ: give one for every byte.")
    if ids.ndim != 2 or 0 in ids.shape or (titles and len(titles) != len(ids)):
        raise ValueError(f"Text must be ids (n, m), with a title for each row or none; got {ids.shape}, {len(titles)}.")
    named = titles or [f"row {number}" for number in range(len(ids))]
    alt = alt or "; ".join(f"{name}: {_with_holes(row)}" for name, row in zip(named, ids, strict=True)) + "."
    made, axes = figure(1, 1, alt=alt, size=(9.8, 0.32 * len(ids) + (0.55 if values is None else 0.75)))
    ax = axes[0, 0]
    bare(ax)
    colours, scale = _colours(ids, values)
    ax.imshow(colours, aspect="auto", extent=(0, ids.shape[1], len(ids), 0))
    dark = colours[..., :3] @ np.array([0.299, 0.587, 0.114]) < 0.55
    for (row, place), id in np.ndenumerate(ids):
        if id == MASK:
            ax.add_patch(Rectangle((place, row), 1, 1, facecolor="#dddddd", edgecolor="#888888", hatch="////", lw=0.4))
        sign = byte_sign(id)
        look = {"fontsize": 9 if len(sign) == 1 else 6, "color": "white" if dark[row, place] else "black"}
        ax.text(place + 0.5, row + 0.52, sign, ha="center", va="center", **look)
        if marked is not None and marked[row, place]:
            frame = Rectangle((place + 0.04, row + 0.06), 0.92, 0.88, fill=False, edgecolor=COLOURS[1], lw=1.6)
            ax.add_patch(frame)
    for row in range(1, len(ids)):
        ax.axhline(row, color="#bbbbbb", linewidth=0.6)
    ax.set_yticks(np.arange(len(titles)) + 0.5, list(titles), fontsize=9)
    ax.tick_params(length=0)
    if scale is not None:
        made.colorbar(scale, ax=ax, orientation="horizontal", label=label, aspect=60, pad=0.02, fraction=0.08)
    return made


def _with_holes(row):
    """A row in words: _ for each hole."""
    return decode_ids(np.where(row == MASK, ord("_") + FIRST_BYTE, row)).replace("\n", " / ")


def _colours(ids, values):
    """RGBA of every cell, and the scale of the values."""
    if values is None:
        return np.ones((*ids.shape, 4)), None
    values = np.asarray(values, np.float64)
    scale = matplotlib.cm.ScalarMappable(
        matplotlib.colors.Normalize(0, float(np.nanmax(values, initial=0.0)) or 1.0), SURPRISE
    )
    colours = scale.to_rgba(np.nan_to_num(values))
    colours[np.isnan(values)] = 1
    return colours, scale


@drawn
def latents_on_text(
    weights: Float[np.ndarray, "n m"],
    ids: Int[np.ndarray, " m"],
    *,
    names: Sequence[str] = (),
    label: str = "weight",
    alt: str | None = None,
) -> DescribedFigure:
    """How much every latent takes from every byte: one row per latent, the text below.

    Args:
      weights: (N, M), such as one head of a read or the mean of its heads.
      ids: the text that was read; holes are written as ▒.
      names: of the rows; by default some of their numbers.
      label: of the colours.
      alt: by default, where the strongest weight lies.

    Raises:
      ValueError: weights for another text, or not one name per row.
    """
    weights, ids = np.asarray(weights), np.asarray(ids)
    if weights.ndim != 2 or 0 in weights.shape or ids.shape != weights.shape[1:]:
        raise ValueError(f"Weights (N, M) and ids (M,) must fit; got {weights.shape} and {ids.shape}.")
    if names and len(names) != len(weights):
        raise ValueError(f"There are {len(weights)} rows and {len(names)} names: give one each, or none.")
    row, place = np.unravel_index(weights.argmax(), weights.shape)
    alt = alt or (
        f"Weights of {weights.shape[0]} latents on {weights.shape[1]} bytes. The strongest is that of row {row} on "
        f"byte {place}, {weights.max():.2f}."
    )
    made, axes = figure(1, 1, alt=alt, size=(9.8, 0.9 + 0.14 * len(weights)))
    ax = axes[0, 0]
    drawing = ax.imshow(weights, aspect="auto", cmap=SEQUENTIAL, vmin=0)
    signs = ["▒" if id == MASK else byte_sign(id) for id in ids]
    ax.set_xticks(np.arange(len(ids)), signs, fontsize=9)
    rows = range(len(names)) if names else range(0, len(weights), 8)
    ax.set_yticks(list(rows), list(names) or [f"latent {number}" for number in rows], fontsize=8)
    ax.tick_params(length=0)
    ax.set_xlabel("byte that is read (▒: hidden)")
    if names:
        ax.set_ylabel("latent")
    made.colorbar(drawing, ax=ax, label=label, fraction=0.03, pad=0.01)
    return made


@drawn
def bits_bars(
    results: Mapping[str, float | tuple[float, float, float]],
    *,
    xlabel: str = "bits per hidden byte, less is better",
    title: str = "",
    alt: str | None = None,
) -> DescribedFigure:
    """Bits per byte as bars, with 95 % intervals where there are any.

    Args:
      results: name -> bits, or (bits, low, high).
      xlabel: what the bits are.
      title: of the figure.
      alt: by default, all the numbers.

    Raises:
      ValueError: no result.
    """
    if not results:
        raise ValueError("There are no bits to show: give a dict of name -> bits, or (bits, low, high).")
    triples = {name: np.broadcast_to(np.asarray(value, float), 3) for name, value in results.items()}
    texts = {
        name: f"{bits:.2f}" + (f" ({low:.2f} to {high:.2f})" if high > low else "")
        for name, (bits, low, high) in triples.items()
    }
    alt = alt or f"{title or xlabel}: {'; '.join(f'{name} {text}' for name, text in texts.items())}."
    made, axes = figure(1, 1, alt=alt, size=(7.8, 0.9 + 0.36 * len(results)))
    ax = axes[0, 0]
    widest = max(high for _, _, high in triples.values())
    for row, (name, (bits, low, high)) in enumerate(triples.items()):
        ax.barh(row, bits, height=0.62, color=COLOURS[row % len(COLOURS)], alpha=0.85)
        if high > low:
            ax.errorbar(bits, row, xerr=[[bits - low], [high - bits]], color="black", capsize=4, linewidth=1.4)
        ax.text(high + 0.02 * widest, row, texts[name], va="center", fontsize=9)
    ax.set_yticks(range(len(results)), list(results))
    ax.set(xlim=(0, 1.3 * widest), ylim=(len(results) - 0.5, -0.5), xlabel=xlabel, title=title)
    return made


@drawn
def masked_bytes_diagram(
    text: str = "but soft, what light", *, hidden: Sequence[int] | slice = slice(10, 14), num_latents: int = 32
) -> DescribedFigure:
    """A Perceiver IO that fills bytes in (2107.14795, section 4.1): ids to inputs, latents, one query a byte, logits.

    Args:
      text: read; a cell for each byte.
      hidden: places of it that are hidden.
      num_latents: N.
    """
    ids = hide_ids(encode_text(text), hidden)
    m, v = len(ids), VOCABULARY
    alt = (
        f"A Perceiver IO fills bytes in. The text {_with_holes(ids)!r}, {m} bytes of which {(ids == MASK).sum()} are "
        f"hidden, becomes {m} inputs: the row of each id in a table of {v} rows, with its place beside it. "
        f"{num_latents} latents read them and work on themselves. {m} queries, one for each place, read the latents. "
        "Each answer is compared with every row of the same table, which gives the logits of what stands there."
    )
    made, axes = figure(1, 1, alt=alt, size=(9.8, 4.6))
    ax = axes[0, 0]
    bare(ax)
    _cells(ax, ids, left=0.9, right=5.0, top=4.55)
    box(ax, 0.9, 2.75, 4.1, 0.75, ORANGE, f"inputs   {m} × (E + place)")
    box(ax, 6.0, 3.95, 2.3, 0.75, GREEN, f"table\n{v} × E, learned")
    box(ax, 5.6, 2.45, 2.2, 0.75, GREEN, f"queries   {m} × E\n(each place)")
    box(ax, -0.9, 0.35, 1.2, 0.9, BLUE, f"latents\n{num_latents} × D")
    for x, width, colour, words in (
        (0.9, 1.15, PINK, "encoder:\ncross-\nattention"),
        (2.7, 1.1, BLUE, "latent\nlayers"),
        (4.4, 1.2, BLUE, f"latents\n{num_latents} × D"),
        (6.15, 1.15, PINK, "decoder:\ncross-\nattention"),
        (7.9, 1.0, GREEN, f"{m} × E"),
        (9.75, 1.6, GREEN, f"logits\n{m} × {v}"),
    ):
        box(ax, x, 0.3, width, 1.0, colour, words)
    for start, end in ((0.3, 0.9), (2.05, 2.7), (3.8, 4.4), (5.6, 6.15), (7.3, 7.9), (8.9, 9.75)):
        arrow(ax, (start, 0.8), (end, 0.8))
    arrow(ax, (2.95, 4.15), (2.95, 3.5), "its row, and its place")
    arrow(ax, (6.0, 4.3), (5.05, 3.35))
    arrow(ax, (1.47, 2.75), (1.47, 1.3), "keys, values")
    arrow(ax, (6.7, 2.45), (6.7, 1.3), "who asks")
    arrow(ax, (8.3, 4.1), (9.3, 0.95))
    ax.text(9.2, 2.6, "the same table:\ncompare with\nevery row", fontsize=9, va="center", ha="left")
    ax.text(9.32, 0.55, "· tableᵀ", fontsize=10, ha="center", va="top", fontweight="bold")
    ax.set_xlim(-1.1, 11.5)
    ax.set_ylim(0.0, 4.85)
    return made


def _cells(ax, ids, *, left, right, top):
    """The text in a row of boxes."""
    width = (right - left) / len(ids)
    for place, id in enumerate(ids):
        looks = {"facecolor": "#dddddd", "hatch": "////"} if id == MASK else {"facecolor": "white"}
        ax.add_patch(Rectangle((left + place * width, top - 0.4), width, 0.4, edgecolor="#666666", lw=0.8, **looks))
        ax.text(left + (place + 0.5) * width, top - 0.21, byte_sign(id), ha="center", va="center", fontsize=9)
