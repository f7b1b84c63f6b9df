"""ImageNet from pixels, as the released Perceiver IO models were trained: three models, one recipe.

    record   {"image": (H, W, 3) uint8, "label": (), "file_name"}    datasets.load("imagenet2012:5.1.0", "train")[i]
    batch    training: {"image": (1024, 224, 224, 3), "label": (1024, 1000)}: each picture and label mixed of two
             test: {"image": (100, 224, 224, 3), "label": (100,)}: the middle of each photo
    inputs   (B, 50176, 261), (B, 50176, 512) or (B, 3136, 322): see `presets`
    latents  (B, 512, 1024)
    logits   (B, 1000)

What the paper says (2107.14795, section A.1): 110 epochs in batches of 1,024, LAMB at a rate of 2e-3, constant for 55
epochs and then half a cosine to 0, weight decay 0.1, gradients clipped at a norm of 10, mixup and CutMix. The rest is
what its released training code does: crops, RandAugment (4 operations of magnitude 5), beta of mixup 0.2, smoothing of
labels by 0.1, and what an epoch is: a mixed picture counts once, so that the photos are gone through 220 times. That
code is there for the Fourier model; that the other two were trained alike is unverified.

ImageNet may not be handed on: fetch its files yourself, `load` says where they go. The "ci" budget is two steps on
eight photos, the full one is for many accelerators. Nothing ships, and no accuracy was measured here. Records are made
by one thread, at about 7 ms of one core each after decoding: for the full run, too slow by far.

    perceiver-lab train imagenet_conv_io --mode ci
    perceiver-lab train imagenet_conv_io --set options.products=bfloat16    # on an accelerator
"""

from dataclasses import dataclass

from flax import nnx

from perceiver_lab import presets
from perceiver_lab.datasets import (
    draw_mix,
    evaluation_crop,
    mix_pairs,
    normalise,
    randaugment,
    random_area_crop,
    random_mirror,
    resize_cubic,
)
from perceiver_lab.layers import compute_in
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.training import OptimizerConfig, classification_loss
from perceiver_lab.training.schedules import scaled_rate

SIDE = 224
NUM_CLASSES = 1000
NUM_PHOTOS = 1_281_167  # in the training split
EPOCHS = 110
BATCH = 1024


@dataclass(frozen=True, kw_only=True)
class Published:
    """A model whose sizes are published: the name of its preset."""

    preset: str


def build(recipe: Recipe, rngs: nnx.Rngs) -> nnx.Module:
    """The preset, untrained."""
    return compute_in(presets.get(recipe.model.preset)(rngs=rngs), recipe.options["products"])


def imagenet(preset: str, summary: str) -> Recipe:
    """The recipe of one of the models."""
    return Recipe(
        name=preset,
        summary=summary,
        build=build,
        model=Published(preset=preset),
        options={"products": "float32"},
        data=Data(
            name="imagenet2012:5.1.0",
            test="validation",
            train_transforms=(
                random_area_crop,
                random_mirror,
                randaugment(4, 5),
                resize_cubic(SIDE),
                normalise,
                draw_mix(0.2),
            ),
            test_transforms=(evaluation_crop, resize_cubic(SIDE), normalise),
            mix=mix_pairs(NUM_CLASSES),
        ),
        optimizer=OptimizerConfig(
            name="lamb",
            learning_rate=scaled_rate(5e-4, BATCH),
            schedule="constant_cosine",
            constant_fraction=0.5,
            weight_decay=0.1,
            clip=10.0,
        ),
        budgets={
            "ci": Budget(steps=2, batch_size=2, train_part="[:8]", test_part="[:4]", test_batch_size=2),
            "lab": Budget(steps=10, batch_size=8, train_part="[:1000]", test_part="[:100]", test_batch_size=10),
            "full": Budget(
                steps=NUM_PHOTOS * EPOCHS // BATCH,
                batch_size=BATCH,
                evaluate_every=12_500,
                checkpoint_every=1_000,
                log_every=100,
            ),
        },
        numerics=1,
        loss=classification_loss(0.1),
    )


RECIPES = (
    imagenet("imagenet_fourier_io", "ImageNet from 50,176 pixels with Fourier features, as published"),
    imagenet("imagenet_learned_io", "ImageNet from 50,176 pixels with learned positions, as published"),
    imagenet("imagenet_conv_io", "ImageNet through a convolution and a max-pool, as published"),
)
