"""A small ward: a sound Perceiver on 4 x 4 pixels and the three that the examinations find."""

import jax
import numpy as np
from flax import nnx

from perceiver_lab.adapters import ClassOutput, ImageInput
from perceiver_lab.course.clinic import ailing
from perceiver_lab.explorers import WardRound
from perceiver_lab.models import Perceiver, PerceiverConfig

IMAGES = np.random.default_rng(0).normal(size=(3, 4, 4, 1)).astype(np.float32)
ILL = {"A": "inverted mask", "B": "positions dropped", "C": "dead latents"}


def made(seed):
    """A Perceiver whose output layer, which starts from zero, has something to say."""
    config = PerceiverConfig(num_latents=3, latent_channels=8, num_self_attends_per_block=1, num_self_heads=2)
    rngs = nnx.Rngs(seed)
    output = ClassOutput(8, 4, rngs=rngs)
    output.linear.kernel[...] = jax.random.normal(jax.random.key(seed), (8, 4))
    model = Perceiver(config, input_adapter=ImageInput((4, 4, 1), num_bands=2), output_adapter=output, rngs=rngs)
    latents = model.encoder.latents.table
    latents[...] = jax.random.normal(jax.random.key(seed), latents.shape)
    return model


def make_ward(**state):
    patients = {"sound": made(0), **{letter: ailing(name, made(0)) for letter, name in ILL.items()}}
    return WardRound(patients, IMAGES, [2, 0, 1], class_names="wxyz", **{"patient": 1, **state})
