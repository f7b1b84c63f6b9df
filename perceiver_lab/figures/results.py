"""Curves of training and numbers of evaluation."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int, Num

from perceiver_lab.figures.style import COLOURS, SEQUENTIAL, DescribedFigure, drawn, figure, series


@drawn
def loss_curve(
    curves: Mapping[str, Sequence[float] | Num[np.ndarray, "..."]],
    *,
    steps: Mapping[str, Sequence[int] | np.ndarray] | Sequence[int] | np.ndarray | None = None,
    smooth: int = 1,
    log: bool = False,
    ylabel: str = "loss",
    chance: float | None = None,
    alt: str | None = None,
) -> DescribedFigure:
    """Values over training steps.

    Args:
      curves: name -> one value per step.
      steps: the steps, for all curves or by name; by default 1, 2, 3, ...
      smooth: mean over so many values; the raw ones stay as a faint line.
      log: logarithmic axis.
      ylabel: what the values are.
      chance: mark the value of pure guessing.
      alt: by default, each curve's first and last value.

    Raises:
      ValueError: no curve, an empty one, or not one step per value.
    """
    if not curves or any(len(values) == 0 for values in curves.values()):
        raise ValueError(f"There is nothing to draw: curves {list(curves)} must each hold at least one value.")
    described = [f"{name} from {float(v[0]):.3g} to {float(v[-1]):.3g}" for name, v in curves.items()]
    longest = max(len(values) for values in curves.values())
    alt = alt or f"{ylabel} over {longest} recorded steps: {'; '.join(described)}."
    made, axes = figure(1, 1, alt=alt, size=(6.4, 3.2))
    ax = axes[0, 0]
    for number, (name, values) in enumerate(curves.items()):
        values = np.asarray(values, np.float64)
        along = steps.get(name) if isinstance(steps, Mapping) else steps
        along = np.arange(1, len(values) + 1) if along is None else np.asarray(along)
        if len(along) != len(values):
            raise ValueError(
                f"Curve {name!r} has {len(values)} values but {len(along)} steps; give one step per value."
            )
        window = min(smooth, len(values))
        if window > 1:
            ax.plot(along, values, color=COLOURS[number % len(COLOURS)], alpha=0.25, linewidth=0.8)
            values = np.convolve(values, np.full(window, 1 / window), "valid")
            along = along[window - 1 :]
        ax.plot(along, values, label=name, **series(number, points=len(values)))
    if chance is not None:
        ax.axhline(chance, color="#444444", linestyle=":", linewidth=1.2, label=f"guessing, {chance:.3g}")
    if log:
        ax.set_yscale("log")
    ax.set(xlabel="step", ylabel=ylabel)
    if len(curves) > 1 or chance is not None:
        ax.legend(fontsize=9)
    return made


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson), which also behaves near 0 and 1.

    Raises:
      ValueError: counts that are no proportion.
    """
    if total < 1 or not 0 <= correct <= total:
        raise ValueError(f"{correct} of {total} is no proportion: give 0 <= correct <= total with at least one item.")
    z, p = 1.959964, correct / total
    centre = (p + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


@drawn
def accuracy_bars(
    results: Mapping[str, tuple[int, int]],
    *,
    chance: float | None = None,
    title: str = "",
    alt: str | None = None,
) -> DescribedFigure:
    """Accuracies with their 95 % intervals, which are part of the number.

    Args:
      results: name -> (correct, total).
      chance: accuracy of guessing, marked by a line.
      title: of the figure.
      alt: by default, all the numbers.

    Raises:
      ValueError: no result, or counts that are no proportion.
    """
    if not results:
        raise ValueError("There is no accuracy to show: give a dict of name -> (correct, total).")
    rates = {name: correct / max(total, 1) for name, (correct, total) in results.items()}
    ranges = {name: wilson_interval(*counts) for name, counts in results.items()}
    texts = {n: f"{rates[n]:.1%} ({ranges[n][0]:.1%} to {ranges[n][1]:.1%}, n = {results[n][1]})" for n in results}
    alt = alt or f"{title or 'Accuracy'}: {'; '.join(f'{name} {text}' for name, text in texts.items())}."
    made, axes = figure(1, 1, alt=alt, size=(7.4, 0.9 + 0.42 * len(results)))
    ax = axes[0, 0]
    for row, name in enumerate(results):
        low, high = ranges[name]
        ax.barh(row, rates[name], height=0.62, color=COLOURS[row % len(COLOURS)], alpha=0.85)
        spread = np.array([[max(0.0, rates[name] - low)], [max(0.0, high - rates[name])]])
        ax.errorbar(rates[name], row, xerr=spread, color="black", capsize=4, linewidth=1.4)
        ax.text(1.03, row, texts[name], va="center", fontsize=9)
    if chance is not None:
        ax.axvline(chance, color="#444444", linestyle=":", linewidth=1.4)
        ax.text(chance + 0.01, -0.62, f"guessing {chance:.0%}", fontsize=8, ha="left", va="bottom")
    ax.set_yticks(range(len(results)), list(results))
    ax.set(
        xlim=(0, 1), ylim=(len(results) - 0.5, -0.95 if chance is not None else -0.5), xlabel="accuracy", title=title
    )
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return made


@drawn
def confusion(
    counts: Int[np.ndarray, "k k"], class_names: Sequence[str] | None = None, *, alt: str | None = None
) -> DescribedFigure:
    """Counts of true class (rows) against predicted class (columns), each written in its cell.

    Args:
      counts: (K, K).
      class_names: by default the numbers.
      alt: by default, the accuracy and the most frequent mistake.

    Raises:
      ValueError: no square table, or not one name per class.
    """
    counts = np.asarray(counts)
    names = [str(n) for n in (range(len(counts)) if class_names is None else class_names)]
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size or len(names) != len(counts):
        raise ValueError(f"A confusion table is (K, K) with K names; got {counts.shape} and {len(names)} names.")
    wrong = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    true, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    mistake = f"most often, {names[true]} is taken for {names[predicted]} ({wrong.max()} times)"
    mistake = mistake if wrong.any() else "no mistakes"
    alt = alt or f"Confusion table of {len(counts)} classes: {accuracy:.1%} right; {mistake}."
    side = 1.6 + 0.42 * len(counts)
    made, axes = figure(1, 1, alt=alt, size=(side, side))
    ax = axes[0, 0]
    # Right answers dwarf the mistakes, which are what one looks for: the square root brings them up.
    shades = np.sqrt(counts / np.maximum(counts.sum(1, keepdims=True), 1))
    ax.imshow(shades, cmap=SEQUENTIAL, vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(counts):
        if value:
            ax.text(
                column,
                row,
                value,
                ha="center",
                va="center",
                fontsize=8,
                color="black" if shades[row, column] > 0.55 else "white",
            )
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="predicted", ylabel="true")
    return made


@drawn
def share_curves(
    levels: Sequence[float] | Num[np.ndarray, " n"],
    shares: Mapping[str, Sequence[float] | Num[np.ndarray, " n"]],
    *,
    xlabel: str,
    ylabel: str,
    alt: str | None = None,
) -> DescribedFigure:
    """Shares of all cases over something that is turned up.

    Args:
      levels: of what is turned up.
      shares: name -> one share from 0 to 1 for each level.
      xlabel, ylabel: what is turned up, and shares of what.
      alt: by default, the first and last share of each.

    Raises:
      ValueError: nothing to show, or not one share per level.
    """
    if not shares or any(not len(levels) == len(values) > 0 for values in shares.values()):
        raise ValueError(f"Each of the curves {list(shares)} must have one share for each of {len(levels)} levels.")
    told = "; ".join(f"{name} from {values[0]:.0%} to {values[-1]:.0%}" for name, values in shares.items())
    made, axes = figure(1, 1, alt=alt or f"Shares over {xlabel}: {told}.", size=(6.4, 3.0))
    ax = axes[0, 0]
    for number, (name, values) in enumerate(shares.items()):
        ax.plot(levels, values, label=name, **series(number))
    ax.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, 1))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.legend(fontsize=9)
    return made
