"""Models of equal size."""

import jax
import pytest
from flax import nnx

from perceiver_lab.adapters import ClassOutput, ImageInput
from perceiver_lab.models.baselines import ConvNet, ConvNetConfig, ViT, ViTConfig, count_parameters, match_parameters
from perceiver_lab.models.perceiver import Perceiver, PerceiverConfig
from tests.drawn import drawn

PERCEIVER = PerceiverConfig(
    num_latents=32, latent_channels=80, num_reads=2, num_blocks=2, num_self_attends_per_block=3, num_self_heads=4
)


def perceiver(shape):
    return Perceiver(
        PERCEIVER,
        input_adapter=ImageInput(shape, num_bands=8),
        output_adapter=ClassOutput(80, 10, rngs=nnx.Rngs(0)),
        rngs=nnx.Rngs(0),
    )


@pytest.mark.parametrize(("side", "patch"), [(28, 4), (36, 4)])
def test_matched_models_are_within_5_percent(side, patch):
    shape = (side, side, 1)
    target = count_parameters(lambda: perceiver(shape))
    assert 150_000 < target < 250_000

    def sized_convnet(width):
        return ConvNet(ConvNetConfig(shape=shape, num_classes=10, widths=(24, 48, width)), rngs=nnx.Rngs(0))

    def sized_vit(size):
        config = ViTConfig(shape=shape, num_classes=10, patch=patch, num_heads=2, channels=size)
        return ViT(config, rngs=nnx.Rngs(0))

    width = match_parameters(sized_convnet, range(84, 108, 4), target)
    channels = match_parameters(sized_vit, range(52, 72, 4), target)
    for count in (count_parameters(lambda: sized_convnet(width)), count_parameters(lambda: sized_vit(channels))):
        assert abs(count - target) <= 0.05 * target


def test_counting_agrees_with_the_arrays_themselves():
    def make():
        return ViT(ViTConfig(shape=(8, 8, 1), num_classes=10, channels=16, num_layers=1), rngs=nnx.Rngs(0))

    counted = count_parameters(make)
    assert counted == sum(leaf.size for leaf in jax.tree.leaves(nnx.state(drawn(make), nnx.Param)))


def test_match_parameters_says_when_nothing_fits():
    def make(width):
        return nnx.Linear(width, 10, rngs=nnx.Rngs(0))

    assert match_parameters(make, range(20, 40), 330) == 32
    with pytest.raises(ValueError, match=r"within 5% of 1,000 parameters: the nearest is 9 with 100"):
        match_parameters(make, range(1, 10), 1000)
    with pytest.raises(ValueError, match="no sizes"):
        match_parameters(make, [], 1000)
