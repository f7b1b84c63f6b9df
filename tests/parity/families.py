"""Which code rebuilds the files of which family."""

from pathlib import Path

from tests.parity import hip, perceiver_ar, perceiver_io, resampler
from tests.parity.vectors import Comparison, Unsupported, Vectors, compare

FAMILIES = {"hip": hip, "perceiver_ar": perceiver_ar, "perceiver_io": perceiver_io, "resampler": resampler}


def check(path: Path) -> list[Comparison]:
    """Rebuild the model of a file from its `config` alone, load its parameters, compare what comes out.

    Raises:
      AssertionError: another shape, or something that cannot be built (`Unsupported`).
    """
    vectors = Vectors(path)
    family = FAMILIES.get(path.parent.name)
    if family is None:
        raise Unsupported(
            f"{vectors.name}: there is no family {path.parent.name!r}; those that are built: {sorted(FAMILIES)}."
        )
    return compare(vectors, family.outputs(vectors), lambda *array: family.tolerance(vectors, *array))


def failures(comparisons: list[Comparison]) -> list[str]:
    """A line for everything that differs too much; NaN differs."""
    return [
        f"{key}: largest difference {difference:.2e}, allowed {tolerance:.2e}"
        for key, difference, tolerance in comparisons
        if not difference <= tolerance
    ]
