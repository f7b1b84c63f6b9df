"""Which shape is it? Point clouds as one modality and the label as another, for a Hierarchical Perceiver.

    record   {"points": (1024, 3), "label": ()}                     datasets.load("clouds", "train")[i]
    inputs   points (B, 1024, 39): Fourier features of each point's own coordinates, along a curve that fills space
             label (B, 1, 10), read at the processor and always hidden
    groups   16 of 64 points that lie near each other
    outputs  the same two

A cloud is a set, but a HiP reads runs of neighbours: so the points are put in the order in which a curve meets them
that fills the cube (`datasets.along_curve`). A point's features say where it lies; the learned positions say how far
along the curve. In training a part of the points is hidden, and given back, besides the label.

`clouds_perceiver` and `clouds_pointnet` (in clouds.py) read the same clouds.

    perceiver-lab train hip_clouds --mode full
"""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.adapters import PointInput
from perceiver_lab.datasets import along_curve, turn_points
from perceiver_lab.datasets.clouds import POINTS, SHAPES
from perceiver_lab.models import HiPClassBottleneck, HiPConfig
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.training import OptimizerConfig, evaluate, hide, masked_loss

RATES = {"points": 0.15, "label": 1.0}
WEIGHTS = {"points": 0.2, "label": 1.0}
FEATURES = PointInput(num_bands=6, max_resolution=(12,) * 3)


def build(recipe: Recipe, rngs: nnx.Rngs) -> HiPClassBottleneck:
    """The label is a modality that only the processor reads."""
    shapes = {"points": (POINTS, FEATURES.num_channels)}
    return HiPClassBottleneck(recipe.model, shapes, labels={"label": (1, len(SHAPES))}, rngs=rngs)


def predict(model: nnx.Module, batch: Mapping[str, Array]) -> Float[Array, "b k"]:
    """The logits of the shapes: what stands in the hidden label's place."""
    label = jnp.zeros((len(batch["points"]), 1, len(SHAPES)))
    return model({"points": FEATURES(batch["points"]), "label": label})["label"][:, 0]


def loss(model: nnx.Module, batch: Mapping[str, Array], rngs: nnx.Rngs):
    """Cross-entropy of the label, and the squared error of hidden points' features."""
    x = {"points": FEATURES(batch["points"]), "label": jax.nn.one_hot(batch["label"], len(SHAPES))[:, None]}
    visible, hidden = hide(x, RATES, rngs.mask())
    said = model(visible, train=True, rngs=rngs)
    total, parts = masked_loss(said, x, hidden, weights=WEIGHTS, classes=("label",))
    return total, parts | {"accuracy": (said["label"][:, 0].argmax(axis=-1) == batch["label"]).mean()}


def measure(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """Accuracy with its 95 % interval, and the loss."""
    return evaluate(model, batches, predict, ("points",)).as_dict()


RECIPES = (
    Recipe(
        name="hip_clouds",
        summary="a HiP reads point clouds along a curve",
        build=build,
        model=HiPConfig(
            num_groups=(16, 1, 16),
            num_self_attends_per_block=(1, 1, 1),
            num_latents=(8, 32, 8),
            latent_channels=(32, 48, 16),
            num_self_heads=4,
            num_cross_heads=2,
            self_widening_factor=2,
            embedding_channels=16,
        ),
        data=Data(name="clouds", train_transforms=(turn_points, along_curve), test_transforms=(along_curve,)),
        optimizer=OptimizerConfig(
            learning_rate=3e-3, warmup_steps=100, schedule="warmup_cosine", weight_decay=0.05, clip=1.0
        ),
        budgets={
            "ci": Budget(steps=2, batch_size=4, train_part="[:16]", test_part="[:8]", test_batch_size=4),
            "lab": Budget(steps=400, batch_size=16, test_part="[:400]", test_batch_size=50),
            "full": Budget(steps=2500, batch_size=16, test_batch_size=50, evaluate_every=500, log_every=20),
        },
        numerics=1,
        loss=loss,
        predict=predict,
        reads=("points",),
        measure=measure,
    ),
)
