"""Parameters of the released resamplers and gated layers into ours, and ours back.

Both sides are plain mappings from name to array, such as the `safetensors` package reads; neither PyTorch nor
`transformers` is needed. Names: `resampler_names`.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.convert.haiku import check_arrays
from perceiver_lab.convert.resampler_names import entries


def load_resampler(module: nnx.Module, arrays: Mapping[str, Any], *, source: str) -> None:
    """Put released parameters into a resampler or a gated layer of the same sizes, in place: all of them, or none.

    Args:
      module: a `Resampler` or a `GatedCrossAttention`.
      arrays: name there -> array, without the path of the module that it is a part of there.
      source: "flamingo_pytorch", "open_flamingo" or "idefics".

    Raises:
      ValueError: names that are missing or unknown, arrays of another shape: all listed. Or a module that the source
        has no names for.
    """
    found = entries(module, source)
    check_arrays({entry.name: entry.shape for entry in found}, arrays, type(module).__name__)
    for entry in found:
        value, start = np.asarray(arrays[entry.name]), 0  # JAX would compile a program for every shape
        for variable in entry.variables:
            rows = variable.shape[1] if entry.linear else value.shape[0]
            part, start = value[start : start + rows], start + rows
            part = part.T if entry.linear else part.reshape(variable.shape)
            variable[...] = jnp.array(part.astype(variable.dtype))


def to_resampler(module: nnx.Module, *, source: str) -> dict[str, np.ndarray]:
    """The parameters of a resampler or a gated layer under released names; the inverse of `load_resampler`.

    Raises:
      ValueError: a module that the source has no names for.
    """
    arrays = {}
    for entry in entries(module, source):
        parts = [np.asarray(variable[...]) for variable in entry.variables]
        whole = np.concatenate([part.T for part in parts]) if entry.linear else parts[0]
        arrays[entry.name] = whole.reshape(entry.shape)
    return arrays


def resampler_shapes(module: nnx.Module, *, source: str) -> dict[str, tuple[int, ...]]:
    """The shape of every array under released names. Works on abstract modules too."""
    return {entry.name: entry.shape for entry in entries(module, source)}
