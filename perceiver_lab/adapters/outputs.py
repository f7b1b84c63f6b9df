"""Output adapters: from latents or decoded queries to what is asked for."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.layers.positions import plain_linear
from perceiver_lab.ops import check_mask


class ClassOutput(nnx.Module):
    """Class logits from the average of the latents through one linear layer (2103.03206, section 3.1)."""

    def __init__(self, latent_channels: int, num_classes: int, *, rngs: nnx.Rngs):
        """The weights start from zero, as in the release: every class begins equally likely."""
        self.num_classes = num_classes
        self.linear = nnx.Linear(latent_channels, num_classes, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(
        self, latents: Float[Array, "b n d"], *, latent_mask: Bool[Array, "b n"] | None = None
    ) -> Float[Array, "b k"]:
        """Average and project.

        Args:
          latents: the latents after the last block.
          latent_mask: True = the latent takes part in the average. With none left the average is zero.
        """
        if latent_mask is None:
            return self.linear(latents.mean(axis=1))
        check_mask(latent_mask, latents.shape[:2], "latent_mask", "(B, N)")
        taking_part = latent_mask[..., None]
        count = jnp.maximum(taking_part.sum(axis=1), 1)
        return self.linear(jnp.where(taking_part, latents, 0.0).sum(axis=1) / count)


class LinearOutput(nnx.Module):
    """A linear layer on every decoded query (2107.14795, section 3.2)."""

    def __init__(self, input_channels: int, output_channels: int, *, only_query: bool = False, rngs: nnx.Rngs):
        """`only_query`: there is one query, and its row is the output, as for class logits."""
        self.only_query = OnlyQuery() if only_query else None
        self.linear = plain_linear(input_channels, output_channels, rngs=rngs)

    def __call__(self, decoded: Float[Array, "b o e"]) -> Float[Array, "b *o k"]:
        """(B, O, E) -> (B, O, K), or (B, K) of the first query."""
        projected = self.linear(decoded)
        return projected if self.only_query is None else self.only_query(projected)


class OnlyQuery(nnx.Module):
    """What one query asked for: (B, 1, K) -> (B, K). Of several queries, the first. No parameters."""

    def __call__(self, decoded: Float[Array, "b o k"]) -> Float[Array, "b k"]:
        """Drop the axis of the queries."""
        return decoded[:, 0]
