"""What the pickles of the release may name, and what is made of it: mappings, and NumPy arrays of real numbers.

Each name stands for a function of this file that builds the thing from plain data, so nothing is imported or called.
"""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class CheckpointError(ValueError):
    """A file that is no checkpoint of the release, or holds more than arrays."""


class Name(NamedTuple):
    """Something the file names; only a label here."""

    module: str
    name: str

    def __str__(self):
        return f"{self.module}.{self.name}"


class Dtype:
    """A NumPy dtype; its byte order follows in an instruction of its own."""

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype


class Pending:
    """An array that has been announced; its content follows in an instruction of its own."""

    def __init__(self, array: np.ndarray | None = None):
        self.array = array


def call(function: Any, arguments: Any) -> Any:
    """Do what a name stands for."""
    if not isinstance(function, Name) or function not in CALLS or not isinstance(arguments, tuple):
        raise CheckpointError("The pickle calls something that cannot be called.")
    try:
        return CALLS[function](*arguments)
    except TypeError as error:
        raise CheckpointError(f"The pickle calls {function} with other arguments than an array needs.") from error


def _encode(text: Any, encoding: Any) -> bytes:
    """How bytes are written in the oldest protocols."""
    if not isinstance(text, str) or encoding != "latin1" or not _is_latin(text):
        raise CheckpointError("The pickle holds bytes that are none.")
    return text.encode("latin1")


def _is_latin(text: str) -> bool:
    """Whether every character stands for one byte."""
    return max(text, default="") <= "\xff"


def _mapping(content: Any = ()) -> dict[str, Any]:
    """Haiku's FlatMapping and the ordered dictionary of Python: what they hold is what counts."""
    if content == ():
        return {}
    if not isinstance(content, dict):
        raise CheckpointError("The pickle makes a mapping of something that is none.")
    return content


def _dtype(code: Any, align: Any = False, copy: Any = True) -> Dtype:
    del align, copy
    if not isinstance(code, str) or not re.fullmatch(r"f[248]|[iu][1248]|b1", code):
        shown = repr(code[:20]) if isinstance(code, str) else "no text"
        raise CheckpointError(f"The pickle holds an array of the type {shown}; only real numbers are allowed.")
    return Dtype(np.dtype(code))


def _announced(kind: Any, shape: Any, code: Any) -> Pending:
    del shape, code  # placeholders
    if kind != Name("numpy", "ndarray"):
        raise CheckpointError("The pickle makes an array of a class that is not NumPy's own.")
    return Pending()


def _scalar(dtype: Any, data: Any) -> Pending:
    return Pending(_array((), dtype, data, "C"))


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Pending:
    return Pending(_array(shape, dtype, data, order))


def _from_jax(function: Any, arguments: Any, state: Any, properties: Any) -> Pending:
    """An array of JAX is one of NumPy, and what JAX knows beside (`weak_type`)."""
    del properties
    if CALLS.get(function) is not _announced:
        raise CheckpointError("The pickle makes an array of JAX of something that is no array of NumPy.")
    made = call(function, arguments)
    build(made, state)
    return made


def build(target: Any, state: Any) -> None:
    """What `__setstate__` does for dtypes and arrays."""
    if isinstance(target, Dtype) and isinstance(state, tuple) and len(state) >= 5:
        order, parts = state[1], state[2:5]
        if order not in ("<", ">", "|", "=") or parts != (None, None, None):
            raise CheckpointError("The pickle holds an array whose elements have parts; only numbers are allowed.")
        target.dtype = target.dtype.newbyteorder(order)
    elif isinstance(target, Pending) and target.array is None and isinstance(state, tuple) and len(state) == 5:
        _, shape, dtype, in_columns, data = state
        target.array = _array(shape, dtype, data, "F" if in_columns else "C")
    else:
        raise CheckpointError("The pickle sets the state of something that is neither an array nor its type.")


def _array(shape: Any, dtype: Any, data: Any, order: Any) -> np.ndarray:
    """The array itself, a view of the bytes that were read."""
    sizes = isinstance(shape, tuple) and all(isinstance(n, int) and 0 <= n < 2**40 for n in shape) and len(shape) <= 8
    if not sizes or not isinstance(dtype, Dtype) or not isinstance(data, bytes | bytearray) or order not in ("C", "F"):
        raise CheckpointError("The pickle holds an array without a proper shape, type or content.")
    if math.prod(shape) * dtype.dtype.itemsize != len(data):
        raise CheckpointError(f"The pickle holds an array of shape {shape} with content of {len(data)} bytes.")
    array = np.frombuffer(data, dtype.dtype).reshape(shape, order=order)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


_HAIKU = "haiku._src.data_structures"
CALLS: dict[Name, Callable[..., Any]] = {
    Name("_codecs", "encode"): _encode,
    Name("collections", "OrderedDict"): _mapping,
    Name(_HAIKU, "FlatMapping"): _mapping,
    Name("jax._src.array", "_reconstruct_array"): _from_jax,
    Name("jax._src.device_array", "reconstruct_device_array"): _from_jax,
    Name("numpy", "dtype"): _dtype,
}
for _core in ("numpy.core", "numpy._core"):
    CALLS[Name(f"{_core}.multiarray", "_reconstruct")] = _announced
    CALLS[Name(f"{_core}.multiarray", "scalar")] = _scalar
    CALLS[Name(f"{_core}.numeric", "_frombuffer")] = _from_buffer
LABELS = {Name("numpy", "ndarray")}
