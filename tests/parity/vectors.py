"""One file of reference parameters, inputs and outputs, and what it is compared with."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

OWN = Path(__file__).parent / "vectors"
FOLDER_VARIABLE = "PERCEIVER_LAB_VECTORS"


class Unsupported(AssertionError):
    """The file asks for something that nothing here can build. A failure that names it, never a skip."""


class Options:
    """The options of a file: each must be read, so that none is ignored in silence."""

    def __init__(self, values: Mapping[str, Any], where: str):
        self._values, self._where, self._read = dict(values), where, {"note"}

    def take(self, name: str, default: Any = ...) -> Any:
        """The value of an option; required without a default."""
        self._read.add(name)
        if name not in self._values and default is ...:
            raise Unsupported(f"{self._where}: option {name!r} is missing.")
        return self._values.get(name, default)

    def inside(self, name: str) -> "Options":
        """The options of a part."""
        return Options(self.take(name), f"{self._where}, {name}")

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def expect(self, name: str, value: Any) -> None:
        """An option that has one value only."""
        found = self.take(name, value)
        if found != value:
            raise Unsupported(f"{self._where}: {name}={found!r} cannot be built; only {value!r} can.")

    def done(self) -> None:
        """Nothing may be left."""
        if left := sorted(set(self._values) - self._read):
            raise Unsupported(f"{self._where}: nothing here knows the options {left}.")


class Vectors:
    """The contents of one file."""

    def __init__(self, path: Path):
        with np.load(path, allow_pickle=False) as file:
            self.arrays = {key: file[key] for key in file.files if key not in ("config", "note")}
            self.config = json.loads(str(file["config"]))
        self.path, self.name = path, f"{path.parent.name}/{path.name}"

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays `prefix/*`, without the prefix."""
        start = f"{prefix}/"
        return {key.removeprefix(start): value for key, value in self.arrays.items() if key.startswith(start)}

    @property
    def params(self) -> dict[str, np.ndarray]:
        return self.under("param")

    @property
    def state(self) -> dict[str, np.ndarray]:
        return self.under("state")

    @property
    def inputs(self) -> dict[str, jax.Array]:
        return {name: jnp.asarray(value) for name, value in self.under("input").items()}

    @property
    def expected(self) -> dict[str, np.ndarray]:
        """What must come out: `output/*` and `state_after/*`, with their prefix."""
        return {key: value for key, value in self.arrays.items() if key.startswith(("output/", "state_after/"))}

    @property
    def calls(self) -> list[str]:
        """The ways in which a model with batch norm is called; "" if there is only one."""
        modes = [mode for mode in ("eval", "train") if any(f"output/{mode}" in key for key in self.expected)]
        return modes or [""]


def as_one_program(function: Callable, *arguments: Any) -> Any:
    """What the function gives for modules and arrays, compiled as one program instead of many small ones.

    It is traced anew each time: what was compiled before a test replaced a part of the library must not be used after.
    """
    return nnx.jit(lambda *arguments: function(*arguments))(*arguments)


class Comparison(NamedTuple):
    """One array, ours against the reference's, where they differ most."""

    key: str
    difference: float
    tolerance: float


def files(pattern: str = "*/*.npz") -> Iterator[Path]:
    """Every file of our own, and every one in the folder that the environment names."""
    folders = [OWN, *(Path(folder) for folder in [os.environ.get(FOLDER_VARIABLE)] if folder)]
    for folder in folders:
        yield from sorted(folder.glob(pattern))


def compare(vectors: Vectors, computed: Mapping[str, Any], tolerance) -> list[Comparison]:
    """Compare everything that the file expects, entry by entry; of each array, the one closest to what is allowed.

    Args:
      vectors: the file.
      computed: arrays under the file's keys.
      tolerance: (key, expected array) -> what is allowed, one number or one for each entry.

    Raises:
      Unsupported: the file has an output that nothing was computed for.
      AssertionError: another shape.
    """
    if not vectors.expected:
        raise Unsupported(f"{vectors.name} has no outputs.")
    if missing := sorted(set(vectors.expected) - set(computed)):
        raise Unsupported(f"{vectors.name}: nothing here computes {missing}.")
    comparisons = []
    for key, expected in vectors.expected.items():
        found = np.asarray(computed[key])
        assert found.shape == expected.shape, f"{vectors.name}, {key}: shape {found.shape} instead of {expected.shape}"
        differences = np.abs(found.astype(np.float64) - expected.astype(np.float64)).ravel()
        allowed = np.broadcast_to(tolerance(key, expected), expected.shape).ravel()
        worst = np.argmax(differences / allowed) if differences.size else None  # NaN counts as the largest
        comparisons.append(
            Comparison(key, *(0.0, 1.0) if worst is None else (float(differences[worst]), float(allowed[worst])))
        )
    return comparisons
