"""A linear layer for sequences whose backward pass is fast on a CPU."""

import jax
from flax import nnx
from jaxtyping import Array, Float


def linear(input_channels: int, output_channels: int, *, rngs: nnx.Rngs, **options) -> nnx.Linear:
    """`nnx.Linear` that multiplies rows: (b, n, c) goes through the product as (b * n, c).

    The numbers are the same, and so are the names of the parameters. But the gradient of the kernel is then a product
    of two matrices, which XLA takes as they lie. Of three axes it would first write a transposed copy of every gradient
    (on two cores, a fifth of a training step of the language model in benchmarks/peers.py).

    Args:
      input_channels: of each row.
      output_channels: of each row of the result.
      rngs: for the initial weights.
      **options: of `nnx.Linear`.
    """
    return nnx.Linear(input_channels, output_channels, dot_general=_multiply_rows, rngs=rngs, **options)


def _multiply_rows(
    x: Float[Array, "*batch c"], kernel: Float[Array, "c d"], dimension_numbers, **options
) -> Float[Array, "*batch d"]:
    """`jax.lax.dot_general` as `nnx.Linear` calls it, always for the last axis of x and the first of the kernel."""
    rows = jax.lax.dot_general(x.reshape(-1, x.shape[-1]), kernel, (((1,), (0,)), ((), ())), **options)
    return rows.reshape(*x.shape[:-1], kernel.shape[-1])
