"""Multi-head attention with separate widths for queries and keys, for values and for the output."""

from collections.abc import Callable

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.layers.linear import linear
from perceiver_lab.layers.recording import record, recording
from perceiver_lab.ops import CrossParams, attend, attention_weights
from perceiver_lab.ops.cross import LAYER_NORM_EPSILON, normalise


class Attention(nnx.Module):
    """output = concat over heads of softmax(q k^T / sqrt(d)) v, projected (2107.14795, appendix E).

        q = queries W_q + b_q        k = inputs W_k + b_k        v = inputs W_v + b_v

    Head h owns channels [h * d, (h + 1) * d) of each. No norm and no residual inside: those belong to the blocks.
    """

    def __init__(
        self,
        query_channels: int,
        kv_channels: int,
        *,
        num_heads: int,
        qk_channels: int | None = None,
        v_channels: int | None = None,
        output_channels: int | None = None,
        use_bias: bool = True,
        output_bias: bool = True,
        head_norm: Callable[[int, nnx.Rngs], nnx.Module] | None = None,
        rngs: nnx.Rngs,
    ):
        """Widths are of all heads together.

        Args:
          query_channels: width of the queries as they come.
          kv_channels: width of what is attended to, as it comes.
          num_heads: must divide `qk_channels` and `v_channels`.
          qk_channels: width of projected queries and keys; by default `query_channels`.
          v_channels: width of the values; by default `qk_channels`.
          output_channels: by default `v_channels`.
          use_bias: whether the projections of queries, keys and values have biases.
          output_bias: whether the output projection has a bias.
          head_norm: makes a norm for a head's queries, and another for its keys, that all heads share: `layer_norm`.
          rngs: for the initial weights.

        Raises:
          ValueError: more heads than divide the widths.
        """
        qk_channels = query_channels if qk_channels is None else qk_channels
        v_channels = qk_channels if v_channels is None else v_channels
        output_channels = v_channels if output_channels is None else output_channels
        check_heads(num_heads, qk_channels=qk_channels, v_channels=v_channels)
        self.num_heads = num_heads
        # nnx.Linear's own initialiser is the paper's: variance scaling by fan-in, truncated normal.
        self.query = linear(query_channels, qk_channels, use_bias=use_bias, rngs=rngs)
        self.key = linear(kv_channels, qk_channels, use_bias=use_bias, rngs=rngs)
        self.value = linear(kv_channels, v_channels, use_bias=use_bias, rngs=rngs)
        self.output = linear(v_channels, output_channels, use_bias=output_bias, rngs=rngs)
        self.query_norm = None if head_norm is None else head_norm(qk_channels // num_heads, rngs)
        self.key_norm = None if head_norm is None else head_norm(qk_channels // num_heads, rngs)

    def __call__(
        self,
        queries: Float[Array, "b n q"],
        inputs: Float[Array, "b m c"],
        *,
        mask: Bool[Array, "b n m"] | None = None,
    ) -> Float[Array, "b n o"]:
        """Let queries attend to inputs, both normalised already. A query that may attend to nothing gets the bias."""
        q = self.project_queries(queries)
        k, v = self.split_heads(self.key(inputs)), self.split_heads(self.value(inputs))
        k = k if self.key_norm is None else self.key_norm(k)
        return self.project_output(attend_recorded(q, k, v, mask=mask) if recording() else attend(q, k, v, mask=mask))

    def project_queries(self, queries: Float[Array, "b n q"]) -> Float[Array, "b n h d"]:
        """Queries, projected and split into heads."""
        q = self.split_heads(self.query(queries))
        return q if self.query_norm is None else self.query_norm(q)

    def project_output(self, context: Float[Array, "b n h e"]) -> Float[Array, "b n o"]:
        """The heads' contexts, concatenated and projected."""
        return self.output(context.reshape(*context.shape[:2], -1))

    def split_heads(self, x: Float[Array, "b n c"]) -> Float[Array, "b n h d"]:
        """Channels -> (head, channel of the head)."""
        return x.reshape(*x.shape[:2], self.num_heads, -1)

    def cross_params(self, norm: nnx.LayerNorm) -> CrossParams:
        """Norm, key and value weights for `ops.cross_attend`, which applies them itself, in the layers' precision."""
        kernels = (self.key.kernel, self.key.bias, self.value.kernel, self.value.bias)
        precision = jnp.float32 if self.key.dtype is None else self.key.dtype
        return CrossParams(norm.scale[...], norm.bias[...], *(one[...].astype(precision) for one in kernels))


def attend_recorded(q, k, v, *, mask=None):
    """`ops.attend` by its definition, with the weights as the recorder hands them back."""
    weights = record(attention_weights(q, k, mask=mask))
    return jnp.einsum("bhnm,bmhe->bnhe", weights, v)


class LayerNorm(nnx.LayerNorm):
    """Flax's layer, computed by `ops.cross.normalise` as the inputs of cross-attention are.

    x_hat * scale + bias. Flax multiplies deviation and scale first, a (b, n, c) array more: its backward pass takes a
    CPU longer.
    """

    def __call__(self, x: Float[Array, "*batch c"]) -> Float[Array, "*batch c"]:
        """Over the last axis, in float32."""
        row = (1,) * (x.ndim - 1) + (-1,)
        return normalise(x) * self.scale[...].reshape(row) + self.bias[...].reshape(row)


def layer_norm(channels: int, rngs: nnx.Rngs) -> LayerNorm:
    """LayerNorm as the papers' code has it: epsilon 1e-5 (Flax: 1e-6), variance from the centred values."""
    return LayerNorm(channels, epsilon=LAYER_NORM_EPSILON, rngs=rngs)


def check_heads(num_heads: int, **channels: int) -> None:
    """Refuse widths that the heads do not divide.

    Raises:
      ValueError: naming the width.
    """
    for name, width in channels.items():
        if num_heads < 1 or width % num_heads:
            raise ValueError(
                f"num_heads={num_heads} does not divide {name}={width}: each head owns an equal share of the channels. "
                f"Choose a number of heads that divides {width}, or another width."
            )
