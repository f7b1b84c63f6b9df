"""Battles as pictures: units of two sides, and whom each of ours takes on."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from perceiver_lab.figures.style import COLOURS, MARKERS, DescribedFigure, drawn, figure

_OURS, _THEIRS, _WRONG = COLOURS[0], COLOURS[5], COLOURS[1]


@drawn
def battle(
    places: Float[np.ndarray, "m 2"],
    ours: Bool[np.ndarray, " m"],
    kinds: Num[np.ndarray, " m"],
    chosen: Mapping[str, Int[np.ndarray, " m"]],
    right: Int[np.ndarray, " m"],
    *,
    alt: str | None = None,
) -> DescribedFigure:
    """The same battle side by side, once for each that chooses.

    Args:
      places: of the units, to the right and up.
      ours: True = a unit that chooses.
      kinds: whole numbers from 0 on: each kind has a mark of its own.
      chosen: title -> for each unit the number of the one it takes on; of theirs, nothing is read.
      right: whom it should take on. A choice that differs is a dashed line in another colour.
      alt: by default, how many units there are, and how many choices of each are right.

    Raises:
      ValueError: nobody chooses.
    """
    if not chosen:
        raise ValueError("Give at least one title with the choices of all units, such as {'the rule': targets}.")
    scores = {name: (one[ours] == right[ours]).sum() for name, one in chosen.items()}
    told = ", ".join(f"{name} {score}" for name, score in scores.items())
    alt = alt or f"A battle of {len(ours)} units, {ours.sum()} of them ours. Of their choices are right: {told}."
    made, axes = figure(1, len(chosen), alt=alt, size=(4.6 * len(chosen), 4.6))
    for ax, (name, one) in zip(np.ravel(axes), chosen.items(), strict=True):
        for unit in np.flatnonzero(ours):
            wrong = one[unit] != right[unit]
            ends = places[[unit, one[unit]]].T
            ax.plot(*ends, color=_WRONG if wrong else _OURS, linestyle="--" if wrong else "-", linewidth=0.8, alpha=0.8)
        for side, colour in ((ours, _OURS), (~ours, _THEIRS)):
            for kind in np.unique(kinds):
                there = places[side & (kinds == kind)]
                ax.scatter(*there.T, c=colour, marker=MARKERS[int(kind)], s=34, edgecolors="#333333", linewidths=0.5)
        ax.set(xticks=[], yticks=[], aspect="equal")
        ax.set_title(f"{name}: {scores[name]} of {ours.sum()}", fontsize=9, fontweight="normal", loc="center")
    return made
