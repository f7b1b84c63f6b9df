"""What the Hierarchical Perceiver is made of (2202.10890): attention inside groups, and blocks.

Arrays are (B, G, rows, C). Attention never leaves a group: for it, groups are a part of the batch.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from perceiver_lab.layers import CrossAttentionBlock, SelfAttentionBlock, SelfAttentionStack, labelled
from perceiver_lab.layers.linear import linear
from perceiver_lab.models.hip_modalities import learned_table

ACTIVATION = "squared_relu"  # of every MLP; the release has an option for it that reaches none


class GroupedCrossAttention(nnx.Module):
    """Queries read inputs, group by group.

    q = queries + skip        (through a linear layer where the skip has another width)
    x = q + attention(norm(q), norm(inputs))        (the residual is optional)
    x = x + mlp(norm(x))

    Queries and keys meet at the inputs' width, not at that of the queries.
    """

    def __init__(
        self,
        query_channels: int,
        kv_channels: int,
        *,
        num_heads: int = 1,
        widening_factor: int = 1,
        use_query_residual: bool = True,
        skip_channels: int | None = None,
        rngs: nnx.Rngs,
    ):
        """Queries keep their width.

        Args:
          query_channels: width of the queries and of the result.
          kv_channels: width of the inputs.
          num_heads: must divide `kv_channels`.
          widening_factor: of the MLP.
          use_query_residual: add the queries, with the skip, to what they read.
          skip_channels: width of the skip, if there is one.
          rngs: for the initial weights.

        Raises:
          ValueError: more heads than divide the width.
        """
        projected = skip_channels not in (None, query_channels)
        self.skip_projection = linear(skip_channels, query_channels, rngs=rngs) if projected else None
        self.block = CrossAttentionBlock(
            query_channels,
            kv_channels,
            num_heads=num_heads,
            widening_factor=widening_factor,
            use_query_residual=use_query_residual,
            activation=ACTIVATION,
            rngs=rngs,
        )

    def __call__(
        self,
        queries: Float[Array, "b g n q"],
        inputs: Float[Array, "b g m c"],
        *,
        skip: Float[Array, "b g n s"] | None = None,
        mask: Bool[Array, "b g n m"] | None = None,
    ) -> Float[Array, "b g n q"]:
        """Mask: True where query n may attend to input m of its group; by default everywhere, padding included."""
        if skip is not None:
            queries = queries + (skip if self.skip_projection is None else self.skip_projection(skip))
        read = self.block(_fold(queries), _fold(inputs), mask=None if mask is None else _fold(mask))
        return read.reshape(queries.shape)


class GroupLayer(SelfAttentionBlock):
    """A layer within groups, whose branches are left out at random in training: "drop path" (1603.09382).

    An example loses a branch in all of its groups or in none. What is kept is not scaled up, as in the release.
    """

    def __init__(self, channels: int, *, num_groups: int, drop_path_rate: float, rngs: nnx.Rngs, **block):
        """As `SelfAttentionBlock`; `num_groups` rows of the batch in a row are the groups of one example."""
        super().__init__(channels, rngs=rngs, **block)
        self.num_groups, self.drop_path_rate = num_groups, drop_path_rate

    def add(
        self,
        x: Float[Array, "b n c"],
        read: Float[Array, "b n c"],
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n c"]:
        """What comes after the attention: add what was read, and the MLP, each only if its branch is kept.

        Raises:
          ValueError: branches are to be dropped and there are no rngs.
        """
        drops = train and self.drop_path_rate > 0
        if drops and rngs is None:
            raise ValueError(
                f"In training, branches are left out at a rate of {self.drop_path_rate}: call the model with "
                "rngs=nnx.Rngs(dropout=seed)."
            )
        x = x + self._kept(self.dropout(read, deterministic=not train, rngs=rngs), drops, rngs)
        branch = self.dropout(self.mlp(self.mlp_norm(x)), deterministic=not train, rngs=rngs)
        return x + self._kept(branch, drops, rngs)

    def _kept(self, branch, drops, rngs):
        if not drops:
            return branch
        kept = jax.random.bernoulli(rngs.dropout(), 1 - self.drop_path_rate, (len(branch) // self.num_groups,))
        return branch * jnp.repeat(kept, self.num_groups)[:, None, None]


class GroupStack(SelfAttentionStack):
    """A stack of such layers."""

    BLOCK = GroupLayer


class HiPBlock(nnx.Module):
    """One level of the hierarchy: every group has latents of its own, which read the group and then each other.

    Apart from the latents, all groups share their weights.
    """

    def __init__(
        self,
        num_groups: int,
        num_latents: int,
        channels: int,
        kv_channels: int,
        *,
        num_self_attends: int,
        num_cross_heads: int,
        num_self_heads: int,
        cross_widening_factor: int,
        self_widening_factor: int,
        skip_channels: int | None = None,
        num_train_latents: int | None = None,
        dropout_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        rngs: nnx.Rngs,
    ):
        """Build the latents, the reading and the layers.

        Args:
          num_groups: G.
          num_latents: N, of each group.
          channels: C, width of the latents.
          kv_channels: width of what is read.
          num_self_attends: layers after the reading.
          num_cross_heads, num_self_heads: of either attention.
          cross_widening_factor, self_widening_factor: of either MLP.
          skip_channels: width of the skip, if there is one.
          num_train_latents: how many of the N a training step uses, drawn anew for every example and group; by default
            all of them.
          dropout_rate, drop_path_rate: of the layers.
          rngs: for the initial weights.
        """
        self.num_groups, self.num_latents = num_groups, num_latents
        self.num_train_latents = num_latents if num_train_latents is None else num_train_latents
        self.latents = learned_table(num_groups * num_latents, channels, rngs=rngs)  # group after group
        self.read = GroupedCrossAttention(
            channels,
            kv_channels,
            num_heads=num_cross_heads,
            widening_factor=cross_widening_factor,
            skip_channels=skip_channels,
            rngs=rngs,
        )
        self.stack = GroupStack(
            num_self_attends,
            channels,
            num_heads=num_self_heads,
            widening_factor=self_widening_factor,
            activation=ACTIVATION,
            dropout_rate=dropout_rate,
            drop_path_rate=drop_path_rate,
            num_groups=num_groups,
            rngs=rngs,
        )

    def __call__(
        self,
        inputs: Float[Array, "b g m k"],
        *,
        skip: Float[Array, "b g n s"] | None = None,
        mask: Bool[Array, "b g m"] | None = None,
        rows: Int[Array, "b g n"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b g n c"]:
        """Read the groups.

        Args:
          inputs: groups of what the level below made.
          skip: what the block opposite made, added to the latents before they read.
          mask: True = may be read.
          rows: numbers of the latents to use instead of all of them, or of those that training would draw.
          train: dropout, drop path and the drawing of latents act.
          rngs: streams "dropout" and, where latents are drawn, "latents".

        Raises:
          ValueError: latents are to be drawn and there are no rngs.
        """
        rows = self._draw(len(inputs), rngs) if rows is None and train else rows
        with labelled("read"):
            x = self.read_inputs(inputs, skip=skip, mask=mask, rows=rows)
        return self.stack(_fold(x), train=train, rngs=rngs).reshape(x.shape)

    def read_inputs(
        self,
        inputs: Float[Array, "b g m k"],
        *,
        skip: Float[Array, "b g n s"] | None = None,
        mask: Bool[Array, "b g m"] | None = None,
        rows: Int[Array, "b g n"] | None = None,
    ) -> Float[Array, "b g n c"]:
        """The first half: the latents after they read."""
        table = self.latents().reshape(1, self.num_groups, self.num_latents, -1)
        if rows is None:
            latents = jnp.broadcast_to(table, (len(inputs), *table.shape[1:]))
        else:
            latents = jnp.take_along_axis(table, rows[..., None], axis=2)
        if mask is not None:
            mask = jnp.broadcast_to(mask[:, :, None], (*latents.shape[:3], mask.shape[-1]))
        return self.read(latents, inputs, skip=skip, mask=mask)

    def _draw(self, batch, rngs):
        if self.num_train_latents == self.num_latents:
            return None
        if rngs is None:
            raise ValueError(
                f"In training, {self.num_train_latents} of the {self.num_latents} latents of this block are drawn at "
                "random: call the model with rngs=nnx.Rngs(latents=seed, dropout=seed)."
            )
        shape = (batch, self.num_groups, self.num_latents)
        return jnp.argsort(jax.random.uniform(rngs.latents(), shape), axis=-1)[..., : self.num_train_latents]


def _fold(x):
    """Groups become a part of the batch."""
    return x.reshape(-1, *x.shape[2:])
