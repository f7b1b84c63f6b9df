"""The two-layer network that follows every attention."""

import jax
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.layers.linear import linear


class MLP(nnx.Module):
    """contract(gelu(expand(x))): C -> widening_factor * C -> C, with the tanh approximation of GELU (1606.08415)."""

    def __init__(self, channels: int, *, widening_factor: int = 1, rngs: nnx.Rngs):
        """The Perceivers' own widening factor is 1; Transformers use 4."""
        self.expand = linear(channels, widening_factor * channels, rngs=rngs)
        self.contract = linear(widening_factor * channels, channels, rngs=rngs)

    def __call__(self, x: Float[Array, "*batch c"]) -> Float[Array, "*batch c"]:
        """Applied to each element on its own."""
        return self.contract(jax.nn.gelu(self.expand(x), approximate=True))
