import jax
import pytest
from flax import nnx

from perceiver_lab.adapters import ClassOutput, ImageInput
from perceiver_lab.models import Perceiver, PerceiverConfig


@pytest.fixture(scope="session")
def make():
    """Small Perceivers of 5 latents that read 4 x 4 images."""

    def make(**options):
        sizes = {"num_latents": 5, "latent_channels": 8, "num_self_attends_per_block": 1, "num_self_heads": 2}
        config, rngs = PerceiverConfig(**(sizes | options)), nnx.Rngs(0)
        output = ClassOutput(8, 3, rngs=rngs)
        output.linear.kernel[...] = jax.random.normal(jax.random.key(0), (8, 3))
        return Perceiver(config, input_adapter=ImageInput((4, 4, 1), num_bands=2), output_adapter=output, rngs=rngs)

    return make


@pytest.fixture(scope="session")
def images():
    return jax.random.normal(jax.random.key(1), (2, 4, 4, 1))
