"""Parts of a model with one mistake each, as they are made in practice. `clinic` puts them in place of the sound part.

Each is called as the part that it stands for, and holds it: its parameters are the sound ones.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from perceiver_lab.layers import FourierPositions
from perceiver_lab.layers.attention import attend_recorded
from perceiver_lab.layers.recording import recording
from perceiver_lab.ops import attend
from perceiver_lab.ops.cross import project


class WithoutPositions(nnx.Module):
    """An input adapter whose position channels are there, and zero."""

    def __init__(self, adapter: nnx.Module):
        """`adapter`: one that puts features first and positions after them."""
        self.adapter = adapter
        self.num_channels = adapter.num_channels

    def features(self, x: Float[Array, "..."], *, train: bool = False) -> Float[Array, "b m c"]:
        """As the adapter has them."""
        return self.adapter.features(x, train=train)

    def __call__(
        self, x: Float[Array, "..."], *, positions: Float[Array, "b m a"] | None = None, train: bool = False
    ) -> Float[Array, "b m c"]:
        """[features | 0]: as many channels as before, and no word of where."""
        features = self.features(x, train=train)
        return jnp.pad(features, [(0, 0), (0, 0), (0, self.num_channels - features.shape[-1])])


class Octaves(FourierPositions):
    """Fourier features whose frequencies double from band to band, 1, 2, 4, 8..., instead of growing by equal steps.

    There are as many channels as before, in the same order. The highest frequencies lie beyond Nyquist.
    """

    def __call__(self, coordinates: Float[Array, "*b m n"] | None = None) -> Float[Array, "*b m c"]:
        """Encode the whole grid (m, c), or the coordinates given (b, m, c), in the order of the sound features."""
        positions = super().__call__(coordinates)[..., : len(self.shape)]
        bands = jnp.exp2(jnp.arange(self.num_bands, dtype=jnp.float32))
        phases = jnp.expand_dims(positions, -1) * jnp.expand_dims(bands, tuple(range(positions.ndim))) * jnp.pi
        phases = phases.reshape(*positions.shape[:-1], -1)
        return jnp.concatenate([positions, jnp.sin(phases), jnp.cos(phases)], axis=-1)


class InvertedRead(nnx.Module):
    """A read that takes True in a mask for "hide this one"."""

    def __init__(self, read: nnx.Module):
        """`read`: a `CrossAttentionBlock`."""
        self.read = read

    def __call__(
        self,
        queries: Float[Array, "#b n q"],
        inputs: Float[Array, "b m c"],
        *,
        mask: Bool[Array, "b n m"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n q"]:
        """As the read, of what the mask hides. Without a mask nothing is amiss."""
        return self.read(queries, inputs, mask=None if mask is None else ~mask, train=train, rngs=rngs)


class LowRead(nnx.Module):
    """A read that attends in numbers of 16 bits."""

    def __init__(self, read: nnx.Module, dtype: str):
        """`read`: a `CrossAttentionBlock`; `dtype`: "float16", largest number 65,504, or "bfloat16", 3.4e38."""
        self.read, self.dtype = read, dtype

    def __call__(
        self,
        queries: Float[Array, "#b n q"],
        inputs: Float[Array, "b m c"],
        *,
        mask: Bool[Array, "b n m"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n q"]:
        """As the read; queries, keys and values are rounded, the softmax is not."""
        read, attention = self.read, self.read.attention
        q = attention.project_queries(read.query_norm(queries))
        q = jnp.broadcast_to(q, (len(inputs), *q.shape[1:]))
        k, v = project(inputs, attention.cross_params(read.kv_norm), attention.num_heads)
        q, k, v = (x.astype(self.dtype) for x in (q, k, v))
        context = attend_recorded(q, k, v, mask=mask) if recording() else attend(q, k, v, mask=mask)
        return read.add(queries, context.astype(jnp.float32), train=train, rngs=rngs)


class LeakyRead(nnx.Module):
    """A causal read whose staircase stands one place too far to the right: each latent sees the next token as well."""

    def __init__(self, read: nnx.Module):
        """`read`: a `CausalCrossAttentionBlock`."""
        self.read = read

    def __call__(
        self,
        queries: Float[Array, "b n q"],
        inputs: Float[Array, "b m c"],
        *,
        query_index: Int[Array, "b n"],
        **options,
    ) -> Float[Array, "b n q"]:
        """As the read, with every place counted one too high."""
        return self.read(queries, inputs, query_index=jnp.where(query_index < 0, -1, query_index + 1), **options)


class OneQuestion(nnx.Module):
    """A decoder that asks its first query at every place of the output."""

    def __init__(self, decoder: nnx.Module):
        """`decoder`: a `Decoder`."""
        self.decoder = decoder
        self.latent_channels, self.num_channels = decoder.latent_channels, decoder.num_channels

    @property
    def queries(self) -> nnx.Module:
        """As the decoder has them: they are made, and then not used."""
        return self.decoder.queries

    def __call__(
        self, latents: Float[Array, "b n d"], queries: Float[Array, "#b o e"], **masks
    ) -> Float[Array, "b o k"]:
        """As the decoder, asked O times the same."""
        return self.decoder(latents, jnp.broadcast_to(queries[:, :1], queries.shape), **masks)
