"""Digits at random places in a frame of 36 x 36: a Perceiver, a ConvNet and a ViT of the same size.

The three that the shuffle dial of lesson 04 compares. All see the same records in the same order; the Perceiver is
trained on 400 of the 1,296 pixels at a time and reads all of them in the test.

    record   {"image": (28, 28, 1) uint8, "label": ()}               datasets.load("mnist_small", "train")[i]
    batch    {"image": (64, 36, 36, 1) float32, "label": (64,)}      the Perceiver's: (64, 400, 1), with positions
    logits   (64, 10)

    perceiver-lab train jittered_perceiver --mode full
"""

from flax import nnx

from perceiver_lab.adapters import ClassOutput, ImageInput
from perceiver_lab.datasets import jitter_positions, random_shift, sample_pixels, to_float
from perceiver_lab.models.baselines import ConvNet, ConvNetConfig, ViT, ViTConfig
from perceiver_lab.models.perceiver import Perceiver, PerceiverConfig
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.training import OptimizerConfig

FRAME = 36
SHAPE = (FRAME, FRAME, 1)


def build_perceiver(recipe: Recipe, rngs: nnx.Rngs) -> Perceiver:
    """Every pixel an input, with Fourier positions."""
    return Perceiver(
        recipe.model,
        input_adapter=ImageInput(SHAPE, num_bands=recipe.options["num_bands"]),
        output_adapter=ClassOutput(recipe.model.latent_channels, 10, rngs=rngs),
        rngs=rngs,
    )


def data(*transforms) -> Data:
    """The same frames for all: shifted at random in training and, once for all, in the test."""
    shifted = (random_shift(FRAME), to_float)
    return Data(name="mnist_small", train_transforms=(*shifted, *transforms), test_transforms=shifted)


def budgets(steps: int) -> dict[str, Budget]:
    """Batches are of the same size for all; each has the steps after which its accuracy no longer rises much."""
    return {
        "ci": Budget(steps=10, batch_size=16, train_part="[:200]", test_part="[:100]"),
        "lab": Budget(steps=min(steps, 400), batch_size=64, test_part="[:500]"),
        "full": Budget(steps=steps, batch_size=64, evaluate_every=500),
    }


RECIPES = (
    Recipe(
        name="jittered_perceiver",
        summary="32 latents of 96 channels read digits at random places, twice",
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
        options={"num_bands": 12},
        data=data(sample_pixels(400), jitter_positions(0.05)),
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup_steps=100, schedule="warmup_cosine", weight_decay=0.05),
        budgets=budgets(3000),
        numerics=1,
    ),
    Recipe(
        name="jittered_convnet",
        summary="a residual ConvNet on the same digits",
        build=lambda recipe, rngs: ConvNet(recipe.model, rngs=rngs),
        model=ConvNetConfig(shape=SHAPE, num_classes=10, widths=(16, 32, 64, 112)),
        data=data(),
        optimizer=OptimizerConfig(learning_rate=3e-3, warmup_steps=30, schedule="warmup_cosine", weight_decay=0.05),
        budgets=budgets(1200),
        numerics=1,
    ),
    Recipe(
        name="jittered_vit",
        summary="a Vision Transformer on patches of 4 x 4 of the same digits",
        build=lambda recipe, rngs: ViT(recipe.model, rngs=rngs),
        model=ViTConfig(shape=SHAPE, num_classes=10, patch=4, channels=72, num_layers=4, num_heads=4),
        data=data(),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=100, schedule="warmup_cosine", weight_decay=0.05),
        budgets=budgets(4000),
        numerics=1,
    ),
)
