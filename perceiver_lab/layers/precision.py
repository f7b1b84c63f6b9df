"""Mixed precision: products in bfloat16, while parameters, norms, softmax, residuals and sums stay in float32."""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike


def compute_in(model: nnx.Module, dtype: DTypeLike) -> nnx.Module:
    """Let every linear layer and convolution of a model multiply in another precision.

    Its parameters stay float32, and so do their gradients and the optimiser's state: what changes is the precision of
    the factors, which are converted on the way into each product. Accelerators multiply bfloat16 several times as fast.
    On a CPU nothing is gained.

    Args:
      model: changed in place; what is stored of it is not.
      dtype: "bfloat16", or "float32" to go back.

    Returns:
      The model.

    Raises:
      ValueError: another dtype. float16 overflows at 65,504 and would want its loss scaled.
    """
    dtype = jnp.dtype(dtype)
    if dtype not in (jnp.bfloat16, jnp.float32):
        raise ValueError(
            f"compute_in(model, {dtype.name!r}): choose bfloat16, which has the range of float32, or float32. float16 "
            "would overflow: it wants a scaled loss, which there is none of here."
        )
    for _, module in nnx.iter_graph(model):
        if isinstance(module, nnx.Linear | nnx.Conv):
            module.dtype = dtype if dtype == jnp.bfloat16 else None
    return model
