"""Modalities of a Hierarchical Perceiver (2202.10890): learned positions, outputs, and the order of their names."""

from collections.abc import Mapping, Sequence

from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.layers import LearnedPositions
from perceiver_lab.layers.linear import linear

Shapes = Mapping[str, tuple[int, int]]  # name -> (elements, channels)

# Standard deviation of a standard normal that is cut at two: what a table of unit variance is divided by.
CUT_STD = 0.87962566103423978


class TablePositions(nnx.Module):
    """A learned vector for every element of a modality, and perhaps a linear layer without bias after it.

    They know nothing of grids or time: what lies beside what, masked auto-encoding has to teach them.
    """

    def __init__(self, num_elements: int, channels: int, *, project: bool = False, rngs: nnx.Rngs):
        """A table (M, E), through an E x E matrix if `project`."""
        self.table = learned_table(num_elements, channels, rngs=rngs)
        self.projection = linear(channels, channels, use_bias=False, rngs=rngs) if project else None

    def __call__(self) -> Float[Array, "m e"]:
        """Of all elements."""
        return self.table() if self.projection is None else self.projection(self.table())


def learned_table(num_rows: int, channels: int, *, rngs: nnx.Rngs) -> LearnedPositions:
    """Rows of deviation 1 / sqrt(number of rows): the release counts them as the fan-in."""
    return LearnedPositions((num_rows,), channels, init_std=num_rows**-0.5 / CUT_STD, rngs=rngs)


def unembedding(channels: int, output_channels: int, *, rngs: nnx.Rngs) -> nnx.Linear:
    """From E to the width of an output, with weights of zero at first."""
    return linear(channels, output_channels, kernel_init=nnx.initializers.zeros, rngs=rngs)


def places(names: Sequence[str]) -> dict[str, str]:
    """Names with their place before them -> names: "0_image" -> "image". Parameters are kept under the first."""
    return {f"{place}_{name}": name for place, name in enumerate(names)}


def by_place(modules: Mapping[str, nnx.Module]):
    """Modules under `places` of their names."""
    return nnx.data({place: modules[name] for place, name in places(tuple(modules)).items()})


def check_modalities(x: Mapping[str, Array], shapes: Sequence[tuple[str, tuple[int, int]]]) -> None:
    """Refuse a batch of other modalities than the model has.

    Raises:
      ValueError: one is unknown, missing, or of another shape.
    """
    wanted, found = dict(shapes), {name: tuple(rows.shape) for name, rows in x.items()}
    unknown, missing = sorted(set(found) - set(wanted)), sorted(set(wanted) - set(found))
    wrong = sorted(name for name in set(found) & set(wanted) if found[name][1:] != wanted[name])
    if unknown or missing or wrong or len({shape[0] for shape in found.values()}) != 1:
        raise ValueError(
            f"This model reads the modalities {wanted}, each an array (B, elements, channels) with one B; got {found}: "
            f"unknown {unknown}, missing {missing}, of another shape {wrong}. Hide a modality by zeros, do not "
            "leave it out."
        )
