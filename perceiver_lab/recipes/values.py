"""Pictures pixel by pixel and sounds sample by sample: what Perceiver AR was made for, at small size (2202.07765).

    digits_ar   record {"image": (28, 28, 1), ...}              datasets.load("mnist_small", "train")[i]
                batch  {"inputs": (32, 196), "targets": (32, 196), "positions": (32, 196, 3)}: 14 x 14 pixels in 16
                       grey levels, of which a crop                         next(RECIPE.train_batches("lab"))
                inputs (B, 196, 96): embeddings of the value, the column, the row and the channel, added
                latents (B, 64, 96): made of the last 64 values
                logits (B, 64, 19): of the value after each

    spoken_ar   record {"sound": (8000, 1), "length": ..., ...}   datasets.load("spoken_digits", "train")[i]
                batch  {"inputs": (16, 1024), "targets": (16, 1024)}: 128 ms in 256 levels of mu-law
                inputs (B, 1024, 96): embeddings of the value alone; its place turns queries and keys (rotary)
                latents (B, 256, 96)          logits (B, 256, 259)

    spoken_codes_ar   the same clips as codes of a residual quantiser, four for each two milliseconds
                batch  {"inputs": (16, 1024), "targets": (16, 1024)}: half a second
                logits (B, 256, 1027)

Positions of pictures are learned tables for columns, rows and channels, as published for ImageNet 64 x 64.

    perceiver-lab train digits_ar --mode full
"""

from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.datasets import crop_events, halve, picture_events, sound_events
from perceiver_lab.datasets.pictures import FIRST_PLACE
from perceiver_lab.datasets.quantiser import code_events
from perceiver_lab.datasets.sound import NUM_SAMPLES
from perceiver_lab.layers import LearnedPositions
from perceiver_lab.models import PerceiverAR, PerceiverARConfig
from perceiver_lab.ops.sequences import NUM_SPECIAL_TOKENS
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.events_measure import READS, measure_events, predict
from perceiver_lab.training import OptimizerConfig, next_token_loss

SIDE, LEVELS = 14, 16
CHANNELS = 96
PIXELS = SIDE * SIDE


def build_picture(recipe: Recipe, rngs: nnx.Rngs) -> PerceiverAR:
    """A learned table for each axis."""
    channels = recipe.model.latent_channels
    sizes = (SIDE + FIRST_PLACE, SIDE + FIRST_PLACE, 1 + FIRST_PLACE)
    tables = [LearnedPositions((size,), channels, rngs=rngs) for size in sizes]
    inputs = TokenInput(NUM_SPECIAL_TOKENS + LEVELS, channels, positions=tables, rngs=rngs)
    return PerceiverAR(recipe.model, input_adapter=inputs, rngs=rngs)


def build_sound(recipe: Recipe, rngs: nnx.Rngs) -> PerceiverAR:
    """Rotary positions: none in the inputs."""
    inputs = TokenInput(recipe.options["vocabulary"], recipe.model.latent_channels, rngs=rngs)
    return PerceiverAR(recipe.model, input_adapter=inputs, rngs=rngs)


def config(num_latents, context, **sizes):
    """The same width, heads and dropout for both."""
    return PerceiverARConfig(
        num_latents=num_latents,
        latent_channels=CHANNELS,
        max_context=context,
        num_cross_heads=4,
        num_self_heads=4,
        dropout_rate=0.1,
        **sizes,
    )


RATES = {"learning_rate": 2e-3, "warmup_steps": 100, "schedule": "warmup_cosine"}


def sound(name, summary, *, events, longest, vocabulary, unit):
    """The same model, context and training for samples and for codes."""
    return Recipe(
        name=name,
        summary=summary,
        build=build_sound,
        model=config(256, 1024, num_self_attends=3),
        options={"vocabulary": vocabulary},
        data=Data(
            name="spoken_digits",
            train_transforms=(events(), crop_events(context=1024, fewest=256)),
            test_transforms=(events(longest),),
        ),
        optimizer=OptimizerConfig(**RATES),
        budgets={
            "ci": Budget(steps=2, batch_size=2, train_part="[:10]", test_part="[:1]", test_batch_size=1),
            "lab": Budget(steps=300, batch_size=16, test_part="[:10]", test_batch_size=10),
            "full": Budget(steps=3000, batch_size=16, test_batch_size=20, evaluate_every=1000),
        },
        numerics=1,
        loss=next_token_loss(),
        predict=predict,
        reads=READS,
        measure=measure_events(unit),
        headline=f"bits_per_{unit}",
    )


RECIPES = (
    Recipe(
        name="digits_ar",
        summary="64 latents read a digit of 14 x 14 pixels and say which grey comes next",
        build=build_picture,
        model=config(64, PIXELS, num_self_attends=4, rotary_fraction=0.0),
        data=Data(
            name="mnist_small",
            train_transforms=(halve, picture_events(LEVELS), crop_events(context=PIXELS, fewest=64)),
            test_transforms=(halve, picture_events(LEVELS)),
        ),
        optimizer=OptimizerConfig(**RATES),
        budgets={
            "ci": Budget(steps=2, batch_size=4, train_part="[:40]", test_part="[:4]", test_batch_size=4),
            "lab": Budget(steps=300, batch_size=32, test_part="[:100]"),
            "full": Budget(steps=4000, batch_size=32, evaluate_every=2000),
        },
        numerics=1,
        loss=next_token_loss(),
        predict=predict,
        reads=(*READS, "positions"),
        measure=measure_events("pixel"),
        headline="bits_per_pixel",
    ),
    sound(
        "spoken_ar",
        "256 latents hear 128 milliseconds of a spoken digit and say which sample comes next",
        events=sound_events,
        longest=NUM_SAMPLES + 1,
        vocabulary=NUM_SPECIAL_TOKENS + 256,
        unit="sample",
    ),
    sound(
        "spoken_codes_ar",
        "256 latents hear half a second of a spoken digit and say which code of a quantiser comes next",
        events=code_events,
        longest=4 * NUM_SAMPLES // 16 + 1,
        vocabulary=NUM_SPECIAL_TOKENS + 4 * 256,
        unit="code",
    ),
)
