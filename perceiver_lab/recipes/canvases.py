"""Digits on canvases of 224 x 224 = 50,176 pixels: a Perceiver that reads every pixel, and two baselines.

    record   {"image": (240, 240, 3) uint8, "label": ()}             datasets.load("large_digits", "train")[i]
    batch    training: {"image": (64, 1024, 3), "positions": (64, 1024, 2), ...}, a new fiftieth of the pixels each time
             test: {"image": (20, 224, 224, 3), ...}, all pixels
    inputs   (B, M, 53): colour, coordinates and Fourier features of each pixel
    latents  (B, 32, 96): read, think, read, think
    logits   (B, 10)

An input array is a set of (colour, position) rows, and any part of the set is one too. So the Perceiver is trained on
parts, at a fiftieth of the price, and reads everything when it counts.

    perceiver-lab train canvas_perceiver --mode full        perceiver-lab reproduce canvas_perceiver
"""

from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.adapters import ClassOutput, GridInput, Pixels
from perceiver_lab.datasets import (
    center_crop,
    jitter_positions,
    random_crop,
    sample_pixels,
    standardise,
    to_float,
)
from perceiver_lab.layers import FourierPositions
from perceiver_lab.models.baselines import ConvNet, ConvNetConfig
from perceiver_lab.models.perceiver import Perceiver, PerceiverConfig
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.training import OptimizerConfig

SIDE = 224
TEST = (center_crop(SIDE), to_float, standardise)


def build_perceiver(recipe: Recipe, rngs: nnx.Rngs) -> Perceiver:
    """Every pixel an input, with Fourier positions coarser than the pixel grid: strokes are 15 pixels wide."""
    positions = FourierPositions(
        (SIDE, SIDE),
        num_bands=recipe.options["num_bands"],
        max_resolution=(recipe.options["max_resolution"],) * 2,
    )
    return Perceiver(
        recipe.model,
        input_adapter=GridInput(Pixels((SIDE, SIDE, 3)), positions),
        output_adapter=ClassOutput(recipe.model.latent_channels, 10, rngs=rngs),
        rngs=rngs,
    )


@dataclass(frozen=True, kw_only=True)
class LinearConfig:
    """Sizes of the linear classifier: `num_pixels` in, `num_classes` logits out."""

    num_pixels: int
    num_classes: int


class LinearClassifier(nnx.Module):
    """One weight per pixel and class, on the brightness of the pixels."""

    def __init__(self, config: LinearConfig, *, rngs: nnx.Rngs):
        """The weights start from zero."""
        self.linear = nnx.Linear(config.num_pixels, config.num_classes, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "b k"]:
        """Images -> logits."""
        return self.linear(jnp.reshape(x.mean(axis=-1), (x.shape[0], -1)))


RECIPES = (
    Recipe(
        name="canvas_perceiver",
        summary="32 latents of 96 channels read canvases of 50,176 pixels twice",
        build=build_perceiver,
        model=PerceiverConfig(
            num_latents=32,
            latent_channels=96,
            num_reads=2,
            num_blocks=2,
            num_self_attends_per_block=3,
            num_cross_heads=1,
            num_self_heads=4,
            qk_channels=96,
        ),
        options={"num_bands": 12, "max_resolution": 48},
        data=Data(
            name="large_digits",
            train_transforms=(
                random_crop(SIDE),
                sample_pixels(1024),
                to_float,
                standardise,
                jitter_positions(0.05),
            ),
            test_transforms=TEST,
            decode_once=True,
        ),
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup_steps=100, schedule="warmup_cosine", weight_decay=0.05),
        budgets={
            "ci": Budget(steps=4, batch_size=16, train_part="[:64]", test_part="[:20]", test_batch_size=20),
            "lab": Budget(steps=300, batch_size=64, train_part="[:2000]", test_part="[:100]", test_batch_size=20),
            "full": Budget(steps=4000, batch_size=64, test_batch_size=20, evaluate_every=1000),
        },
        numerics=1,
    ),
    Recipe(
        name="canvas_convnet",
        summary="a residual ConvNet on the same canvases",
        build=lambda recipe, rngs: ConvNet(recipe.model, rngs=rngs),
        model=ConvNetConfig(shape=(SIDE, SIDE, 3), num_classes=10, widths=(16, 32, 64, 112)),
        data=Data(
            name="large_digits",
            train_transforms=(random_crop(SIDE), to_float, standardise),
            test_transforms=TEST,
            decode_once=True,
        ),
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup_steps=30, schedule="warmup_cosine", clip=1.0),
        budgets={
            "ci": Budget(steps=2, batch_size=8, train_part="[:16]", test_part="[:16]", test_batch_size=8),
            "lab": Budget(steps=100, batch_size=32, train_part="[:2000]", test_part="[:100]", test_batch_size=20),
            "full": Budget(steps=1500, batch_size=32, test_batch_size=20, evaluate_every=500),
        },
        numerics=1,
    ),
    Recipe(
        name="canvas_linear",
        summary="a linear classifier on the same canvases",
        build=lambda recipe, rngs: LinearClassifier(recipe.model, rngs=rngs),
        model=LinearConfig(num_pixels=SIDE * SIDE, num_classes=10),
        data=Data(
            name="large_digits",
            train_transforms=(random_crop(SIDE), to_float, standardise),
            test_transforms=TEST,
            decode_once=True,
        ),
        optimizer=OptimizerConfig(learning_rate=1e-4, warmup_steps=30, schedule="warmup_cosine", clip=1.0),
        budgets={
            "ci": Budget(steps=2, batch_size=8, train_part="[:16]", test_part="[:16]", test_batch_size=8),
            "lab": Budget(steps=100, batch_size=64, train_part="[:2000]", test_part="[:100]", test_batch_size=20),
            "full": Budget(steps=600, batch_size=64, test_batch_size=100),
        },
        numerics=1,
    ),
)
