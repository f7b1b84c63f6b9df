"""What is at each pixel: a Hierarchical Perceiver cuts shapes out of scenes, and a U-Net of the same task.

    record   {"image": (48, 48, 3), "kinds": (48, 48), ...}        datasets.load("scenes", "train")[i]
    batch    {"image": (16, 48, 48, 3), "kinds": (16, 48, 48)}     next(RECIPE.train_batches("lab"))
    inputs   (B, 16, 36, 12): 16 groups, each a square of 12 x 12 pixels, in elements of 2 x 2
    latents  16 groups of 16, 1 group of 64, and 16 groups again
    outputs  (B, 48, 48, 5): background, circle, square, triangle or star

The shapes are synthetic, the textures behind them real photos. The order in which pixels come is ours: square by
square, so that what is cut into one group lies together. Which element lies where, nobody says: positions are learned,
here by the task itself. `unet_scenes` is the convolutional network for this, which is told all of it by its kernels.

`hip_pets` is the same task on real photos of cats and dogs (TFDS, online): set, crop and masks are real; its "ci"
budget is two steps, and no number of it was measured here.

    perceiver-lab train hip_scenes --mode full
"""

from collections.abc import Mapping

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.datasets import pet_kinds, to_float, turn_and_mirror
from perceiver_lab.datasets.scenes import KINDS, SIDE
from perceiver_lab.models import HiP, HiPConfig
from perceiver_lab.models.baselines import UNet, UNetConfig
from perceiver_lab.ops import depth_to_space, space_to_depth
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.hip_scenes_measure import measure_kinds
from perceiver_lab.training import OptimizerConfig, cross_entropy

GROUPS = 4  # squares along each side of the picture: as many groups as HiP-16 has
PET_SIDE = 96


class Segmenter(nnx.Module):
    """A HiP whose elements are small squares of pixels, cut into groups that are larger squares."""

    def __init__(self, config: HiPConfig, *, side: int, element: int, num_classes: int, rngs: nnx.Rngs):
        """Pictures have `side` pixels along each side, elements `element`."""
        self.side, self.element, self.num_classes = side, element, num_classes
        count, pixels = (side // element) ** 2, element**2
        channels = {"image": num_classes * pixels}
        self.hip = HiP(config, {"image": (count, 3 * pixels)}, output_channels=channels, rngs=rngs)

    def __call__(
        self, image: Float[Array, "b h w 3"], *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "b h w k"]:
        """Pictures in [-1, 1] -> logits of every pixel."""
        inside = self.side // GROUPS // self.element  # elements along a group's side
        x = space_to_depth(space_to_depth(image, self.element), inside)
        x = x.reshape(len(image), (self.side // self.element) ** 2, -1)
        said = self.hip({"image": x}, train=train, rngs=rngs)["image"]
        return depth_to_space(depth_to_space(said.reshape(len(image), GROUPS, GROUPS, -1), inside), self.element)


def build(recipe: Recipe, rngs: nnx.Rngs) -> Segmenter:
    """Positions start as wide as contents: at the release's deviation, these drown them."""
    model = Segmenter(recipe.model, rngs=rngs, **{k: v for k, v in recipe.options.items() if k != "position_std"})
    table = model.hip.positions["0_image"].table.table
    table[...] = table[...] * (recipe.options["position_std"] * len(table[...]) ** 0.5)
    return model


def build_unet(recipe: Recipe, rngs: nnx.Rngs) -> UNet:
    """The convolutional network."""
    return UNet(recipe.model, rngs=rngs)


def loss(model: nnx.Module, batch: Mapping[str, Array], rngs: nnx.Rngs):
    """The mean cross-entropy of all pixels, in nats, and the share of pixels that are right."""
    logits = model(batch["image"], train=True, rngs=rngs)
    kinds = batch["kinds"].astype(jnp.int32).reshape(-1)
    right = (logits.argmax(axis=-1).reshape(-1) == kinds).mean()
    return cross_entropy(logits.reshape(-1, logits.shape[-1]), kinds), {"accuracy": right}


def predict(model: nnx.Module, batch: Mapping[str, Array]) -> Float[Array, "b h w k"]:
    """Logits of every pixel."""
    return model(batch["image"])


def recipe(name, summary, *, build, model, options=None, data=None, learning_rate=3e-3, steps):
    """The same scenes, turned and mirrored, in the same order."""
    return Recipe(
        name=name,
        summary=summary,
        build=build,
        model=model,
        options=options or {},
        data=data or Data(name="scenes", train_transforms=(turn_and_mirror, to_float), decode_once=True),
        optimizer=OptimizerConfig(
            learning_rate=learning_rate, warmup_steps=100, schedule="warmup_cosine", weight_decay=0.02, clip=1.0
        ),
        budgets={
            "ci": Budget(steps=2, batch_size=4, train_part="[:16]", test_part="[:8]", test_batch_size=4),
            "lab": Budget(steps=400, batch_size=16, test_part="[:200]", test_batch_size=50),
            "full": Budget(steps=steps, batch_size=16, test_batch_size=50, evaluate_every=500, log_every=20),
        },
        numerics=1,
        loss=loss,
        predict=predict,
        reads=("image",),
        measure=measure_kinds,
        headline="mask_iou",
    )


SIZES = HiPConfig(
    num_groups=(16, 1, 16),
    num_self_attends_per_block=(1, 1, 1),
    num_latents=(16, 64, 16),
    latent_channels=(40, 64, 40),
    num_self_heads=4,
    num_cross_heads=2,
    self_widening_factor=2,
    embedding_channels=24,
)
HELD = {"element": 2, "position_std": 1.0}

RECIPES = (
    recipe(
        "hip_scenes",
        "a HiP says what is at each pixel of a scene",
        build=build,
        model=SIZES,
        options={"side": SIDE, "num_classes": 1 + len(KINDS), **HELD},
        steps=8000,
    ),
    recipe(
        "unet_scenes",
        "the same by a U-Net",
        build=build_unet,
        model=UNetConfig(shape=(SIDE, SIDE, 3), num_classes=1 + len(KINDS), widths=(12, 16, 24)),
        steps=1000,
    ),
    recipe(
        "hip_pets",
        "a HiP cuts cats and dogs out of real photos (online)",
        build=build,
        model=SIZES,
        options={"side": PET_SIDE, "num_classes": 3, **HELD},
        data=Data(
            name="oxford_iiit_pet:4.0.0",
            train_transforms=(pet_kinds(PET_SIDE), turn_and_mirror, to_float),
            test_transforms=(pet_kinds(PET_SIDE), to_float),
        ),
        steps=20_000,
    ),
)
