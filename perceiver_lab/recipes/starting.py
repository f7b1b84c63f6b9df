"""Where a training starts: from chance, or from parts of weights that ship."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flax import nnx

from perceiver_lab.training import WeightsError
from perceiver_lab.training.trees import differences, named_leaves, shorten

if TYPE_CHECKING:
    from perceiver_lab.recipes.base import Recipe


@dataclass(frozen=True, kw_only=True)
class Start:
    """Weights to start from.

    Attributes:
      recipe: the name of the recipe whose shipped weights they are.
      parts: attributes of the model whose weights are taken over; the rest starts from chance.
    """

    recipe: str
    parts: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """What a fingerprint says of it: also what the weights were made by."""
        from perceiver_lab.recipes.registry import get

        return {"parts": list(self.parts), "weights": get(self.recipe).fingerprint("full")}


def initial_model(recipe: "Recipe", seed: int) -> nnx.Module:
    """The model of a recipe as its training starts.

    Raises:
      WeightsError: it starts from weights that do not ship, or no longer fit their recipe.
      ValueError: a part that one of the two models lacks, or that differs between them.
    """
    model, start = recipe.make_model(nnx.Rngs(seed)), recipe.start_from
    if start is not None:
        take_parts(model, donor(recipe), start.parts)
    return model


def donor(recipe: "Recipe") -> nnx.Module:
    """The model that a recipe starts from.

    Raises:
      WeightsError: none ships, or what ships no longer fits its recipe.
    """
    from perceiver_lab.recipes.registry import get
    from perceiver_lab.recipes.shipping import load_shipped

    name = recipe.start_from.recipe
    found = load_shipped(get(name))
    if found is None:
        raise WeightsError(
            f"{recipe.name!r} starts from the weights of {name!r}, and none ship that fit that recipe as it stands. "
            f"Train and ship them first: perceiver-lab train {name} --mode full --ship."
        )
    return found[0]


def borrowed(recipe: "Recipe") -> tuple[str, ...]:
    """Parts that training took over and left as they were: they ship with what it started from, and only there."""
    frozen = getattr(recipe.optimizer, "frozen", ())
    return tuple(part for part in recipe.start_from.parts if part in frozen) if recipe.start_from else ()


def take_parts(model: nnx.Module, donor: nnx.Module, parts: tuple[str, ...]) -> None:
    """Give parts of a model the weights that the same parts of another have. Changed only when all of them fit.

    Raises:
      ValueError: no parts, one that a model lacks, or one of other names and shapes.
    """
    lacking = [part for part in parts if not (hasattr(model, part) and hasattr(donor, part))]
    if lacking or not parts:
        raise ValueError(
            f"The parts to take over are {', '.join(parts) or 'none'}; one of the two models lacks "
            f"{', '.join(lacking) or 'nothing'}. Name attributes that both have, such as 'encoder'."
        )
    states = {part: nnx.split(getattr(donor, part))[1] for part in parts}
    for part, state in states.items():
        wrong = differences(named_leaves(state), named_leaves(nnx.split(getattr(model, part))[1]))
        if wrong:
            raise ValueError(
                f"The part {part!r} differs between the two models: {shorten(wrong)}. Build both with the same sizes, "
                "or take other parts over."
            )
    for part, state in states.items():
        nnx.update(getattr(model, part), state)
