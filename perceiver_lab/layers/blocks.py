"""The two blocks that every model here is made of: cross-attention and self-attention, each with its MLP."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.layers.attention import Attention, attend_recorded, layer_norm
from perceiver_lab.layers.mlp import MLP
from perceiver_lab.layers.recording import recording
from perceiver_lab.ops import cross_attend_slices
from perceiver_lab.ops.cross import project


class CrossAttentionBlock(nnx.Module):
    """Queries read inputs, pre-norm (2103.03206, section 3.1; 2107.14795, appendix E).

    x = queries + attention(norm(queries), norm(inputs))        (the residual is optional)
    x = x + mlp(norm(x))
    """

    def __init__(
        self,
        query_channels: int,
        kv_channels: int,
        *,
        num_heads: int = 1,
        qk_channels: int | None = None,
        v_channels: int | None = None,
        widening_factor: int = 1,
        activation: str = "gelu",
        use_query_residual: bool = True,
        dropout_rate: float = 0.0,
        axis_name: str | None = None,
        rngs: nnx.Rngs,
    ):
        """Queries keep their width.

        Args:
          query_channels: width of the queries and of the result.
          kv_channels: width of the inputs.
          num_heads: must divide the two widths that follow.
          qk_channels: width at which queries and keys meet; by default `kv_channels`, as in the papers.
          v_channels: width of the values; by default `qk_channels`.
          widening_factor: of the MLP.
          activation: of the MLP, "gelu" or "squared_relu".
          use_query_residual: add the queries as they came to what they read.
          dropout_rate: after the attention and after the MLP, in training.
          axis_name: of the axis along which a mesh in use, if it has it, splits the inputs: `ops.cross_attend_slices`.
          rngs: for the initial weights.

        Raises:
          ValueError: more heads than divide the widths.
        """
        self.axis_name = axis_name
        self.use_query_residual = use_query_residual
        self.query_norm = layer_norm(query_channels, rngs)
        self.kv_norm = layer_norm(kv_channels, rngs)
        self.attention = Attention(
            query_channels,
            kv_channels,
            num_heads=num_heads,
            qk_channels=kv_channels if qk_channels is None else qk_channels,
            v_channels=v_channels,
            output_channels=query_channels,
            rngs=rngs,
        )
        self.mlp_norm = layer_norm(query_channels, rngs)
        self.mlp = MLP(query_channels, widening_factor=widening_factor, activation=activation, rngs=rngs)
        self.dropout = nnx.Dropout(dropout_rate)

    def __call__(
        self,
        queries: Float[Array, "#b n q"],
        inputs: Float[Array, "b m c"],
        *,
        mask: Bool[Array, "b n m"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n q"]:
        """Read the inputs.

        Args:
          queries: one per row of the result; a batch of one reads every example, and is projected once.
          inputs: what is read.
          mask: True where query n may attend to input m; by default everywhere.
          train: whether dropout acts.
          rngs: for dropout, stream "dropout".
        """
        q = self.attention.project_queries(self.query_norm(queries))
        q = jnp.broadcast_to(q, (len(inputs), *q.shape[1:]))
        params = self.attention.cross_params(self.kv_norm)
        if recording():
            context = attend_recorded(q, *project(inputs, params, self.attention.num_heads), mask=mask)
        else:
            context = cross_attend_slices(q, inputs, params, mask=mask, axis_name=self.axis_name)
        return self.add(queries, context, train=train, rngs=rngs)

    def add(
        self,
        queries: Float[Array, "#b n q"],
        context: Float[Array, "b n h e"],
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n q"]:
        """What comes after the heads: project what they read, add it to the queries, and the MLP."""
        read = self.dropout(self.attention.project_output(context), deterministic=not train, rngs=rngs)
        x = queries + read if self.use_query_residual else read.astype(queries.dtype)
        return x + self.dropout(self.mlp(self.mlp_norm(x)), deterministic=not train, rngs=rngs)


class SelfAttentionBlock(nnx.Module):
    """Elements attend to each other, pre-norm: one Transformer layer (2107.14795, appendix E).

    x = x + attention(norm(x), norm(x))
    x = x + mlp(norm(x))
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: int,
        qk_channels: int | None = None,
        v_channels: int | None = None,
        widening_factor: int = 1,
        activation: str = "gelu",
        dropout_rate: float = 0.0,
        rngs: nnx.Rngs,
    ):
        """Arguments as in `CrossAttentionBlock`; `qk_channels` is by default `channels`.

        Raises:
          ValueError: more heads than divide the widths.
        """
        self.norm = layer_norm(channels, rngs)
        self.attention = Attention(
            channels,
            channels,
            num_heads=num_heads,
            qk_channels=qk_channels,
            v_channels=v_channels,
            output_channels=channels,
            rngs=rngs,
        )
        self.mlp_norm = layer_norm(channels, rngs)
        self.mlp = MLP(channels, widening_factor=widening_factor, activation=activation, rngs=rngs)
        self.dropout = nnx.Dropout(dropout_rate)

    def __call__(
        self,
        x: Float[Array, "b n c"],
        *,
        mask: Bool[Array, "b n m"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n c"]:
        """Mask: True where element n may attend to element m."""
        normed = self.norm(x)
        return self.add(x, self.attention(normed, normed, mask=mask), train=train, rngs=rngs)

    def add(
        self,
        x: Float[Array, "b n c"],
        read: Float[Array, "b n c"],
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n c"]:
        """What comes after the attention: add what was read, and the MLP."""
        x = x + self.dropout(read, deterministic=not train, rngs=rngs)
        return x + self.dropout(self.mlp(self.mlp_norm(x)), deterministic=not train, rngs=rngs)


def repeat_batch(x: Float[Array, "n c"], batch: int) -> Float[Array, "b n c"]:
    """The same learned array for every example."""
    return jnp.broadcast_to(x[None], (batch, *x.shape))
