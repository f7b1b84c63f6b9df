"""Fingerprints: short texts that change when a result would."""

import dataclasses
import functools
import hashlib
import importlib.metadata
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def describe(value: Any) -> Any:
    """A value as JSON that says what it is: configurations by their fields, functions by name and what they hold.

    A function's code is not part of it: that is what a recipe's `numerics` is for.

    Raises:
      ValueError: an object that cannot be described, such as one with an address in its text.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: describe(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {str(key): describe(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [describe(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        array = np.ascontiguousarray(value)
        return f"{array.dtype}{array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
    if isinstance(value, functools.partial):
        return {"partial": describe(value.func), "args": describe(value.args), "keywords": describe(value.keywords)}
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        value = inspect.unwrap(value)  # past what a decorator, such as a check of types, holds itself
        held = [describe(cell.cell_contents) for cell in getattr(value, "__closure__", None) or ()]
        return [value.__qualname__, *held] if held else value.__qualname__
    raise ValueError(
        f"A recipe holds {value!r}, which has no fingerprint. Use plain values, frozen dataclasses, functions, arrays."
    )


def fingerprint(value: Any) -> str:
    """The sha256 of `describe(value)`, hexadecimal."""
    return hashlib.sha256(json.dumps(describe(value), sort_keys=True).encode()).hexdigest()


@functools.cache
def code_fingerprint() -> str:
    """The sha256 of the library's source up to this room and of the versions that do its arithmetic.

    A run is resumed only under the same code: anything else could not be bit for bit.
    """
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for room in ("ops", "layers", "adapters", "models", "datasets", "training", "recipes"):
        for path in sorted((package / room).rglob("*.py")):
            digest.update(f"{path.relative_to(package)}\n".encode() + path.read_bytes())
    digest.update(json.dumps(versions(), sort_keys=True).encode())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of the packages that a result depends on."""
    packages = ("jax", "jaxlib", "flax", "optax", "numpy", "grain")
    return {package: importlib.metadata.version(package) for package in packages}
