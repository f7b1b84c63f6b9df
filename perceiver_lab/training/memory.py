"""What to say when memory runs out: which arrays are large, and what makes them smaller."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr


class OutOfMemoryError(MemoryError):
    """A training step that needs more memory than there is; the message names its largest arrays."""


@contextlib.contextmanager
def memory_explained(step: int, function: Callable[..., Any], *shapes: Any) -> Iterator[None]:
    """Turn XLA's report of too little memory into one that names arrays.

    Args:
      step: counted from 1.
      function: what is computed inside.
      *shapes: its arguments, or `jax.ShapeDtypeStruct`s of them.

    Raises:
      OutOfMemoryError: memory ran out. Other errors of XLA pass through.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        # A CPU says it under INTERNAL when the memory is that of a temporary.
        if "RESOURCE_EXHAUSTED" not in str(error) and "Out of memory" not in str(error):
            raise
        arguments, made = largest_arrays(function, *shapes)
        raise OutOfMemoryError(
            f"Step {step} needs more memory than there is ({str(error).splitlines()[0]}). Its largest array is {made}; "
            f"the largest that it is given, {arguments}. Make the batch smaller first (half the batch, half of nearly "
            "all of this); then the number of inputs or of latents, whose product is what cross-attention costs."
        ) from error


def largest_arrays(function: Callable[..., Any], *shapes: Any) -> tuple[str, str]:
    """The largest array among a function's arguments and the largest that it makes, before XLA fuses any away.

    Returns:
      "float32(64, 784, 3), 0.6 MB" and "float32(64, 8, 512, 784) of a dot_general, 822.1 MB".
    """
    jaxpr = jax.make_jaxpr(function)(*shapes).jaxpr
    given = max((variable.aval for variable in jaxpr.invars), key=_bytes)
    made, primitive = max(_made(jaxpr), key=lambda pair: _bytes(pair[0]))
    return _told(given, ""), _told(made, f" of a {primitive}")


def _made(jaxpr):
    for equation in jaxpr.eqns:
        inner = [found for value in equation.params.values() for found in _programs(value)]
        for one in inner:
            yield from _made(one)
        if not inner:
            yield from ((variable.aval, equation.primitive.name) for variable in equation.outvars)


def _programs(value):
    if isinstance(value, ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, Jaxpr):
        return [value]
    return [found for one in value for found in _programs(one)] if isinstance(value, list | tuple) else []


def _bytes(aval):
    sized = hasattr(aval, "dtype") and not jax.dtypes.issubdtype(aval.dtype, jax.dtypes.extended)
    return math.prod(aval.shape) * np.dtype(aval.dtype).itemsize if sized else 0


def _told(aval, origin):
    return f"{np.dtype(aval.dtype).name}{tuple(aval.shape)}{origin}, {_bytes(aval) / 1e6:.1f} MB"
