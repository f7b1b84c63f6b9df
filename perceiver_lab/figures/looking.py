"""What looking is and what it costs: dots that a query reads, answers all over the plane, scores as areas."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.patches import Rectangle

from perceiver_lab.figures.diagrams import BLUE, HATCHES, ORANGE, PINK
from perceiver_lab.figures.style import DescribedFigure, bare, drawn, figure, series

Places = Float[np.ndarray, "m 2"]
Colours = Float[np.ndarray, "m 3"]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
INK = "#333333"


@drawn
def dots_reading(
    places: Places,
    colours: Colours,
    query: Float[np.ndarray, " 2"],
    weights: Float[np.ndarray, " m"],
    *,
    reach: float = 2.0,
) -> DescribedFigure:
    """A query among coloured dots, the weight that it gives to each, and the blend of their colours.

    Args:
      places: of the dots, x and y; they are called A, B, C, ...
      colours: red, green and blue of each, 0 to 1.
      query: its place.
      weights: one per dot, summing to one.
      reach: the plane is drawn from -reach to reach.

    Raises:
      ValueError: no dots or more than 26, or not one colour and one weight for each.
    """
    count = len(places)
    if not 1 <= count <= len(LETTERS) or len(colours) != count or len(weights) != count:
        raise ValueError(
            f"Give 1 to {len(LETTERS)} dots with a colour and a weight each; got {count} places, {len(colours)} "
            f"colours and {len(weights)} weights."
        )
    blend = weights @ colours
    shares = ", ".join(f"{LETTERS[i]} {weights[i]:.0%}" for i in np.argsort(-weights))
    mixed = ", ".join(f"{part:.2f}" for part in blend)
    alt = (
        f"{count} coloured dots and a query at ({query[0]:.1f}, {query[1]:.1f}). Lines from the query to the dots are "
        f"as thick as the weights: {shares}. The blend of the colours is red, green, blue = {mixed}."
    )
    made, axes = figure(1, 2, alt=alt, size=(8.6, 4.0), width_ratios=(1.15, 1))
    plane, bars = axes[0]
    for place, weight in zip(places, weights, strict=True):
        plane.plot(*np.stack([query, place]).T, color=INK, linewidth=0.4 + 11 * weight, alpha=0.55, zorder=1)
    draw_dots(plane, places, colours)
    plane.scatter(*query, s=230, marker="s", color=[blend.clip(0, 1)], edgecolors="black", linewidths=2.2, zorder=4)
    plane.annotate("query", query, (0, 12), textcoords="offset points", ha="center", fontweight="bold", zorder=5)
    frame_plane(plane, reach)
    rows = np.arange(count)
    bars.barh(rows, weights, color=colours, edgecolor=INK, height=0.66)
    for row, weight in zip(rows, weights, strict=True):
        bars.text(weight + 0.02, row, f"{weight:.2f}", va="center", fontsize=9.5)
    bars.barh(count + 0.5, 1.0, color=[blend.clip(0, 1)], edgecolor="black", height=0.9)
    bars.text(1.03, count + 0.5, "blend", va="center", fontweight="bold")
    bars.set_yticks(rows, [LETTERS[row] for row in rows])
    bars.set(xlim=(0, 1.2), ylim=(count + 1.2, -0.6), xlabel="weight", xticks=(0, 0.5, 1))
    return made


@drawn
def answer_maps(
    places: Places, colours: Colours, answers: Mapping[str, Float[np.ndarray, "h w 3"]], *, alt: str, reach: float = 2.0
) -> DescribedFigure:
    """What a query would read at every place of the plane: pictures of the plane, the dots on them.

    Args:
      places: of the dots.
      colours: of the dots.
      answers: title -> blend at each place, rows from y = -reach upwards, columns from x = -reach.
      alt: what is to be seen.
      reach: the plane goes from -reach to reach.

    Raises:
      ValueError: no picture, or no description.
    """
    if not answers:
        raise ValueError("There is no picture to draw: give a dict of title -> array (h, w, 3).")
    made, axes = figure(1, len(answers), alt=alt, size=(3.15 * len(answers), 3.4))
    made.smooth = True
    for ax, (title, picture) in zip(axes[0], answers.items(), strict=True):
        ax.imshow(picture.clip(0, 1), origin="lower", extent=(-reach, reach, -reach, reach))
        draw_dots(ax, places, colours)
        frame_plane(ax, reach)
        ax.set_title(title)
    return made


def draw_dots(ax, places: Places, colours: Colours) -> None:
    """Dots with their letters, which do not depend on seeing the colour."""
    ax.scatter(*places.T, s=260, c=colours, edgecolors="white", linewidths=2.4, zorder=2)
    ax.scatter(*places.T, s=300, facecolors="none", edgecolors="black", linewidths=1.0, zorder=2)
    for letter, place in zip(LETTERS, places, strict=False):
        ax.text(*place, letter, ha="center", va="center", fontweight="bold", color="black", zorder=3)


def frame_plane(ax, reach: float) -> None:
    """A square around the origin, which is marked: scores are zero there."""
    ax.axhline(0, color="#777777", linewidth=0.6, zorder=0)
    ax.axvline(0, color="#777777", linewidth=0.6, zorder=0)
    ticks = (-reach, 0, reach)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=ticks, yticks=ticks, aspect="equal")


@drawn
def score_areas(num_inputs: int = 50176, num_latents: int = 512) -> DescribedFigure:
    """The scores of self-attention and of a read as areas, to scale: M by M against N by M.

    Args:
      num_inputs: M.
      num_latents: N, at most M.

    Raises:
      ValueError: sizes below 1, or more latents than inputs.
    """
    if not 1 <= num_latents <= num_inputs:
        raise ValueError(f"num_latents={num_latents} must be from 1 to num_inputs={num_inputs}: latents are the few.")
    share = num_latents / num_inputs
    m, n = (f"{number:,}".replace(",", "\u2009") for number in (num_inputs, num_latents))
    alt = (
        f"Two areas to scale. Self-attention among {num_inputs:,} inputs: a square of {num_inputs:,} by {num_inputs:,} "
        f"scores. A read by {num_latents:,} latents: a strip as wide and {num_latents:,} high, {1 / share:.0f} times "
        "smaller. A latent layer: a square of the strip's height."
    )
    made, axes = figure(1, 1, alt=alt, size=(8.6, 4.3))
    ax = axes[0, 0]
    bare(ax)
    ax.set_aspect("equal")
    areas = (
        (0.0, 1.0, 1.0, ORANGE, "self-attention", f"{m} × {m}"),
        (1.45, 1.0, share, PINK, "a read", f"{n} × {m}"),
        (2.9, share, share, BLUE, "a latent layer", f"{n} × {n}"),
    )
    for x, width, height, colour, name, size in areas:
        look = {"facecolor": colour + "55", "edgecolor": colour, "hatch": HATCHES[colour], "linewidth": 1.4}
        ax.add_patch(Rectangle((x, 0), width, height, **look))
        ax.text(x, -0.06, name, va="top", fontweight="bold")
        ax.text(x, -0.16, f"{size} scores", va="top")
    ax.text(-0.03, 0.5, "M queries", rotation=90, ha="right", va="center")
    ax.text(0.5, 1.03, "M keys", ha="center", va="bottom")
    ax.text(1.45, share + 0.03, "N queries, M keys", va="bottom")
    ax.set(xlim=(-0.14, 3.75), ylim=(-0.3, 1.14))
    return made


@drawn
def price_lines(
    sizes: Sequence[int],
    prices: Mapping[str, Sequence[int | float]],
    *,
    ylabel: str,
    marks: Mapping[str, int] | None = None,
    limit: tuple[str, int | float] | None = None,
    alt: str,
) -> DescribedFigure:
    """A price over the number of inputs, both axes logarithmic: a slope is a power.

    Args:
      sizes: numbers of inputs M.
      prices: name -> price at each size; not a number where there is none.
      ylabel: of what, and in which unit.
      marks: name -> a number of inputs to point out.
      limit: name and price of a line not to be crossed.
      alt: what is to be seen.

    Raises:
      ValueError: not one price per size.
    """
    if not prices or any(len(values) != len(sizes) for values in prices.values()):
        counts = {name: len(values) for name, values in prices.items()}
        raise ValueError(f"Each line needs one price for each of the {len(sizes)} sizes; got {counts}.")
    made, axes = figure(1, 1, alt=alt, size=(7.4, 3.7))
    ax = axes[0, 0]
    for number, (name, values) in enumerate(prices.items()):
        known = np.isfinite(values)
        ax.loglog(np.asarray(sizes)[known], np.asarray(values)[known], label=name, **series(number))
    for name, at in (marks or {}).items():
        ax.axvline(at, color="#777777", linewidth=0.8, linestyle=":")
        ax.text(at, 1.0, f" {name}", transform=ax.get_xaxis_transform(), fontsize=8.5, rotation=90, va="top")
    if limit is not None:
        ax.axhline(limit[1], color=INK, linewidth=1.2, linestyle="--")
        ax.text(sizes[0], limit[1], limit[0], fontsize=9, va="bottom")
    ax.set(xlabel="inputs M", ylabel=ylabel)
    ax.legend(fontsize=9)
    return made


@drawn
def budget_bars(prices: Mapping[str, Mapping[str, int]], num_inputs: int, *, memory: int) -> DescribedFigure:
    """What models cost side by side: FLOPs, memory and parameters, each on a logarithmic scale.

    Args:
      prices: name -> {"flops", "memory" (bytes), "parameters"}.
      num_inputs: M, for the description.
      memory: bytes that there are; marked.

    Raises:
      ValueError: no model.
    """
    if not prices:
        raise ValueError("There is no price to show: give a dict of name -> flops, memory and parameters.")
    parts = {"flops": ("FLOPs", 1e9, "G"), "memory": ("memory", 2**30, " GiB"), "parameters": ("parameters", 1e6, " M")}

    def text(part, value):
        _, unit, sign = parts[part]
        return f"{value / unit:,.3g}{sign}" if value < 999 * unit else f"{value / unit:,.0f}{sign}"

    described = "; ".join(
        f"{name}: " + ", ".join(f"{parts[part][0]} {text(part, price[part])}" for part in parts)
        for name, price in prices.items()
    )
    alt = f"Cost of one example of {num_inputs:,} inputs. {described}. There is memory for {memory / 2**30:g} GiB."
    made, axes = figure(1, 3, alt=alt, size=(9.8, 0.95 + 0.45 * len(prices)))
    for ax, part in zip(axes[0], parts, strict=True):
        values = [price[part] for price in prices.values()]
        rows = range(len(values))
        ax.barh(rows, values, color=[BLUE, ORANGE, PINK][: len(values)], height=0.6, alpha=0.85)
        for row, value in zip(rows, values, strict=True):
            ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # the line of memory may pass here
            ax.text(value * 1.35, row, text(part, value), va="center", fontsize=9, bbox=ground)
        least, most = min(values), max([*values, memory if part == "memory" else 0])
        ax.set(xscale="log", xlim=(least / 20, most * 60), ylim=(len(values) - 0.4, -0.6))
        ax.set_title(f"{parts[part][0]}, log scale")
        ax.set_yticks(rows, list(prices) if ax is axes[0, 0] else [""] * len(values))
        ax.set_xticks([])
        ax.minorticks_off()
        if part == "memory":
            ax.axvline(memory, color=INK, linestyle="--", linewidth=1.2)
            ax.text(memory, -0.62, f"there are {text(part, memory)}", ha="center", va="bottom", fontsize=9)
    return made
