"""Masks: who may attend to whom. True = may, everywhere in this library."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int


def input_mask(mask: Bool[Array, "b m"], num_queries: int) -> Bool[Array, "b n m"]:
    """Every query may attend to the valid inputs, and to nothing else.

        mask   1 1 0        1 1 0
                      ->    1 1 0      num_queries = 2

    Used where latents read padded inputs (2107.14795, appendix E.1).
    """
    return jnp.broadcast_to(mask[:, None, :], (mask.shape[0], num_queries, mask.shape[1]))


def query_mask(mask: Bool[Array, "b n"], num_keys: int) -> Bool[Array, "b n m"]:
    """A valid query may attend to every key; a masked one to none, so that it gets zeros.

    mask   1           1 1 1
           0      ->   0 0 0      num_keys = 3
    """
    return jnp.broadcast_to(mask[:, :, None], (*mask.shape, num_keys))


def causal_mask(query_index: Int[Array, "b n"], key_index: Int[Array, "b m"]) -> Bool[Array, "b n m"]:
    """A query may attend to what comes before it in the sequence, and to its own place (2202.07765).

        query_index  2 4     key_index  0 1 2 3 4        1 1 1 0 0
                                                  ->     1 1 1 1 1

    Args:
      query_index: place of each query; one with -1 may attend to nothing.
      key_index: place of each key; `sequences.NOWHERE` hides one from everybody, such as padding.
    """
    return query_index[:, :, None] >= key_index[:, None, :]


def check_mask(mask: Array | None, shape: tuple[int, ...], name: str, axes: str) -> None:
    """Refuse a mask of another shape or type, at the boundary where the caller can still see which one it was.

    Raises:
      ValueError: `mask` is not a bool array of `shape`.
    """
    if mask is None:
        return
    if mask.shape != shape or mask.dtype != jnp.bool_:
        raise ValueError(
            f"{name} must be a bool array of shape {axes} = {shape}, True where the element is valid; got {mask.dtype} "
            f"of shape {mask.shape}. An integer mask becomes one by mask == 1."
        )
