"""Which shape is it? Point clouds (made by `datasets.surfaces`): a Perceiver, and a PointNet of the same size.

    record   {"points": (1024, 3), "label": ()}                      datasets.load("clouds", "train")[i]
    batch    training: {"points": (32, 256, 3), "label": (32,)}      turned at random, a quarter of the points
             test: {"points": (50, 1024, 3), "label": (50,)}
    inputs   (B, M, 39): the Fourier features of each point's own coordinates (2103.03206, section 4.3)
    latents  (B, 32, 64): read, think, read, think
    logits   (B, 10)

The points of ModelNet40, from a folder that you fetched, are of the same form: `datasets.modelnet40`; a Perceiver of
the published sizes is the preset `modelnet40`.

    perceiver-lab train clouds_perceiver --mode full
"""

from collections.abc import Iterable, Mapping

from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.adapters import ClassOutput, PointInput
from perceiver_lab.datasets import sample_points, turn_points
from perceiver_lab.datasets.clouds import SHAPES
from perceiver_lab.models.baselines import PointNet, PointNetConfig
from perceiver_lab.models.perceiver import Perceiver, PerceiverConfig
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.training import OptimizerConfig, accuracy, cross_entropy, evaluate

READS = ("points",)


def build(recipe: Recipe, rngs: nnx.Rngs) -> Perceiver:
    """Every point an input, which is its own position."""
    resolution = (recipe.options["max_resolution"],) * 3
    return Perceiver(
        recipe.model,
        input_adapter=PointInput(num_bands=recipe.options["num_bands"], max_resolution=resolution),
        output_adapter=ClassOutput(recipe.model.latent_channels, len(SHAPES), rngs=rngs),
        rngs=rngs,
    )


def predict(
    model: nnx.Module, batch: Mapping[str, Array], train: bool = False, rngs: nnx.Rngs | None = None
) -> Float[Array, "b k"]:
    """The logits of the shapes."""
    return model(batch["points"], train=train, rngs=rngs)


def loss(model: nnx.Module, batch: Mapping[str, Array], rngs: nnx.Rngs):
    """Cross-entropy in nats."""
    logits = predict(model, batch, train=True, rngs=rngs)
    return cross_entropy(logits, batch["label"]), {"accuracy": accuracy(logits, batch["label"])}


def measure(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """Accuracy with its 95 % interval, and the loss."""
    return evaluate(model, batches, predict, READS).as_dict()


DATA = Data(name="clouds", train_transforms=(turn_points, sample_points(256)), test_transforms=())


def recipe(name, summary, *, build, model, learning_rate, options=None):
    """The same clouds in the same order, turned alike, and as many steps for both."""
    return Recipe(
        name=name,
        summary=summary,
        build=build,
        model=model,
        options=options or {},
        data=DATA,
        optimizer=OptimizerConfig(
            learning_rate=learning_rate, warmup_steps=100, schedule="warmup_cosine", weight_decay=0.05
        ),
        budgets={
            "ci": Budget(steps=4, batch_size=16, train_part="[:200]", test_part="[:40]", test_batch_size=20),
            "lab": Budget(steps=400, batch_size=32, test_part="[:400]", test_batch_size=50),
            "full": Budget(steps=4000, batch_size=32, test_batch_size=50, evaluate_every=1000),
        },
        numerics=1,
        loss=loss,
        predict=predict,
        reads=READS,
        measure=measure,
    )


RECIPES = (
    recipe(
        "clouds_perceiver",
        "32 latents of 64 channels read point clouds twice",
        build=build,
        model=PerceiverConfig(
            num_latents=32,
            latent_channels=64,
            num_reads=2,
            num_blocks=2,
            num_self_attends_per_block=2,
            num_cross_heads=1,
            num_self_heads=4,
            qk_channels=64,
        ),
        options={"num_bands": 6, "max_resolution": 12},
        learning_rate=2e-3,
    ),
    recipe(
        "clouds_pointnet",
        "a PointNet on the same point clouds",
        build=lambda recipe, rngs: PointNet(recipe.model, rngs=rngs),
        model=PointNetConfig(num_classes=len(SHAPES), point_widths=(64, 64, 128, 256), widths=(144, 72)),
        learning_rate=2e-3,
    ),
)
