"""Decoding as pictures: what a cache holds step by step, and what temperature and nucleus make of a distribution."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.patches import Patch, Rectangle

from perceiver_lab.figures.diagrams import BLUE, GREEN, ORANGE
from perceiver_lab.figures.style import COLOURS, DescribedFigure, drawn, figure
from perceiver_lab.generation import held_after

KINDS = {
    "an input's keys and values, kept": {"facecolor": BLUE, "alpha": 0.35},
    "a latent's, kept": {"facecolor": GREEN, "hatch": "///"},
    "computed in this step": {"facecolor": ORANGE, "hatch": "xxx"},
}

HATCHES = ("", "///", "...", "xxx")


@drawn
def cache_film(
    *, given: int = 6, num_steps: int = 12, num_latents: int = 8, refill_to: int = 4, context: int | None = None
) -> DescribedFigure:
    """A row for each token that is sampled: what the cache holds when it is said, and what had to be computed.

    Args:
      given: tokens of the prompt.
      num_steps: tokens that are sampled.
      num_latents: N.
      refill_to: R, latents of a full pass.
      context: places that are drawn; by default those that are filled in the end.

    Raises:
      ValueError: more than 40 rows or 80 places, which could not be told apart.
    """
    size = given + num_steps if context is None else context
    if not 1 <= num_steps <= 40 or not given < size <= 80:
        raise ValueError(
            f"A film has up to 40 rows and 80 places, got num_steps={num_steps} and {size}: take a smaller example."
        )
    rows = [held_after(given + step, given, num_latents=num_latents, refill_to=refill_to) for step in range(num_steps)]
    passes = [step + 1 for step, held in enumerate(rows) if held.since == 0]
    alt = (
        f"Cache film of {num_steps} steps behind a prompt of {given} tokens: a row for each token that is said, two "
        f"lines in each. Between full passes, keys and values of all inputs are kept. There are {refill_to} to "
        f"{num_latents} latents: steps {', '.join(map(str, passes))} are full passes that make {refill_to} anew, every "
        "other step adds one input and one latent."
    )
    made, axes = figure(1, 1, alt=alt, size=(9.6, 0.9 + 0.3 * num_steps))
    ax = axes[0, 0]
    for step, held in enumerate(rows):
        full = held.since == 0
        fresh_inputs = 0 if full else held.num_events - 1
        fresh_latents = held.first_latent if full else held.num_events - 1
        for line, first, fresh in ((0.05, 0, fresh_inputs), (0.5, held.first_latent, fresh_latents)):
            kept = "an input's keys and values, kept" if line < 0.5 else "a latent's, kept"
            for place in range(first, held.num_events):
                kind = KINDS["computed in this step" if place >= fresh else kept]
                ax.add_patch(Rectangle((place + 0.05, step + line), 0.9, 0.4, edgecolor="#555555", lw=0.4, **kind))
    ax.set(xlim=(0, size), ylim=(num_steps, 0), xlabel="place; inputs above, latents below", ylabel="token said")
    ax.set_yticks(np.arange(num_steps) + 0.5, range(1, num_steps + 1))
    ax.grid(visible=False)
    ax.legend(
        handles=[Patch(label=name, **look) for name, look in KINDS.items()],
        loc="upper center", bbox_to_anchor=(0.5, -0.9 / (0.9 + 0.3 * num_steps)), ncols=3, fontsize=8,
    )  # fmt: skip
    return made


@drawn
def heated_bars(
    shares: Mapping[str, Float[np.ndarray, " k"]],
    *,
    names: Sequence[str],
    xlabel: str = "",
    ylabel: str = "probability",
    alt: str | None = None,
) -> DescribedFigure:
    """The same few tokens under several settings, as groups of bars.

    Args:
      shares: name of a setting -> probabilities of the tokens.
      names: of the tokens.
      xlabel: what the names are.
      ylabel: what the bars are.
      alt: by default, the likeliest token's probability under each setting.

    Raises:
      ValueError: no setting, or not one probability for each name.
    """
    if not shares or any(len(one) != len(names) for one in shares.values()):
        raise ValueError(f"Give at least one setting, and {len(names)} probabilities for each, one for each name.")
    best = int(np.argmax(next(iter(shares.values()))))
    told = ", ".join(f"{name} {one[best]:.0%}" for name, one in shares.items())
    alt = alt or f"Probabilities of {len(names)} tokens under {len(shares)} settings; of {names[best]}: {told}."
    made, axes = figure(1, 1, alt=alt, size=(9.6, 2.8))
    ax, width = axes[0, 0], 0.8 / len(shares)
    for number, (name, one) in enumerate(shares.items()):
        at = np.arange(len(names)) + (number - (len(shares) - 1) / 2) * width
        look = {"color": COLOURS[number % len(COLOURS)], "hatch": HATCHES[number % len(HATCHES)]}
        ax.bar(at, one, width=0.92 * width, label=name, edgecolor="white", **look)
    ax.set_xticks(range(len(names)), names)
    ax.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, min(1.0, 1.1 * max(float(np.max(one)) for one in shares.values()))))
    ax.legend(fontsize=8)
    return made
