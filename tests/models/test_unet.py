"""The U-Net: an answer for every pixel, from a neighbourhood that its stages make as wide as they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.models.baselines import UNet, UNetConfig
from tests.drawn import drawn, normal


@pytest.fixture(scope="module")
def model():
    config = UNetConfig(shape=(16, 24, 3), num_classes=2, widths=(4, 8), num_groups=4)
    return drawn(lambda: UNet(config, rngs=nnx.Rngs(0)))


@nnx.jit
def run(model, x):
    return model(x)


@nnx.jit
def by_hand(model, x, narrow):
    """One stage down and up again; `narrow` = 0 leaves the skip alone."""
    first = model.first(x)
    deep = jax.nn.relu(model.narrow[0](model.down[0](first)))
    wide = jax.image.resize(deep, first.shape, "nearest")
    return model.head(model.up[0](narrow * wide + first))


def test_every_pixel_is_answered_from_its_own_stage_and_the_deeper_one(model):
    x = normal(2, 16, 24, 3)
    said = run(model, x)
    assert said.shape == (2, 16, 24, 2)
    np.testing.assert_allclose(said, by_hand(model, x, 1.0), atol=1e-4)
    assert np.abs(said - by_hand(model, x, 0.0)).max() > 0.1


def test_what_cannot_be_read_is_named(model):
    with pytest.raises(ValueError, match=r"\(16, 24, 3\)\); got \(1, 24, 16, 3\)"):
        model(jnp.zeros((1, 24, 16, 3)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (18, 16, 3)}, "cannot be halved 2 times"),
        ({"widths": (4, 6, 8)}, "multiple of num_groups=4"),
        ({"widths": ()}, "at least one"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"shape": (16, 16)}, r"shape=\(16, 16\)"),
    ],
)
def test_sizes_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        UNetConfig(**{"shape": (16, 16, 3), "num_classes": 2, "widths": (4, 8, 8), **changes})
