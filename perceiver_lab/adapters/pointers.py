"""Pointing from one element of a set at another, such as a unit of a game at its target."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.layers.positions import plain_linear
from perceiver_lab.ops import check_mask
from perceiver_lab.ops.attention import MASKED


class Pointer(nnx.Module):
    """Vectors of a set -> for each element, how likely it points at each: the scores of an attention (1506.03134).

    logits_ij = (x_i W_q + b_q) . (x_j W_k + b_k) / sqrt(d)
    """

    def __init__(self, channels: int, *, pointer_channels: int | None = None, rngs: nnx.Rngs):
        """Put a pointer together.

        Args:
          channels: C, width of the vectors.
          pointer_channels: d, where who points and what is pointed at meet; by default C.
          rngs: for the initial weights.
        """
        width = channels if pointer_channels is None else pointer_channels
        self.from_vector = plain_linear(channels, width, rngs=rngs)
        self.at_vector = plain_linear(channels, width, rngs=rngs)

    def __call__(
        self, vectors: Float[Array, "b m c"], *, mask: Bool[Array, "b m"] | None = None
    ) -> Float[Array, "b m m"]:
        """Logits, row i of them for where element i points.

        Args:
          vectors: one per element.
          mask: True = there is such an element. The others are never pointed at: their probability is exactly 0.

        Raises:
          ValueError: vectors of another width, a mask of another shape, or, outside of jit, a set without elements.
        """
        if vectors.ndim != 3 or vectors.shape[-1] != self.from_vector.in_features or 0 in vectors.shape:
            raise ValueError(
                f"Vectors must be (B, M, {self.from_vector.in_features}), one per element, M at least 1; got "
                f"{vectors.shape}."
            )
        check_mask(mask, vectors.shape[:2], "mask", "(B, M)")
        check_elements(mask)
        logits = jnp.einsum("bmd,bnd->bmn", self.from_vector(vectors), self.at_vector(vectors))
        logits = logits / self.from_vector.out_features**0.5
        return logits if mask is None else jnp.where(mask[:, None, :], logits, MASKED)


def check_elements(mask: Array | None) -> None:
    """Refuse a set without elements. Inside a compiled function the mask is unknown and not checked.

    Raises:
      ValueError: a row of the mask without any True.
    """
    if mask is None or isinstance(mask, jax.core.Tracer):
        return
    empty = np.flatnonzero(~np.asarray(mask).any(axis=1))
    if len(empty):
        raise ValueError(
            f"The sets {empty[:10].tolist()} of this batch have no elements: their mask is False everywhere, and there "
            "is nothing to point at. Leave them out of the batch."
        )
