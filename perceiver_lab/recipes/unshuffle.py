"""Shuffled cells find their places: positions learned by masked auto-encoding (after 2202.10890).

    record   {"image": (14, 14, 3) uint8}, a window of a photo    datasets.load("photo_windows", "train")[i]
    batch    {"image": (32, 100, 3)}: 10 x 10 cells, out of       next(RECIPE.train_batches("lab"))
              focus, shuffled by one permutation that is always the same
    inputs   (B, 100, E): colours, half of them hidden behind zeros, and a learned position for every cell
    outputs  {"image": (B, 100, 3)}
    loss     the squared error of the hidden cells

Nothing says which cell lies beside which. What is measured is what the learned positions came to know of it: how many
of the positions nearest to a cell's are those of its neighbours. (The release has neither masking nor loss: see
`training.masking`. Training and test windows overlap: what is measured is no guess about new photos.)

`unshuffle_noise` is given white noise in place of photos: no cell knows of another, and there is nothing to learn.

`digits_learned` fills in digits that are seen through the same shuffled cells, with the positions that `unshuffle_hip`
learned from photos; `digits_random` has positions that were drawn, at the same deviation. In both they stay as they
are. `digits_trained` starts from those that were drawn, and learns them along.

    perceiver-lab train unshuffle_hip --mode lab
"""

from flax import nnx

from perceiver_lab.datasets import (
    center_crop,
    in_a_row,
    mean_cells,
    permute_pixels,
    smooth_cells,
    standardise,
    turn_and_mirror,
    white_noise,
)
from perceiver_lab.models import HiP, HiPConfig
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.starting import Start
from perceiver_lab.recipes.unshuffle_measure import (
    NUM_CELLS,
    PERMUTATION,
    RATES,
    SIDE,
    measure_cells,
    measure_positions,
    predict_cells,
)
from perceiver_lab.training import OptimizerConfig, masked_autoencoding
from perceiver_lab.training.freezing import FrozenConfig

DIGIT = 20  # pixels a side: MNIST's digits fill so many of their 28
CHANNELS = 16  # of embeddings and positions
MODEL = HiPConfig(
    num_groups=(1,),
    num_self_attends_per_block=(1,),
    num_latents=(32,),
    latent_channels=(64,),
    num_self_heads=4,
    num_cross_heads=4,
    self_widening_factor=2,
    embedding_channels=CHANNELS,
)
END = (standardise, permute_pixels(PERMUTATION), in_a_row)


def build(recipe: Recipe, rngs: nnx.Rngs) -> HiP:
    """One modality of colours. Positions start as wide as contents: at the release's deviation, these drown them."""
    model = HiP(recipe.model, {"image": (NUM_CELLS, 3)}, rngs=rngs)
    table = model.positions["0_image"].table.table
    table[...] = table[...] * (recipe.options["position_std"] * NUM_CELLS**0.5)
    return model


def build_digits(recipe: Recipe, rngs: nnx.Rngs) -> HiP:
    """One modality of grey cells. Positions are as narrow as learned ones are in the end, and so are contents."""
    model = HiP(recipe.model, {"image": (NUM_CELLS, 1)}, rngs=rngs)
    table, kernel = model.positions["0_image"].table.table, model.embeds["0_image"].kernel
    table[...] = table[...] * (recipe.options["position_std"] * NUM_CELLS**0.5)
    kernel[...] = kernel[...] * recipe.options["position_std"]
    return model


def recipe(name, summary, *, start, steps, seeds=(0,)):
    """The same windows, model and optimiser, of photos or of what stands in their place."""
    return Recipe(
        name=name,
        summary=summary,
        build=build,
        model=MODEL,
        options={"position_std": 1.0},
        data=Data(
            name="photo_windows",
            train_transforms=(turn_and_mirror, smooth_cells, *start, *END),
            test_transforms=(smooth_cells, *start, *END),
        ),
        optimizer=OptimizerConfig(learning_rate=6e-3, warmup_steps=100, schedule="warmup_cosine", weight_decay=0.3),
        budgets={
            "ci": Budget(steps=4, batch_size=8, train_part="[:200]", test_part="[:100]"),
            "lab": Budget(steps=steps, batch_size=32, evaluate_every=500),
            "full": Budget(steps=steps, batch_size=32, evaluate_every=500, seeds=seeds),
        },
        numerics=1,
        loss=masked_autoencoding(RATES),
        predict=predict_cells,
        reads=("image",),
        measure=measure_positions,
        headline="neighbour_precision",
    )


def digits(name, summary, *, frozen, start_from=None):
    """The same model, and digits in the same cells."""
    options = {"learning_rate": 3e-3, "warmup_steps": 50, "schedule": "warmup_cosine"}
    return Recipe(
        name=name,
        summary=summary,
        build=build_digits,
        model=MODEL,
        options={"position_std": 0.126},
        data=Data(
            name="mnist_small",
            train_transforms=(center_crop(DIGIT), mean_cells(SIDE), *END),
            test_transforms=(center_crop(DIGIT), mean_cells(SIDE), *END),
        ),
        optimizer=FrozenConfig(frozen=("positions",), **options) if frozen else OptimizerConfig(**options),
        budgets={
            "ci": Budget(steps=4, batch_size=16, train_part="[:200]", test_part="[:100]"),
            "lab": Budget(steps=400, batch_size=32, evaluate_every=100),
            "full": Budget(steps=400, batch_size=32, evaluate_every=100, seeds=(0, 1, 2)),
        },
        numerics=1,
        loss=masked_autoencoding(RATES),
        predict=predict_cells,
        reads=("image",),
        measure=measure_cells,
        headline="hidden_error",
        start_from=start_from,
    )


RECIPES = (
    recipe(
        "unshuffle_hip",
        "a HiP learns from photos where 100 shuffled cells belong",
        start=(),
        steps=3000,
        seeds=(0, 1, 2),
    ),
    recipe("unshuffle_noise", "the same, from white noise", start=(white_noise,), steps=1000),
    digits(
        "digits_learned",
        "fills in digits in shuffled cells, positions learned from photos",
        frozen=True,
        start_from=Start(recipe="unshuffle_hip", parts=("positions",)),
    ),
    digits("digits_random", "fills in digits in shuffled cells, positions drawn at random", frozen=True),
    digits("digits_trained", "fills in digits in shuffled cells, positions trained with the rest", frozen=False),
)
