"""What comes next, as pictures: a Perceiver AR, who may see whom, and a copy being learned."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Num
from matplotlib.patches import Rectangle

from perceiver_lab.figures.diagrams import BLUE, GREEN, ORANGE, PINK, arrow, box
from perceiver_lab.figures.style import COLOURS, SEQUENTIAL, DescribedFigure, bare, drawn, figure

MOMENTS = (0.0, 0.25, 0.6)  # parts of the way down at which a map is shown, besides the last


@drawn
def perceiver_ar_diagram(
    *, num_inputs: int = 10, num_latents: int = 4, chosen: int = 1, num_layers: int = 1
) -> DescribedFigure:
    """Perceiver AR (2202.07765, figure 2): the last inputs become latents, and each sees what lies before it.

    Args:
      num_inputs: M, few enough to be drawn one by one.
      num_latents: N.
      chosen: number of the latent whose view is drawn, from 0.
      num_layers: of latent layers.

    Raises:
      ValueError: sizes that do not fit together or cannot be drawn.
    """
    if not 0 <= chosen < num_latents <= num_inputs <= 16:
        raise ValueError(
            f"The diagram shows up to 16 inputs and no more latents than inputs, one of which is chosen; got "
            f"num_inputs={num_inputs}, num_latents={num_latents}, chosen={chosen}."
        )
    first = num_inputs - num_latents
    alt = (
        f"Perceiver AR. {num_inputs} inputs in a row; of the last {num_latents}, {num_latents} latents are made. Lines "
        f"show what latent {chosen} may read: the inputs up to its own, {first + chosen + 1} of them, and none after "
        f"it. Causal latent layers follow, {num_layers} of them, in which it sees the latents up to itself. Each "
        "latent then says which input comes after its own."
    )
    made, axes = figure(1, 1, alt=alt, size=(9.8, 4.0))
    ax = axes[0, 0]
    bare(ax)
    for place in range(num_inputs):
        seen = place <= first + chosen
        look = {"facecolor": ORANGE + "2e", "edgecolor": ORANGE} if seen else {"facecolor": "#eeeeee", "hatch": "////"}
        ax.add_patch(Rectangle((place + 0.08, 0.0), 0.84, 0.7, **{"edgecolor": "#999999", **look}))
        ax.text(place + 0.5, 0.35, f"{place}", ha="center", va="center", fontsize=10)
        if seen:
            line = {"color": PINK, "linewidth": 1.1, "linestyle": "-" if place < first + chosen else "--"}
            ax.plot([place + 0.5, first + chosen + 0.5], [0.7, 1.75], **line)
    for latent in range(num_latents):
        x, own = first + latent, latent == chosen
        box(ax, x + 0.08, 1.75, 0.84, 0.7, PINK if own else BLUE, f"latent\n{latent}")
        box(ax, x + 0.08, 3.35, 0.84, 0.6, GREEN, f"{x + 1}?")
        arrow(ax, (x + 0.5, 2.45), (x + 0.5, 2.7))
        arrow(ax, (x + 0.5, 3.1), (x + 0.5, 3.35))
    box(ax, first + 0.08, 2.7, num_latents - 0.16, 0.4, BLUE, f"{num_layers} × causal self-attention")
    words = (
        (0.35, "inputs: what was said so far", "#7a3000"),
        (1.3, "read: each up to its own place", "#8a3d73"),
        (2.1, "latents, made of the last inputs", "#00527f"),
        (3.65, "what comes next, after each of them", "#005c43"),
    )
    for height, text, colour in words:
        ax.text(-0.15, height, text, ha="right", va="center", fontsize=10, color=colour)
    ax.set_xlim(-4.6, num_inputs + 0.1)
    ax.set_ylim(-0.1, 4.05)
    return made


@drawn
def who_sees_whom(
    masks: Mapping[str, Bool[np.ndarray, "n m"]],
    *,
    places: Sequence[int],
    marked: Mapping[str, Bool[np.ndarray, "n m"]] | None = None,
    alt: str | None = None,
) -> DescribedFigure:
    """Masks as grids, a row for each latent: filled where it may look.

    Args:
      masks: title -> mask. One as wide as the sequence has a column for each place, another one for each latent.
      places: of the latents in the sequence.
      marked: title -> cells to cross out, such as leaks.
      alt: by default, how many cells are filled and marked.

    Raises:
      ValueError: no mask, or not one row for each place.
    """
    if not masks or any(np.shape(mask)[0] != len(places) for mask in masks.values()):
        raise ValueError(f"Masks need one row for each of {len(places)} places; got {_shapes(masks)}.")
    marked = dict(marked or {})
    told = [
        f"{title}: {int(mask.sum())} of {mask.size} cells filled"
        + (f", {int(marked[title].sum())} crossed out" if title in marked else "")
        for title, mask in masks.items()
    ]
    widths = [mask.shape[1] for mask in masks.values()]
    made, axes = figure(
        1, len(masks), alt=alt or f"Who sees whom, a row for each latent. {'; '.join(told)}.",
        size=(min(9.8, 1.2 + 0.36 * sum(widths) + 0.5 * len(masks)), 1.4 + 0.36 * len(places)), width_ratios=widths,
    )  # fmt: skip
    for ax, (title, mask) in zip(axes[0], masks.items(), strict=True):
        columns = range(mask.shape[1]) if mask.shape[1] != len(places) else places
        ax.imshow(np.where(mask, 0.25, 1.0), cmap="gray", vmin=0, vmax=1, aspect="equal")
        for edge in range(1, max(mask.shape)):
            ax.axhline(edge - 0.5, color="#bbbbbb", linewidth=0.5)
            ax.axvline(edge - 0.5, color="#bbbbbb", linewidth=0.5)
        rows, cells = np.nonzero(marked.get(title, np.zeros_like(mask)))
        ax.plot(cells, rows, "x", color=COLOURS[1], markersize=9, markeredgewidth=2.6)
        ax.set_xticks(range(mask.shape[1]), columns, fontsize=8)
        ax.set_yticks(range(len(places)), places, fontsize=8)
        ax.set(title=title, xlim=(-0.5, mask.shape[1] - 0.5), ylim=(len(places) - 0.5, -0.5), xlabel="sees place")
        ax.tick_params(length=0)
    axes[0, 0].set_ylabel("latent at place")
    return made


@drawn
def copy_maps(maps: Mapping[str, Float[np.ndarray, "n m"]], *, first: int, alt: str | None = None) -> DescribedFigure:
    """Where each prediction looks while a sequence is said again backwards: a stripe, where a model can copy.

    Args:
      maps: title -> weights, a row for each place that is foretold, a column for each place that is read.
      first: the place that the first row is about.
      alt: by default, the share of the weight that lies on the mirrored place.

    Raises:
      ValueError: no map, or maps of different shapes.
    """
    if not maps or len({np.shape(one) for one in maps.values()}) != 1:
        raise ValueError(f"Give at least one map, all of one shape (n, m); got {_shapes(maps)}.")
    told = "; ".join(f"{title}: {mirror_share(one, first):.0%}" for title, one in maps.items())
    columns = min(len(maps), 4)
    rows = -(-len(maps) // columns)
    made, axes = figure(
        rows, columns, size=(0.6 + 2.3 * columns, 0.5 + 1.6 * rows),
        alt=alt or f"Attention maps of a copy. Share of the weight on the mirrored place: {told}.",
    )  # fmt: skip
    for ax, (title, one) in zip(axes.ravel(), maps.items(), strict=False):
        _stripe(ax, one, first, title)
    for ax in axes.ravel()[len(maps) :]:
        ax.axis("off")
    return made


def mirror_share(weights: Float[np.ndarray, "n m"], first: int) -> float:
    """The mean weight on the place that mirrors what is foretold, in a sequence whose middle lies before `first`.

    Place t mirrors place 2 `first` - 1 - t. The end mirrors the start, which need not be looked up: it does not count.
    """
    rows = np.arange(min(first, len(weights)) - 1)
    return float(np.asarray(weights)[rows, first - 1 - rows].mean())


@drawn
def copy_frame(
    steps: Sequence[int],
    losses: Sequence[float] | Num[np.ndarray, " s"],
    maps: Mapping[int, Float[np.ndarray, "n m"]],
    *,
    first: int,
    flat: float,
    floor: float,
    alt: str | None = None,
) -> DescribedFigure:
    """A loss and what the model looks at, at a few moments of its training, in one frame.

    Args:
      steps: at which the losses were taken.
      losses: in nats.
      maps: step -> weights, as in `copy_maps`; up to four are shown.
      first: the place that the first row of a map is about.
      flat: loss of guessing, marked by a line.
      floor: what cannot be learnt, marked by a line.
      alt: by default, the losses and shares of the moments shown.

    Raises:
      ValueError: no loss or no map.
    """
    if not len(steps) or len(steps) != len(losses) or not maps:
        raise ValueError(f"A frame needs a loss for each step and a map; got {len(steps)}, {len(losses)}, {len(maps)}.")
    at = {step: float(np.interp(step, steps, losses)) for step in maps}
    chosen = _moments(at, flat, floor)
    told = [f"step {s}: loss {at[s]:.2f}, {mirror_share(maps[s], first):.0%} on the mirror" for s in chosen]
    made, axes = figure(
        2, 3, size=(9.8, 3.7), width_ratios=(1.5, 1, 1),
        alt=alt or f"Loss of a copy being learned, and attention maps at these moments. {'; '.join(told)}. "
        f"Guessing costs {flat:.2f}; {floor:.2f} cannot be learnt.",
    )  # fmt: skip
    ax = made.add_subplot(axes[0, 0].get_gridspec()[:, 0])
    for unused in axes[:, 0]:
        unused.remove()
    ax.plot(steps, losses, color=COLOURS[0])
    for value, text, style in ((flat, "guessing", ":"), (floor, "cannot be learnt", "--")):
        ax.axhline(value, color="#444444", linestyle=style, linewidth=1.2, label=f"{text}, {value:.2f}")
    for number, step in enumerate(chosen):
        ax.plot(step, at[step], "o", color=COLOURS[1], markersize=15, zorder=3)
        ax.text(step, at[step], "ABCD"[number], ha="center", va="center", color="white", weight="bold", zorder=4)
    ax.set(xlabel="step", ylabel="nats for each token", ylim=(0, 1.1 * max(flat, max(losses))))
    ax.legend(fontsize=9, loc="lower left")
    for number, panel in enumerate(axes[:, 1:].ravel()):
        if number < len(chosen):
            _stripe(panel, maps[chosen[number]], first, f"{'ABCD'[number]}: step {chosen[number]}")
        else:
            panel.axis("off")
    return made


def _moments(at, flat, floor):
    """The first steps at which so much of the way down is done, and the last."""
    done = {step: (flat - loss) / (flat - floor) for step, loss in at.items()}
    found = [next((step for step in done if done[step] >= part), None) for part in MOMENTS[1:]]
    return sorted({min(at), max(at), *(step for step in found if step is not None)})


def _stripe(ax, weights, first, title):
    """One map, from black for nothing to yellow for all of the weight."""
    n, m = weights.shape
    ax.imshow(
        weights, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto", extent=(-0.5, m - 0.5, first + n - 0.5, first - 0.5)
    )
    ax.set(title=title, xlabel="looks at place", ylabel="foretells place")
    ax.tick_params(labelsize=8)
    ax.xaxis.label.set_size(8)
    ax.yaxis.label.set_size(8)


def _shapes(masks):
    return {title: np.shape(one) for title, one in masks.items()}
