"""Trained weights as safetensors, with a JSON file beside them that says what they are."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.training.files import file_sha256, json_bytes, write_atomically
from perceiver_lab.training.trees import differences, named_leaves, shorten, with_leaves


class WeightsError(ValueError):
    """Weights that cannot be used; the message names the file and says what to do."""


def save_weights(
    path: str | os.PathLike,
    model: nnx.Module,
    about: dict[str, Any],
    *,
    half: bool = False,
    without: Sequence[str] = (),
) -> Path:
    """Write all variables of a model to NAME.safetensors, and `about` with their sha256 to NAME.json beside it.

    Args:
      path: ends in ".safetensors".
      model: any module; its parameters and its other arrays (batch statistics) are stored by their dotted names.
      about: for JSON: metrics, fingerprint, seed...
      half: write float32 as float16, half as large, 11 significant bits instead of 24. Read back they are float32.
      without: dotted names of modules that are left out, because they are kept elsewhere.

    Returns:
      The path of the weights.

    Raises:
      ValueError: another ending, or a value that is not finite.
      OSError: the folder cannot be written to.
    """
    from safetensors.numpy import save

    path = _checked_path(path)
    leaves = _except(named_leaves(nnx.split(model)[1]), without)
    arrays = {name: np.asarray(leaf, order="C") for name, leaf in leaves.items()}
    if half:
        with np.errstate(over="ignore"):  # said below
            arrays = {name: _narrowed(array) for name, array in arrays.items()}
    bad = [name for name, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if bad:
        precision = " in half precision" if half else ""
        raise ValueError(
            f"These weights are not finite{precision} and were not saved: {shorten(bad)}. Train with a lower rate."
        )
    # One entry only: the order of several is left to chance, and equal weights should be equal files.
    content = save(arrays, metadata={"perceiver_lab": json.dumps(_named(about), sort_keys=True)})
    write_atomically(path, content)
    # Last, because it vouches for the weights: an interrupted save leaves a sha256 that does not fit.
    write_atomically(
        path.with_suffix(".json"), json_bytes(about | {"sha256": file_sha256(path), "bytes": len(content)})
    )
    return path


def read_about(path: str | os.PathLike) -> dict[str, Any]:
    """What the JSON file beside the weights says; the weights are not opened.

    Raises:
      WeightsError: it is missing or no JSON.
    """
    beside = _checked_path(path).with_suffix(".json")
    try:
        about = json.loads(beside.read_bytes())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{beside} cannot be read ({error}). {_RESTORE}") from error
    if not isinstance(about, dict) or not isinstance(about.get("sha256"), str):
        raise WeightsError(f"{beside} does not name the sha256 of its weights; it is not from this library. {_RESTORE}")
    return about


def load_weights(path: str | os.PathLike, model: nnx.Module, *, without: Sequence[str] = ()) -> dict[str, Any]:
    """Read weights into a model, after checking all of them: file, sha256, names, shapes and dtypes.

    Args:
      path: of NAME.safetensors; NAME.json must lie beside it.
      model: changed in place, and only when everything fits.
      without: dotted names of modules that the file does not hold; they stay as they are.

    Returns:
      What the JSON file says.

    Raises:
      WeightsError: a missing, foreign, corrupt or unreadable file, or weights of another model.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = _checked_path(path)
    about = read_about(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error}). {_RESTORE}") from error
    if file_sha256(path) != about["sha256"]:
        raise WeightsError(f"{path} does not have the sha256 that {path.with_suffix('.json').name} names. {_RESTORE}")
    try:
        arrays = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} is not a safetensors file ({error}). {_RESTORE}") from error
    state = nnx.split(model)[1]
    leaves = named_leaves(state)
    expected = _except(leaves, without)
    arrays = {name: _widened(array, expected.get(name)) for name, array in arrays.items()}
    wrong = differences(arrays, expected)
    if wrong:
        raise WeightsError(
            f"{path} holds the weights of another model: {shorten(wrong)}. Build the model with the configuration "
            "that they were trained with."
        )
    loaded = {name: jnp.asarray(array) for name, array in arrays.items()}
    nnx.update(model, with_leaves(state, leaves | loaded))
    return about


_RESTORE = "Restore both files from where they came (`git checkout -- data`), or train again."


def _checked_path(path):
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"Weights are kept in files ending in .safetensors, got {path}.")
    return path


def _except(leaves, modules):
    """The leaves that lie in none of these modules."""
    return {name: leaf for name, leaf in leaves.items() if not any(name.startswith(f"{one}.") for one in modules)}


def _narrowed(array):
    return array.astype(np.float16) if array.dtype == np.float32 else array


def _widened(array, expected):
    """What was written in half precision as float32 again."""
    half = array.dtype == np.float16 and expected is not None and expected.dtype == np.float32
    return array.astype(np.float32) if half else array


def _named(about):
    """The few facts worth carrying inside the file itself."""
    return {key: about[key] for key in ("recipe", "fingerprint", "seed") if key in about}
