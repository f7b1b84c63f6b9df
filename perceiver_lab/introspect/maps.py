"""Who looked at what: the weights of every attention layer of a model, for one batch."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.layers import AttentionMap, record_attention


@functools.partial(jax.tree_util.register_dataclass, data_fields=["weights"], meta_fields=["names"])
@dataclasses.dataclass
class _Maps:
    """Recorded weights on their way out of a jitted function, which lets arrays through but no names."""

    weights: list[Array]
    names: tuple[str, ...]


def attention_maps(
    model: nnx.Module,
    x: Any,
    *,
    positions: Float[Array, "b m a"] | Float[np.ndarray, "b m a"] | None = None,
    mask: Bool[Array, "b m"] | Bool[np.ndarray, "b m"] | None = None,
    latent_mask: Bool[Array, "b n"] | Bool[np.ndarray, "b n"] | None = None,
    replace: Mapping[str, Float[Array, "_ _ _ _"] | Float[np.ndarray, "_ _ _ _"]] | None = None,
) -> tuple[Any, list[AttentionMap]]:
    """Call a model and bring along the attention weights of all its layers, in the order in which they act.

    Compiled once for each model structure and each set of shapes; the weights are arguments, so a model that has
    learned since is seen as it is now.

    Args:
      model: any model made of this library's attention layers.
      x: a batch, as the model takes it.
      positions: handed on if given.
      mask: handed on if given.
      latent_mask: handed on if given.
      replace: name of a layer -> weights with which it averages its values instead of its own; a batch of one serves
        every example. What the model returns, it returns with these.

    Returns:
      What the model returns, and `AttentionMap(name, weights)` for each layer, as NumPy arrays. Weights are float32
      (b, h, n, m); of a Perceiver they are called "read 0", "block 0 layer 0", ..., of a decoder "decode".

    Raises:
      ValueError: `model` is no model; weights of another shape than the layer's, or of a layer that there is not.
      RuntimeError: nothing in it attends.
    """
    check_model(model, "attention_maps")
    graphdef, state = nnx.split(model)
    masks = {"positions": positions, "mask": mask, "latent_mask": latent_mask}
    given = {name: value for name, value in masks.items() if value is not None}
    output, maps = _looking(graphdef)(state, x, given, dict(replace or {}))
    weights = [np.asarray(one, np.float32) for one in maps.weights]
    named = [AttentionMap(name, one) for name, one in zip(maps.names, weights, strict=True)]
    return jax.tree.map(np.asarray, output), named


@functools.lru_cache(maxsize=64)
def _looking(graphdef):
    """The program that calls and records; kept here so that a structure seen before is not compiled again."""

    @jax.jit
    def look(state, x, given, replace):
        with record_attention(replace) as maps:
            output = nnx.merge(graphdef, state)(x, **given)
        return output, _Maps([entry.weights for entry in maps], tuple(entry.name for entry in maps))

    return look


def check_model(model: Any, function: str) -> None:
    """Refuse what is no module, such as a jitted function.

    Raises:
      ValueError: naming what came.
    """
    if not isinstance(model, nnx.Module):
        raise ValueError(
            f"{function} looks into a model, an nnx.Module; got {type(model).__name__}. Give the model itself, not a "
            "function that calls it."
        )
