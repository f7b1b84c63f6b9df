"""Blocks in which an element attends to what comes before it, with keys and values that can be kept (2202.07765)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from perceiver_lab.layers.attention import attend_recorded
from perceiver_lab.layers.blocks import CrossAttentionBlock, SelfAttentionBlock
from perceiver_lab.layers.recording import recording
from perceiver_lab.layers.stack import SelfAttentionStack
from perceiver_lab.ops import Rotation, attend, causal_cross_attend, causal_mask, rotate
from perceiver_lab.ops.causal import reading_alike
from perceiver_lab.ops.cross import project


class Memory(NamedTuple):
    """Keys, turned already, and values of what one layer has read: a fixed number of slots, which never grows.

    The memories of a stack's layers are held together, along a first axis l.
    """

    k: Float[Array, "*l b m h d"]
    v: Float[Array, "*l b m h e"]

    def write(self, k: Float[Array, "b n h d"], v: Float[Array, "b n h e"], slots: Int[Array, "b n"]) -> "Memory":
        """Put new elements into slots of their example; a slot that does not exist drops its element."""
        rows = jnp.arange(len(slots))[:, None]
        return Memory(
            self.k.at[rows, slots].set(k.astype(self.k.dtype), mode="drop"),
            self.v.at[rows, slots].set(v.astype(self.v.dtype), mode="drop"),
        )


class CausalCrossAttentionBlock(CrossAttentionBlock):
    """`CrossAttentionBlock` in which each query reads the inputs up to its own place."""

    def __call__(
        self,
        queries: Float[Array, "b n q"],
        inputs: Float[Array, "b m c"],
        *,
        query_index: Int[Array, "b n"],
        key_index: Int[Array, "b m"],
        query_rotation: Rotation | None = None,
        key_rotation: Rotation | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n q"]:
        """Read the inputs; arguments as in `ops.causal_cross_attend`, and dropout as in the plain block."""
        q = rotate(self.attention.project_queries(self.query_norm(queries)), query_rotation)
        params = self.attention.cross_params(self.kv_norm)
        if recording():
            k, v = project(inputs, params, self.attention.num_heads)
            q, query_index = reading_alike(q, query_index)
            context = attend_recorded(q, rotate(k, key_rotation), v, mask=causal_mask(query_index, key_index))
        else:
            context = causal_cross_attend(
                q, inputs, params, query_index=query_index, key_index=key_index, key_rotation=key_rotation
            )
        return self.add(queries, context, train=train, rngs=rngs)

    def extend(
        self,
        queries: Float[Array, "b n q"],
        inputs: Float[Array, "b k c"],
        memory: Memory,
        *,
        slots: Int[Array, "b k"],
        mask: Bool[Array, "b n m"],
        query_rotation: Rotation | None = None,
        key_rotation: Rotation | None = None,
    ) -> tuple[Float[Array, "b n q"], Memory]:
        """Read what the memory holds once further inputs have been written into it.

        Args:
          queries: of this call.
          inputs: those that the memory does not hold yet.
          memory: of what was read before.
          slots: where each of the inputs is written.
          mask: True where a query may attend to a slot, the new ones included.
          query_rotation, key_rotation: of the queries, and of the new inputs.
        """
        q = rotate(self.attention.project_queries(self.query_norm(queries)), query_rotation)
        k, v = project(inputs, self.attention.cross_params(self.kv_norm), self.attention.num_heads)
        memory = memory.write(rotate(k, key_rotation), v, slots)
        return self.add(queries, attend(q, memory.k, memory.v, mask=mask)), memory


class CausalSelfAttentionBlock(SelfAttentionBlock):
    """`SelfAttentionBlock` with rotary positions, and a memory of the elements before."""

    def __call__(
        self,
        x: Float[Array, "b n c"],
        *,
        mask: Bool[Array, "b n n"],
        rotation: Rotation | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n c"]:
        """Mask: True where element n may attend to element m. Rotation: of the elements."""
        q, k, v = self._project(x, rotation)
        context = attend_recorded(q, k, v, mask=mask) if recording() else attend(q, k, v, mask=mask)
        return self.add(x, self.attention.project_output(context), train=train, rngs=rngs)

    def extend(
        self,
        x: Float[Array, "b n c"],
        memory: Memory,
        *,
        slots: Int[Array, "b n"],
        mask: Bool[Array, "b n m"],
        rotation: Rotation | None = None,
    ) -> tuple[Float[Array, "b n c"], Memory]:
        """Further elements, which attend to those before and to each other; arguments as in the cross-attention."""
        q, k, v = self._project(x, rotation)
        memory = memory.write(k, v, slots)
        context = attend(q, memory.k, memory.v, mask=mask)
        return self.add(x, self.attention.project_output(context)), memory

    def _project(self, x, rotation):
        normed, attention = self.norm(x), self.attention
        q, k = attention.project_queries(normed), attention.split_heads(attention.key(normed))
        return rotate(q, rotation), rotate(k, rotation), attention.split_heads(attention.value(normed))


class CausalStack(SelfAttentionStack):
    """`SelfAttentionStack` of `CausalSelfAttentionBlock`s; its call takes `mask` and `rotation`."""

    BLOCK = CausalSelfAttentionBlock

    def extend(
        self,
        x: Float[Array, "b n c"],
        memory: Memory,
        *,
        slots: Int[Array, "b n"],
        mask: Bool[Array, "b n m"],
        rotation: Rotation | None = None,
    ) -> tuple[Float[Array, "b n c"], Memory]:
        """Further elements through all layers; arguments as in the block, `memory` of all layers together."""
        shared = {"slots": slots, "mask": mask, "rotation": rotation}
        if self.scanned:
            graphdef, stacked = nnx.split(self.layers)

            def step(x, layer_and_memory):
                layer, memory = layer_and_memory
                return nnx.merge(graphdef, layer).extend(x, memory, **shared)

            return jax.lax.scan(step, x, (stacked, memory))
        memories = []
        for index in range(self.num_layers):
            x, one = self.layer(index).extend(x, Memory(memory.k[index], memory.v[index]), **shared)
            memories.append(one)
        return x, jax.tree.map(lambda *each: jnp.stack(each), *memories)
