"""What a call costs, from shapes alone: nothing is computed and nothing allocated."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx
from jax.extend.core import ClosedJaxpr, Jaxpr

from perceiver_lab.ops.cross import Choice, noted_choices


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one call.

    Attributes:
      parameters: numbers to learn, of all modules involved.
      parameter_bytes: their size.
      multiply_adds: of all matrix products and convolutions, loops with their number of turns.
      flops: 2 * multiply_adds, multiplication and addition counted each, as the papers do (2103.03206, appendix B).
      compiler_flops: what XLA counts in the program before optimisation. Everything else is in it too (norms, softmax,
        GELU), but the body of a loop only once.
      bytes_accessed: bytes that XLA counts as read and written by that program; loops as above.
      output_bytes: size of what is returned.
      reads: for each cross-attention that chose among its forms, which one and why (`str(read)`).
      temporary_bytes: memory that the compiled program needs beside arguments and outputs; None unless compiled.
    """

    parameters: int
    parameter_bytes: int
    multiply_adds: int
    flops: int
    compiler_flops: float
    bytes_accessed: float
    output_bytes: int
    reads: tuple[Choice, ...] = ()
    temporary_bytes: int | None = None


def cost(fn_or_model: Callable[..., Any], *args: Any, compiled: bool = False, **kwargs: Any) -> Cost:
    """Count what `fn_or_model(*args, **kwargs)` costs.

    ::

        make = lambda: Perceiver(config, input_adapter=..., output_adapter=..., rngs=nnx.Rngs(0))
        cost(nnx.eval_shape(make), jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32))

    Args:
      fn_or_model: a model, real or from `nnx.eval_shape`, or a function; models may also be among its arguments.
      *args: arrays or `jax.ShapeDtypeStruct`; only their shapes and dtypes count.
      compiled: also compile, for `temporary_bytes`. Takes as long as compiling takes.
      **kwargs: keyword arguments of the call. Those that are no arrays are passed on as they are.

    Raises:
      ValueError: `fn_or_model` cannot be called.
    """
    if not callable(fn_or_model):
        raise ValueError(
            f"cost counts a call of a model or a function; got {type(fn_or_model).__name__}, which cannot be called. "
            "Give the model itself and then its arguments."
        )
    leaves, structure = jax.tree.flatten((fn_or_model, args, kwargs), is_leaf=lambda node: isinstance(node, nnx.Module))
    modules = {number: leaf for number, leaf in enumerate(leaves) if isinstance(leaf, nnx.Module)}
    graphdefs, states = {}, {}
    for number, module in modules.items():
        graphdefs[number], states[number] = nnx.split(module)
    arrays = {number: _abstract(leaf) for number, leaf in enumerate(leaves) if _is_array(leaf)}

    def call(states, arrays):
        merged = {number: nnx.merge(graphdefs[number], state) for number, state in states.items()}
        known = merged | arrays
        fn, args, kwargs = jax.tree.unflatten(
            structure, [known.get(number, leaf) for number, leaf in enumerate(leaves)]
        )
        return fn(*args, **kwargs)

    states = jax.tree.map(_abstract, states)
    parameters = [nnx.state(module, nnx.Param) for module in modules.values()]
    with noted_choices() as reads:
        traced = jax.jit(call).trace(states, arrays)
    lowered = traced.lower()
    counted, multiply_adds = lowered.cost_analysis() or {}, _multiply_adds(traced.jaxpr.jaxpr)
    return Cost(
        parameters=_size(parameters),
        parameter_bytes=_bytes(parameters),
        multiply_adds=multiply_adds,
        flops=2 * multiply_adds,
        compiler_flops=counted.get("flops", math.nan),
        bytes_accessed=counted.get("bytes accessed", math.nan),
        output_bytes=_bytes(traced.out_info),
        reads=tuple(reads),
        temporary_bytes=lowered.compile().memory_analysis().temp_size_in_bytes if compiled else None,
    )


def _multiply_adds(jaxpr: Jaxpr) -> int:
    """Of matrix products and convolutions; of branches the dearest counts, of a while loop one turn."""
    total = 0
    for equation in jaxpr.eqns:
        name, inner = equation.primitive.name, [_multiply_adds(one) for one in _inner(equation.params)]
        if name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            total += _numbers(equation.outvars[0]) * math.prod(equation.invars[0].aval.shape[i] for i in contracted)
        elif name == "conv_general_dilated":
            kernel = equation.invars[1]
            features = kernel.aval.shape[equation.params["dimension_numbers"].rhs_spec[0]]
            total += _numbers(equation.outvars[0]) * _numbers(kernel) // features
        elif name == "cond":
            total += max(inner)
        else:
            total += sum(inner) * (equation.params["length"] if name == "scan" else 1)
    return total


def _inner(params):
    """The programs that an operation calls: bodies of loops, branches, jitted functions."""
    for value in jax.tree.leaves(list(params.values()), is_leaf=lambda node: isinstance(node, ClosedJaxpr | Jaxpr)):
        if isinstance(value, ClosedJaxpr):
            yield value.jaxpr
        elif isinstance(value, Jaxpr):
            yield value


def _numbers(variable):
    return math.prod(variable.aval.shape)


def _is_array(leaf):
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def _abstract(leaf):
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def _size(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _bytes(tree):
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
