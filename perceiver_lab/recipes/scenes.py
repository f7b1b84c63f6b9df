"""Scenes of coloured shapes, asked for four things at once: a Perceiver IO with a query per question.

    record   {"image": (48, 48, 3), "kinds": (48, 48), "label": (), "count": ()}     datasets.load("scenes", "train")[i]
    batch    {..., "cells": (32, 288)}, in training: the pixels that are asked for   next(RECIPE.train_batches("lab"))
    inputs   (B, 144, 82): features of a 7 x 7 convolution, a quarter of the side, with Fourier features of their place
    latents  (B, 32, 96): read once, thought about
    queries  class, count: one learned query each; colour, kind: the Fourier features of any point, 288 of 2,304 pixels
             in training
    outputs  {"class": (B, 4), "colour": (B, O, 3), "count": (B, 3), "kind": (B, O, 5)}

`scenes_perceiver_io` is trained to its end. The others are there to be compared with each other, after fewer and
smaller steps: `scenes_eighth` is the same again, those that end in the name of a task are asked only that, and
`scenes_colour_all` is asked for the colours of all 2,304 pixels in every step, `scenes_colour_spread` for one of every
eight neighbours.

    perceiver-lab train scenes_perceiver_io --mode full
"""

from flax import nnx

from perceiver_lab.adapters import (
    Convolutions,
    GridInput,
    LinearOutput,
    MultimodalOutput,
    MultimodalQueries,
    PositionQueries,
)
from perceiver_lab.datasets import sample_cells, spread_cells, to_float, turn_and_mirror
from perceiver_lab.datasets.scenes import SIDE
from perceiver_lab.layers import FourierPositions, LearnedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.scenes_measure import measure_scenes
from perceiver_lab.recipes.scenes_tasks import OUTPUTS, POINT_TASKS, predict, scenes_loss
from perceiver_lab.training import OptimizerConfig

AN_EIGHTH = (sample_cells(SIDE * SIDE // 8),)


def fourier(grid: tuple[int, ...], num_bands: int) -> FourierPositions:
    """Waves of 1, 2, ..., num_bands turns over the image, longer than its pixels."""
    return FourierPositions(grid, num_bands=num_bands, max_resolution=(2 * num_bands,) * 2)


def build(recipe: Recipe, rngs: nnx.Rngs) -> PerceiverIO:
    """One encoder, one decoder; a task is a group of queries and a linear layer."""
    options, channels = recipe.options, recipe.model.latent_channels
    groups = {}
    for task in options["tasks"]:
        if task in POINT_TASKS:
            positions = fourier((SIDE, SIDE), options["query_bands"])
        else:
            positions = LearnedPositions((1,), channels, rngs=rngs)
        groups[task] = PositionQueries(positions)
    # Queries are as wide whatever the tasks, so that models of one task are of the same size as that of all.
    padding = channels + 2 - max(group.num_channels for group in groups.values())
    queries = MultimodalQueries(groups, min_padding_size=padding, rngs=rngs)
    decoder = Decoder(
        queries,
        channels,
        output_channels=None,
        num_heads=options["decoder_heads"],
        qk_channels=channels,
        widening_factor=options["decoder_widening"],
        use_query_residual=True,
        rngs=rngs,
    )
    parts = {
        task: LinearOutput(queries.num_channels, OUTPUTS[task], only_query=task not in POINT_TASKS, rngs=rngs)
        for task in options["tasks"]
    }
    features = Convolutions((SIDE, SIDE, 3), channels=options["input_features"], batch_norm=False, rngs=rngs)
    return PerceiverIO(
        recipe.model,
        input_adapter=GridInput(features, fourier(features.grid, options["input_bands"])),
        decoder=decoder,
        output_adapter=MultimodalOutput(parts),
        rngs=rngs,
    )


def recipe(name, summary, *, tasks=tuple(OUTPUTS), asked=AN_EIGHTH, steps=3000, batch_size=16, headline):
    """The same sizes for all, so that they can be compared."""
    return Recipe(
        name=name,
        summary=summary,
        build=build,
        model=PerceiverConfig(
            num_latents=32,
            latent_channels=96,
            num_self_attends_per_block=2,
            num_cross_heads=8,
            num_self_heads=4,
            qk_channels=96,
        ),
        options={
            "tasks": tasks,
            "input_features": 64,
            "input_bands": 4,
            "query_bands": 8,
            "decoder_heads": 4,
            "decoder_widening": 1,
        },
        data=Data(name="scenes", train_transforms=(turn_and_mirror, *asked, to_float)),
        optimizer=OptimizerConfig(learning_rate=3e-3, warmup_steps=100, schedule="warmup_cosine", weight_decay=0.02),
        budgets={
            "ci": Budget(steps=4, batch_size=8, train_part="[:64]", test_part="[:20]", test_batch_size=20),
            "lab": Budget(steps=600, batch_size=32, train_part="[:4000]", test_part="[:200]", test_batch_size=50),
            "full": Budget(steps=steps, batch_size=batch_size, test_batch_size=50, evaluate_every=2000),
        },
        numerics=1,
        loss=scenes_loss,
        predict=predict,
        reads=("image",),
        measure=measure_scenes,
        headline=headline,
    )


RECIPES = (
    recipe(
        "scenes_perceiver_io",
        "32 latents asked for class, count, colour and kind, at an eighth of the pixels",
        steps=12000,
        batch_size=32,
        headline="mask_iou",
    ),
    recipe("scenes_eighth", "the same for fewer steps, as those that follow", headline="mask_iou"),
    recipe("scenes_class", "asked only for the kind of the largest shape", tasks=("class",), headline="class_accuracy"),
    recipe("scenes_count", "asked only for the number of shapes", tasks=("count",), headline="count_accuracy"),
    recipe("scenes_colour", "asked only for colours at points", tasks=("colour",), headline="colour_psnr"),
    recipe(
        "scenes_colour_all",
        "asked only for colours, at every pixel in every step",
        tasks=("colour",),
        asked=(),
        headline="colour_psnr",
    ),
    recipe(
        "scenes_colour_spread",
        "asked only for colours, at one pixel of every 2 x 4 in each step",
        tasks=("colour",),
        asked=(spread_cells(2, 4),),
        headline="colour_psnr",
    ),
    recipe("scenes_kind", "asked only for what is at a point", tasks=("kind",), headline="mask_iou"),
)
