"""The token budget without Python behind it: the still picture of a notebook, and a saved page."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from perceiver_lab.explorers.base import Answer
from perceiver_lab.figures import DescribedFigure, token_maps

if TYPE_CHECKING:
    from perceiver_lab.explorers.budget import TokenBudget


def still(explorer: "TokenBudget") -> DescribedFigure:
    """Where every token looks, and what is said."""
    numbers = explorer.numbers(explorer.frames, explorer.order)
    clip = explorer._clips[explorer.example]
    _, maps = explorer.look(**explorer._clip())
    weights = maps[min(explorer.layer, len(maps) - 1)]
    count, cells = weights.shape[0], len(numbers) * explorer.model.grid[0] * explorer.model.grid[1]
    said = explorer.say()
    alt = (
        f"Token budget, first frame: {len(numbers)} of {len(clip)} frames of a clip, {explorer.order}, become {count} "
        f"tokens, of which the text may read {explorer.tokens}. To be seen: "
        f"{explorer.facts['texts'][explorer.example]} The model says, asked for {explorer.question}: {said.text} "
        "Beside it, for each token, how its weight is shared among the frames and the tokens themselves."
    )
    made = token_maps(
        clip[numbers],
        weights[:, :cells].reshape(count, len(numbers), -1),
        explorer.model.grid,
        alt=" ".join(alt.split()),
    )
    return made


def reduce(
    explorer: "TokenBudget", *, examples: Sequence[int] | None = None
) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
    """State and answers: clips with 1, some and all frames, as filmed and reversed, read with four budgets.

    Args:
      explorer: what is saved.
      examples: by default the clip that is shown.

    Raises:
      ValueError: a clip that there is not, or none.
    """
    available = explorer.facts["examples"]
    examples = [explorer.example] if examples is None else [int(i) for i in examples]
    if not examples or not set(examples) <= set(available):
        raise ValueError(f"examples={list(examples)} are not in this explorer, which has 0 to {available[-1]}.")
    tokens, longest = explorer.model.num_tokens, explorer.facts["longest"]
    counts = sorted({1, min(explorer.facts["own"], longest), longest})
    budgets = sorted({1, 2, tokens // 2, tokens})
    facts = {**explorer.facts, "examples": sorted(set(examples)), "counts": counts, "budgets": budgets, "saved": True}
    facts["orders"] = facts["orders"][:2]
    state = explorer.state() | {"facts": facts, "dropped": []}
    state["example"] = state["example"] if state["example"] in examples else facts["examples"][0]
    state["frames"] = min(counts, key=lambda count: abs(count - state["frames"]))
    state["tokens"] = min(budgets, key=lambda budget: abs(budget - state["tokens"]))
    state["order"] = state["order"] if state["order"] in facts["orders"] else facts["orders"][0]
    clips = [
        {"example": example, "frames": count, "order": order, "dropped": []}
        for example in facts["examples"]
        for count in counts
        for order in facts["orders"]
    ]
    asks: list[dict[str, Any]] = [{"what": "clip", "example": example} for example in facts["examples"]]
    asks += [{"what": "look", **clip} for clip in clips]
    asks += [
        {"what": "say", **clip, "tokens": budget, "question": question}
        for clip in clips
        for budget in budgets
        for question in facts["questions"]
    ]
    return state, [(ask, explorer.answer(ask)) for ask in asks]
