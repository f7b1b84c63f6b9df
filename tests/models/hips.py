"""Small Hierarchical Perceivers for the tests of models."""

import jax
import jax.numpy as jnp
from flax import nnx

from perceiver_lab.models import HiP, HiPClassBottleneck, HiPConfig
from perceiver_lab.ops import group

CONFIG = HiPConfig(
    num_groups=(4, 2, 1, 2, 4),
    num_self_attends_per_block=(1, 2, 1, 1, 1),
    num_latents=(4, 6, 8, 6, 4),
    latent_channels=(6, 8, 12, 10, 4),
    num_self_heads=(2, 4, 3, 5, 1),
    embedding_channels=4,
)
SHAPES = {"image": (19, 3), "audio": (8, 5)}
LABELS = {"label": (1, 7), "kind": (2, 3)}
FLAT = HiPConfig(
    num_groups=(1,),
    num_self_attends_per_block=(1,),
    num_latents=(8,),
    latent_channels=(12,),
    num_self_heads=3,
    embedding_channels=4,
)


def batch_of(shapes, batch=2, seed=0):
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    return {name: jax.random.normal(key, (batch, *shapes[name])) for key, name in zip(keys, shapes, strict=True)}


def say_something(model):
    """Give the last layers weights: as they start, every output is zero."""
    for number, unembed in enumerate([*model.unembeds.values(), *getattr(model, "label_unembeds", {}).values()]):
        unembed.kernel[...] = jax.random.normal(jax.random.key(number), unembed.kernel.shape)
    return model


def make(config=CONFIG, shapes=SHAPES, **options):
    return say_something(HiP(config, shapes, rngs=nnx.Rngs(0), **options))


def make_with_labels(labels=LABELS):
    return say_something(HiPClassBottleneck(CONFIG, SHAPES, labels=labels, rngs=nnx.Rngs(0)))


@nnx.jit
def run(model, x, mask=None):
    return model(x, mask=mask)


@nnx.jit(static_argnames="train")
def encode(model, inputs, mask=None, rows=None, train=False, rngs=None):
    return model.encode(inputs, mask=mask, rows=rows, train=train, rngs=rngs)


def states_of(model, x, **options):
    """What the blocks up to the processor make of a batch."""
    return encode(model, group(model.embed(x), model.grouping), **options)


@nnx.jit
def decode(model, states):
    return model.decode(states)


@nnx.jit
def reconstruct(model, latents):
    return model.reconstruct(latents)


def padding_of(model):
    """True where a row of a group is no element: (1, G, S)."""
    ones = {cut.name: jnp.ones((1, cut.size, 1)) for cut in model.grouping.cuts}
    return group(ones, model.grouping)[..., 0] == 0
