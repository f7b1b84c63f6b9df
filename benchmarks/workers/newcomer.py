"""Perceivers as they are written in an afternoon, with Flax's own parts: python newcomer.py CASE FOLDER THREADS.

`nnx.MultiHeadAttention`, `nnx.LayerNorm`, one line per line of the papers: keys and values of all inputs, all scores at
once, a list of layers. The same sizes as ours, and its own initial weights. The reference for what the forms that this
library chooses are worth.
"""

import sys
from pathlib import Path

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from answering import answer_requests
from flax import nnx


class Block(nnx.Module):
    """Attention of x to y, or to itself, and an MLP, pre-norm."""

    def __init__(self, channels, kv_channels, heads, width, widening, rngs):
        self.norm, self.kv_norm = nnx.LayerNorm(channels, rngs=rngs), nnx.LayerNorm(kv_channels, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(
            heads, channels, width, channels, in_kv_features=kv_channels, decode=False, rngs=rngs
        )
        self.mlp_norm = nnx.LayerNorm(channels, rngs=rngs)
        self.expand = nnx.Linear(channels, widening * channels, rngs=rngs)
        self.contract = nnx.Linear(widening * channels, channels, rngs=rngs)

    def __call__(self, x, y=None, mask=None):
        normed = self.norm(x)
        x = x + self.attention(normed, normed if y is None else self.kv_norm(y), mask=mask)
        return x + self.contract(jax.nn.gelu(self.expand(self.mlp_norm(x))))


class Model(nnx.Module):
    """Latents read the inputs once and go through layers; queries read them."""

    def __init__(self, sizes, rngs):
        self.sizes = sizes
        channels, width = sizes["latent_channels"], sizes["width"]
        draw = nnx.initializers.truncated_normal(0.02)
        self.latents = nnx.Param(draw(rngs.params(), (sizes["latents"], channels)))
        self.queries = nnx.Param(draw(rngs.params(), sizes["queries"]))
        self.read = Block(channels, sizes["channels"], sizes["heads"], width, 1, rngs)
        layers = [Block(channels, channels, 8, channels, 1, rngs) for _ in range(sizes["layers"])]
        self.layers = nnx.List(layers)
        self.decode = Block(sizes["queries"][1], channels, sizes["heads"], sizes["decode_width"], 1, rngs)
        self.head = nnx.Linear(sizes["queries"][1], sizes["outputs"], rngs=rngs)

    def __call__(self, inputs):
        latents = jnp.broadcast_to(self.latents[...], (len(inputs), *self.latents.shape))
        latents = self.read(latents, inputs)
        for _ in range(self.sizes["blocks"]):
            for layer in self.layers:
                latents = layer(latents)
        queries = jnp.broadcast_to(self.queries[...], (len(inputs), *self.queries.shape))
        return self.head(self.decode(queries, latents))


class Images(nnx.Module):
    """Pixels with 64 Fourier bands beside them."""

    def __init__(self, rngs):
        sizes = {"latents": 128, "latent_channels": 256, "channels": 261, "width": 261, "heads": 1, "layers": 4}
        self.model = Model({**sizes, "blocks": 2, "queries": (1, 256), "decode_width": 256, "outputs": 1000}, rngs)
        places = jnp.stack(jnp.meshgrid(*[jnp.linspace(-1, 1, 224)] * 2, indexing="ij"), -1).reshape(-1, 2)
        angles = jnp.pi * places[..., None] * jnp.linspace(1, 112, 64)
        features = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1).reshape(len(places), -1)
        self.places = nnx.Variable(jnp.concatenate([places, features], -1))

    def __call__(self, images):
        pixels = images.reshape(len(images), -1, 3)
        places = jnp.broadcast_to(self.places[...], (len(images), *self.places.shape))
        return self.model(jnp.concatenate([pixels, places], -1))[:, 0]


class Bytes(nnx.Module):
    """Embedded bytes with learned positions, and one answer for each."""

    def __init__(self, rngs):
        self.embed, self.places = nnx.Embed(262, 256, rngs=rngs), nnx.Embed(512, 256, rngs=rngs)
        sizes = {"latents": 64, "latent_channels": 320, "channels": 256, "width": 256, "heads": 8, "layers": 8}
        self.model = Model({**sizes, "blocks": 1, "queries": (512, 256), "decode_width": 256, "outputs": 262}, rngs)

    def __call__(self, ids):
        return self.model(self.embed(ids) + self.places(jnp.arange(512)))


class Autoregressive(nnx.Module):
    """256 latents made of the last tokens, which read all that is not after them, and six layers."""

    def __init__(self, rngs):
        self.embed, self.places = nnx.Embed(259, 512, rngs=rngs), nnx.Embed(2048, 512, rngs=rngs)
        self.read = Block(512, 512, 8, 512, 4, rngs)
        self.layers = nnx.List([Block(512, 512, 8, 512, 4, rngs) for _ in range(6)])
        self.head = nnx.Linear(512, 259, rngs=rngs)

    def __call__(self, tokens):
        x = self.embed(tokens) + self.places(jnp.arange(2048))
        place = jnp.arange(2048)
        latents = self.read(x[:, -256:], x, mask=(place[-256:, None] >= place)[None, None])
        for layer in self.layers:
            latents = layer(latents, mask=(place[:256, None] >= place[:256])[None, None])
        return self.head(latents)


def main():
    case, folder = sys.argv[1], Path(sys.argv[2])
    model = {"imagenet_fourier": Images, "mlm": Bytes, "perceiver_ar": Autoregressive}[case](nnx.Rngs(0))
    arrays = np.load(folder / "batch.npz")
    x, label = (jax.device_put(arrays[name]) for name in ("x", "label"))
    optimizer = nnx.Optimizer(model, optax.adamw(1e-4, weight_decay=0.01), wrt=nnx.Param)

    def loss_fn(model):
        logits = model(x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()

    @nnx.jit
    def train(model, optimizer):
        loss, grads = nnx.value_and_grad(loss_fn)(model)
        optimizer.update(model, grads)
        return loss

    call = nnx.jit(lambda model, x: model(x))
    answer_requests(
        lambda: np.asarray(call(model, x)),
        lambda: train(model, optimizer).block_until_ready(),
        {"jax": jax.__version__, "flax": flax.__version__},
    )


if __name__ == "__main__":
    main()
