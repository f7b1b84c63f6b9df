"""Self-attention blocks on top of each other: the latent Transformer."""

import jax
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.layers.blocks import SelfAttentionBlock
from perceiver_lab.layers.recording import labelled, recording

SCAN_FROM = 9  # layers; below, a Python loop compiles fast enough and is easier to read in a trace


class SelfAttentionStack(nnx.Module):
    """`num_layers` self-attention blocks, each with weights of its own (2103.03206, section 3.1).

    Up to 8 layers are a Python loop over `layers`, a list. Deeper stacks hold the layers' parameters stacked along a
    first axis and scan over it, recomputing each layer's activations in the backward pass: compile time and memory then
    hardly grow with depth. `layer(i)` is layer i either way.
    """

    BLOCK = SelfAttentionBlock  # of what the layers are

    def __init__(self, num_layers: int, channels: int, *, scan: bool | None = None, rngs: nnx.Rngs, **block):
        """Create the layers.

        Args:
          num_layers: how many.
          channels: width of the elements.
          scan: force the scanned or the looped form; by default by depth.
          rngs: for the initial weights.
          **block: of `SelfAttentionBlock`.

        Raises:
          ValueError: no layers, or more heads than divide the widths.
        """
        if num_layers < 1:
            raise ValueError(f"num_layers={num_layers}: a stack needs at least one layer.")
        self.num_layers = num_layers
        self.scanned = num_layers >= SCAN_FROM if scan is None else scan
        if self.scanned:

            @nnx.split_rngs(splits=num_layers)
            @nnx.vmap(in_axes=0, out_axes=0)
            def make(rngs):
                return self.BLOCK(channels, rngs=rngs, **block)

            self.layers = make(rngs)
        else:
            self.layers = nnx.data([self.BLOCK(channels, rngs=rngs, **block) for _ in range(num_layers)])

    def layer(self, index: int) -> SelfAttentionBlock:
        """One layer, as a module of its own."""
        if not self.scanned:
            return self.layers[index]
        graphdef, stacked = nnx.split(self.layers)
        return nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf[index], stacked))

    def __call__(
        self,
        x: Float[Array, "b n c"],
        *,
        mask: Bool[Array, "b n m"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
        **shared,
    ) -> Float[Array, "b n c"]:
        """Arguments as in the block's call; all layers get the same. A recorded scanned stack is unrolled."""
        if self.scanned and not recording():
            return self._scan(x, train, rngs, mask=mask, **shared)
        for index in range(self.num_layers):
            with labelled(f"layer {index}"):
                x = self.layer(index)(x, mask=mask, train=train, rngs=rngs, **shared)
        return x

    def _scan(self, x, train, rngs, **shared):
        graphdef, stacked = nnx.split(self.layers)
        keys = jax.random.split(rngs.dropout() if train and rngs is not None else jax.random.key(0), self.num_layers)

        @jax.checkpoint
        def step(x, layer_and_key):
            layer, key = layer_and_key
            block = nnx.merge(graphdef, layer)
            # Without rngs a layer that would drop has to say so itself.
            return block(x, train=train, rngs=None if rngs is None else nnx.Rngs(dropout=key), **shared), None

        return jax.lax.scan(step, x, (stacked, keys))[0]
