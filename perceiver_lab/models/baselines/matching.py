"""Models of equal size: a fair comparison starts with the number of parameters."""

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

import jax
from flax import nnx

Size = TypeVar("Size")


def count_parameters(make_model: Callable[[], nnx.Module]) -> int:
    """Parameters of the model that `make_model` would make. Nothing is allocated."""
    model = nnx.eval_shape(make_model)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def match_parameters(
    make_model: Callable[[Size], nnx.Module], sizes: Iterable[Size], target: int, *, tolerance: float = 0.05
) -> Size:
    """The size whose model has the number of parameters nearest to `target`.

    ::

        def vit(channels):
            return ViT(ViTConfig(shape=(28, 28, 1), num_classes=10, channels=channels, num_heads=2), rngs=nnx.Rngs(0))

        channels = match_parameters(vit, range(32, 128, 2), 200_000)

    Args:
      make_model: size -> model.
      sizes: what to try, such as widths.
      target: parameters wanted.
      tolerance: how far off the nearest may be, relative to `target`.

    Raises:
      ValueError: no size comes within the tolerance.
    """
    counts = [(count_parameters(lambda size=size: make_model(size)), size) for size in sizes]
    if not counts:
        raise ValueError("There are no sizes to choose from.")
    count, size = min(counts, key=lambda pair: abs(pair[0] - target))
    if abs(count - target) > tolerance * target:
        raise ValueError(
            f"No size comes within {tolerance:.0%} of {target:,} parameters: the nearest is {size} with {count:,}. "
            "Try sizes in finer steps or over a wider range."
        )
    return size
