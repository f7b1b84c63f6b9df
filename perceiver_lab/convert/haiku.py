"""Parameters of the Perceiver IO release (DeepMind's Haiku code) into our models, and ours back.

Both sides are plain mappings from name to array, as the release's checkpoints hold them once they are read; nothing is
unpickled here. Names: `haiku_names`.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array

from perceiver_lab.convert import hip_names, perceiver_ar_names  # noqa: F401  (make the names of these models known)
from perceiver_lab.convert.haiku_names import Entry, entries

_LISTED = 8  # names per kind in an error


def load_haiku(
    model: nnx.Module,
    params: Mapping[str, Any],
    state: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
) -> None:
    """Put the release's parameters into a model of the same sizes, in place. Either all arrays are set, or none.

    Args:
      model: a model, or any part of one.
      params: "module/path/name" -> array; or, as Haiku itself has it, "module/path" -> {"name": array}.
      state: the same for the running averages of batch norm; None leaves ours alone.
      name: of a part, if it is not the release's own, such as "classification_decoder/~/basic_decoder".

    Raises:
      ValueError: names that are missing, names that the model does not have, arrays of another shape: all listed. Or a
        model that the release has no names for.
    """
    wanted = [entry for entry in entries(model, name) if state is not None or not entry.is_state]
    given = _flatten(params) | _flatten(state or {})
    check_arrays({entry.name: entry.shape for entry in wanted}, given, type(model).__name__)
    # Grouped by variable: that of a scanned stack is set once, from all of its layers. (`counter` has two names.)
    groups: dict[int, list[Entry]] = {}
    for entry in wanted:
        if entry.fixed is not None:
            _check_fixed(entry, given)
            continue
        groups.setdefault(id(entry.variable), []).append(entry)
    values = [_value(group, given) for group in groups.values()]
    for group, value in zip(groups.values(), values, strict=True):
        variable = group[0].variable
        variable[...] = jnp.array(value.reshape(variable.shape).astype(variable.dtype))


def to_haiku(model: nnx.Module, *, name: str | None = None) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Parameters and running averages of a model under the release's names; the inverse of `load_haiku`.

    Args:
      model: a model, or any part of one.
      name: of a part, if it is not the release's own.

    Returns:
      (params, state), each "module/path/name" -> array.

    Raises:
      ValueError: a model that the release has no names for.
    """
    params, state = {}, {}
    for entry in entries(model, name):
        value = np.asarray(entry.variable[...] if entry.fixed is None else entry.fixed())
        value = value if entry.layer is None else value[entry.layer]
        (state if entry.is_state else params)[entry.name] = value.reshape(entry.shape)
    return params, state


def haiku_shapes(model: nnx.Module, *, name: str | None = None) -> dict[str, tuple[int, ...]]:
    """The shape of every array, state included, under the release's names. Works on abstract models too."""
    return {entry.name: entry.shape for entry in entries(model, name)}


def _flatten(tree: Mapping[str, Any]) -> dict[str, Array | np.ndarray]:
    flat = {}
    for path, value in tree.items():
        flat |= {f"{path}/{key}": leaf for key, leaf in value.items()} if isinstance(value, Mapping) else {path: value}
    return flat


def _check_fixed(entry: Entry, given: Mapping[str, Any]) -> None:
    """What this library computes cannot be loaded: it must be what the file has, but for float32's phases."""
    difference = float(np.abs(np.asarray(given[entry.name]) - np.asarray(entry.fixed())).max())
    if not difference <= 1e-6 * (10 + entry.shape[0]):
        raise ValueError(
            f"{entry.name} is a fixed table that this model computes, but the file has another (by {difference:.1e}). "
            "Build the model with learned positions to load it; nothing was loaded."
        )


def _value(group: list[Entry], given: Mapping[str, Any]) -> np.ndarray:
    arrays = [np.asarray(given[entry.name]) for entry in group]  # JAX would compile a program for every shape
    if group[0].layer is not None:
        return np.stack(arrays)
    if any((array != arrays[0]).any() for array in arrays[1:]):
        raise ValueError(f"{' and '.join(entry.name for entry in group)} must be equal; here one number serves both.")
    return arrays[0]


def check_arrays(shapes: Mapping[str, tuple[int, ...]], given: Mapping[str, Any], model: str) -> None:
    """Compare the arrays of a file with those of a model.

    Args:
      shapes: name -> shape of all that the model has.
      given: name -> array of all that the file has.
      model: name of its class, for the message.

    Raises:
      ValueError: they differ; missing names, unknown names and other shapes are listed.
    """
    odd = [
        f"{key}: {_described(given[key])} instead of {shapes[key]}"
        for key in shapes
        if key in given and not _fits(given[key], shapes[key])
    ]
    problems = {
        "missing": [key for key in shapes if key not in given],
        "unknown to this model": [key for key in given if key not in shapes],
        "of another shape": odd,
    }
    found = [f"{len(names)} {kind}: {_listed(names)}" for kind, names in problems.items() if names]
    if found:
        raise ValueError(
            f"These parameters are not those of this {model} of {len(shapes)} arrays. {'. '.join(found)}. "
            "Build the model with the sizes and parts that the parameters were trained with; nothing was loaded."
        )


def _fits(value, shape):
    is_array = isinstance(value, np.ndarray | np.generic | jax.Array | int | float)
    return is_array and np.shape(value) == shape and np.dtype(np.result_type(value)).kind in "fiu"


def _described(value):
    if not isinstance(value, np.ndarray | jax.Array):
        return f"a {type(value).__name__}"
    return str(value.shape) if value.dtype.kind in "fiu" else f"{value.shape} of {value.dtype}"


def _listed(names):
    shown = ", ".join(names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"
