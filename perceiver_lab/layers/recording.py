"""Attention maps without touching a signature: attention hands its weights to a recorder, if one is listening.

@jax.jit
def look(model, images):
    with record_attention() as maps:
        logits = model(images)
    return logits, [entry.weights for entry in maps]
"""

import contextlib
import contextvars
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

try:
    from jax.extend.core import get_opaque_trace_state
except ImportError:  # jax 0.7
    from jax.core import get_opaque_trace_state


class AttentionMap(NamedTuple):
    """The weights of one attention layer: who looked at what."""

    name: str
    weights: Float[Array, "b h n m"]


class _Recorder:
    def __init__(self, replace):
        self.maps: list[AttentionMap] = []
        self.replace = replace
        self.trace = _trace()


_recorder: contextvars.ContextVar[_Recorder | None] = contextvars.ContextVar("recorder", default=None)
_label: contextvars.ContextVar[str] = contextvars.ContextVar("label", default="")


@contextlib.contextmanager
def record_attention(
    replace: Mapping[str, Float[Array, "_ _ _ _"]] | None = None,
) -> Iterator[list[AttentionMap]]:
    """Collect the attention weights of everything that is called inside, in order.

    Open it inside the function that is jitted, and return the weights from that function.

    Args:
      replace: name of a layer -> weights with which it averages its values instead of those that it computes; a batch
        of one serves every example. It is these that are collected.

    Yields:
      A list that fills up: `AttentionMap(name, weights (b, h, n, m))`, names as given by `labelled`.

    Raises:
      RuntimeError: nothing was recorded (a jitted function that was compiled before runs without asking), or the
        weights belong to a function that is traced inside, from which they cannot be carried out.
      ValueError: weights to put in place of a layer's that are of another shape, or of a layer that did not attend.
    """
    recorder = _Recorder(dict(replace or {}))
    token = _recorder.set(recorder)
    try:
        yield recorder.maps
    finally:
        _recorder.reset(token)
    if not recorder.maps:
        raise RuntimeError(
            "No attention was recorded. Either nothing inside attends, or it is a jitted function that was compiled "
            "before and no longer runs its Python. Open record_attention inside that function, or call "
            "introspect.attention_maps(model, inputs), which does it for you."
        )
    names = [entry.name for entry in recorder.maps]
    missed = [name for name in recorder.replace if name not in names]
    if missed:
        raise ValueError(
            f"There are weights to replace those of {', '.join(missed)}, but the layers that attended are "
            f"{', '.join(names)}. Name one of these."
        )


def recording() -> bool:
    """Whether someone is listening, so that the weights must be computed explicitly."""
    return _recorder.get() is not None


def record(weights: Float[Array, "b h n m"]) -> Float[Array, "b h n m"]:
    """Hand the weights of one layer to the recorder; returns those to go on with, which it may have replaced."""
    recorder = _recorder.get()
    if recorder.trace != _trace():
        raise RuntimeError(
            "record_attention was opened outside a function that JAX traces (jit, grad, scan) and attention runs "
            "inside of it: its weights cannot be carried out. Open record_attention inside that function, or call "
            "introspect.attention_maps(model, inputs), which does it for you."
        )
    name = _label.get()
    if name in recorder.replace:
        weights = _replaced(name, recorder.replace[name], weights)
    recorder.maps.append(AttentionMap(name, weights))
    return weights


def _replaced(name, given, weights):
    if given.shape not in (weights.shape, (1, *weights.shape[1:])):
        raise ValueError(
            f"The weights to replace those of {name!r} have shape {given.shape}; expected (b, h, n, m) = "
            f"{weights.shape}, or a batch of one."
        )
    return jnp.broadcast_to(given, weights.shape)


@contextlib.contextmanager
def labelled(name: str) -> Iterator[None]:
    """Name the attention layers that are called inside; labels nest: "block 0" around "layer 1"."""
    token = _label.set(f"{_label.get()} {name}".strip())
    try:
        yield
    finally:
        _label.reset(token)


def _trace():
    return get_opaque_trace_state(convention="flax")
