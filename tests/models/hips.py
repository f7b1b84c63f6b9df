"""Small Hierarchical Perceivers for the tests of models."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.models import HiP, HiPClassBottleneck, HiPConfig
from perceiver_lab.ops import group
from tests.drawn import drawn

CONFIG = HiPConfig(
    num_groups=(4, 2, 1, 2, 4),
    num_self_attends_per_block=(1, 2, 1, 1, 1),
    num_latents=(4, 6, 8, 6, 4),
    latent_channels=(6, 8, 12, 10, 4),
    num_self_heads=(2, 4, 3, 5, 1),
    embedding_channels=4,
)
# One level on each side of the processor: what does not ask for two is compiled in half the time.
SMALL = HiPConfig(
    num_groups=(4, 1, 4),
    num_self_attends_per_block=(1, 2, 1),
    num_latents=(4, 8, 4),
    latent_channels=(6, 12, 4),
    num_self_heads=(2, 3, 1),
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
    generator = np.random.default_rng(seed)
    return {name: jnp.asarray(generator.normal(size=(batch, *shapes[name])).astype(np.float32)) for name in shapes}


def make(config=CONFIG, shapes=SHAPES, **options):
    return drawn(lambda: HiP(config, shapes, rngs=nnx.Rngs(0), **options))


def make_with_labels(labels=LABELS, config=SMALL):
    return drawn(lambda: HiPClassBottleneck(config, SHAPES, labels=labels, rngs=nnx.Rngs(0)))


@nnx.jit
def run(model, x, mask=None):
    return model(x, mask=mask)


@nnx.jit(static_argnames="train")
def encode(model, inputs, mask=None, rows=None, train=False, rngs=None):
    return model.encode(inputs, mask=mask, rows=rows, train=train, rngs=rngs)


@nnx.jit
def embed(model, x):
    """A batch, embedded and in groups."""
    return group(model.embed(x), model.grouping)


def states_of(model, x, **options):
    """What the blocks up to the processor make of a batch."""
    return encode(model, embed(model, x), **options)


@nnx.jit
def decode(model, states):
    return model.decode(states)


@nnx.jit
def reconstruct(model, latents):
    return model.reconstruct(latents)


def padding_of(model):
    """True where a row of a group is no element: (1, G, S)."""
    ones = {cut.name: jnp.ones((1, cut.size, 1)) for cut in model.grouping.cuts}
    return np.asarray(group(ones, model.grouping))[..., 0] == 0


def masks(**hidden):
    """Which elements of each modality are valid: all but the (row, column) of those that are named."""
    valid = {name: np.ones((2, size), bool) for name, (size, _) in SHAPES.items()}
    for name, places in hidden.items():
        for place in places:
            valid[name][place] = False
    return {name: jnp.asarray(rows) for name, rows in valid.items()}


def largest(one, other):
    return np.abs(np.asarray(one) - np.asarray(other)).max()
