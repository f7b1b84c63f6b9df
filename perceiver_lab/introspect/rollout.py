"""Attention rollout: through all layers back to the inputs, by multiplying attention maps (2005.00928)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from perceiver_lab.layers import AttentionMap


def rollout(
    maps: Sequence[AttentionMap], *, residual: float = 0.5, read_residual: float | None = None
) -> Float[np.ndarray, "b n m"]:
    """How much of each input is mixed into each latent, if attention were all that mixes.

    2005.00928 (section 3) averages the heads W of a layer, and takes the residual connection for an attention to
    itself: A = (1 - r) W + r I with r = 1/2. The product of all A says how much of an input has reached an output.
    For a Perceiver, R (N, M) holds how the latents are mixed from the inputs:

        first read     R = W                       what stays of the learned latents comes from no input
        latent layer   R = ((1 - r) W + r I) R
        later read     R = (1 - r) W + r R         the latents keep what they had read and add to it
        decoder        R = W R                     the outputs' queries come from no input

    Then each row sums to one. MLPs, values and the sign of what is added are left out: a map of where information can
    have come from, not of why the model answered as it did. Without a read (a Transformer) R starts as the identity.

    Args:
      maps: from `attention_maps`, all of them or the first few, in order.
      residual: r, the share of a layer's output that is its input.
      read_residual: r of the later reads; by default `residual`, 0 for a model without query residual.

    Returns:
      (b, n, m) float32. A row sums to one, or to zero where a latent could attend to no input at all.

    Raises:
      ValueError: no maps, a share outside [0, 1), or maps that do not follow on each other.
    """
    read_residual = residual if read_residual is None else read_residual
    _check(maps, residual, read_residual)
    mixed = None
    for name, weights in maps:
        mean = np.asarray(weights, np.float32).mean(axis=1)
        if name.startswith("read"):
            mixed = mean if mixed is None else _average(mean, mixed, read_residual, name)
        elif name.startswith("decode"):
            mixed = _follow(mean, mixed, name)
        else:
            identity = np.broadcast_to(np.eye(mean.shape[1], dtype=np.float32), (*mean.shape[:2], mean.shape[1]))
            layer = _average(mean, identity, residual, name)
            mixed = layer if mixed is None else _follow(layer, mixed, name)
        total = mixed.sum(axis=-1, keepdims=True)
        mixed = mixed / np.where(total > 0, total, 1)
    return mixed


def _average(new, old, share, name):
    if new.shape != old.shape:
        raise ValueError(
            f"The map {name!r} has shape {new.shape} without its heads, where {old.shape} was expected: it does not "
            "follow on the maps before it. Give the maps of one call of one model, in order."
        )
    return (1 - share) * new + share * old


def _follow(weights, mixed, name):
    if mixed is None or weights.shape[0] != mixed.shape[0] or weights.shape[2] != mixed.shape[1]:
        raise ValueError(
            f"The map {name!r} has shape {weights.shape} without its heads and looks back at "
            f"{'nothing' if mixed is None else mixed.shape}: it does not follow on the maps before it. Give the maps "
            "of one call of one model, in order, from the first read on."
        )
    return weights @ mixed


def _check(maps, residual, read_residual):
    if not len(maps):
        raise ValueError("There are no maps to roll out. Give those of introspect.attention_maps(model, inputs).")
    for name, share in (("residual", residual), ("read_residual", read_residual)):
        if not 0 <= share < 1:
            raise ValueError(f"{name}={share} is the share of a layer that is its own input: at least 0 and below 1.")
    for entry in maps:
        if not isinstance(entry, tuple) or len(entry) != 2 or np.ndim(entry[1]) != 4:
            raise ValueError(
                "rollout wants AttentionMap(name, weights (b, h, n, m)) as attention_maps returns them; got "
                f"{type(entry).__name__}. The names tell reads from latent layers."
            )
