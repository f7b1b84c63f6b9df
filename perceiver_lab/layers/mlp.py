"""The two-layer network that follows every attention."""

import jax
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.layers.linear import linear

ACTIVATIONS = {
    "gelu": lambda x: jax.nn.gelu(x, approximate=True),  # tanh approximation (1606.08415), as the release has it
    "gelu_exact": lambda x: jax.nn.gelu(x, approximate=False),
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "squared_relu": lambda x: jax.nn.relu(x) ** 2,  # 2109.08668
}


class MLP(nnx.Module):
    """contract(activation(expand(x))): C -> widening_factor * C -> C."""

    def __init__(
        self,
        channels: int,
        *,
        widening_factor: int = 1,
        activation: str = "gelu",
        use_bias: bool = True,
        rngs: nnx.Rngs,
    ):
        """The Perceivers' own widening factor is 1; Transformers use 4.

        Args:
          channels: C.
          widening_factor: how many times wider it is inside.
          activation: "gelu", or another of `ACTIVATIONS`; the Perceiver's later relatives have "squared_relu".
          use_bias: whether the two layers have biases.
          rngs: for the initial weights.

        Raises:
          ValueError: another activation.
        """
        check_activation(activation)
        self.activation = activation
        self.expand = linear(channels, widening_factor * channels, use_bias=use_bias, rngs=rngs)
        self.contract = linear(widening_factor * channels, channels, use_bias=use_bias, rngs=rngs)

    def __call__(self, x: Float[Array, "*batch c"]) -> Float[Array, "*batch c"]:
        """Applied to each element on its own."""
        return self.contract(ACTIVATIONS[self.activation](self.expand(x)))


class GatedMLP(nnx.Module):
    """contract(activation(gate(x)) * expand(x)) without biases; with "silu" it is SwiGLU (2002.05202)."""

    def __init__(self, channels: int, hidden_channels: int, *, activation: str = "silu", rngs: nnx.Rngs):
        """C -> hidden_channels -> C.

        Raises:
          ValueError: an unknown activation.
        """
        check_activation(activation)
        self.activation = activation
        self.gate = linear(channels, hidden_channels, use_bias=False, rngs=rngs)
        self.expand = linear(channels, hidden_channels, use_bias=False, rngs=rngs)
        self.contract = linear(hidden_channels, channels, use_bias=False, rngs=rngs)

    def __call__(self, x: Float[Array, "*batch c"]) -> Float[Array, "*batch c"]:
        """Applied to each element on its own."""
        return self.contract(ACTIVATIONS[self.activation](self.gate(x)) * self.expand(x))


def check_activation(activation: str) -> None:
    """Refuse what is not in `ACTIVATIONS`.

    Raises:
      ValueError: naming it.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation!r} is unknown; choose one of {', '.join(ACTIVATIONS)}.")
