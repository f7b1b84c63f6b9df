"""The first Perceiver: 16 latents read real digits of 8 x 8 pixels, twice. Expect 98 % in a minute on two cores.

The whole line, as any recipe has it:

    record  {"image": (8, 8, 1) uint8, "label": ()}                datasets.load("digits", "train")[i]
    batch   {"image": (64, 8, 8, 1) float32, "label": (64,),       next(RECIPE.train_batches("lab"))
             "positions": (64, 64, 2), in training jittered}
    inputs  (64, 64, C): every pixel with its Fourier features     model.embed(batch["image"])
    latents (64, 16, 64): read, think, read, think                 model.encode(inputs)
    logits  (64, 10): the latents' average through one matrix      model.decode(latents)
    loss    cross_entropy(logits, batch["label"])                  RECIPE.loss(model, batch, rngs)
    metrics accuracy with its 95 % interval                        RECIPE.evaluate(model, "lab")

    perceiver-lab train digits_perceiver --mode lab
"""

from flax import nnx

from perceiver_lab.adapters import ClassOutput, ImageInput
from perceiver_lab.datasets import jitter_positions, to_float
from perceiver_lab.models.perceiver import Perceiver, PerceiverConfig
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.training import OptimizerConfig


def build(recipe: Recipe, rngs: nnx.Rngs) -> Perceiver:
    """Pixels with Fourier positions in, ten classes out."""
    return Perceiver(
        recipe.model,
        input_adapter=ImageInput((8, 8, 1), num_bands=recipe.options["num_bands"]),
        output_adapter=ClassOutput(recipe.model.latent_channels, 10, rngs=rngs),
        rngs=rngs,
    )


RECIPES = (
    Recipe(
        name="digits_perceiver",
        summary="16 latents of 64 channels read 8 x 8 digits twice",
        build=build,
        model=PerceiverConfig(
            num_latents=16,
            latent_channels=64,
            num_reads=2,
            num_blocks=2,
            num_self_attends_per_block=2,
            num_cross_heads=1,
            num_self_heads=4,
        ),
        options={"num_bands": 4},
        data=Data(name="digits", train_transforms=(to_float, jitter_positions(0.1))),
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup_steps=30, schedule="warmup_cosine", weight_decay=0.05),
        budgets={
            "ci": Budget(steps=60, batch_size=64),
            "lab": Budget(steps=500, batch_size=64, evaluate_every=100),
            "full": Budget(steps=500, batch_size=64, evaluate_every=100),
        },
        numerics=1,
    ),
)
