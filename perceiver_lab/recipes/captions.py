"""A small Flamingo: a language model that read captions, frozen, is shown the pictures and clips that they are about.

    record   {"frames": (4, 32, 32, 3), "num_frames": (), "ids": (44,), ...}     datasets.load("captions", "train")[i]
    batch    {"ids": (B, 128), "answers": (B, 128), "frames": (B, 4, 4, 32, 32, 3), "frame_mask": (B, 4, 4)}: four
             chunks in each sequence                                             next(RECIPE.train_batches("lab"))
    features (B, 4, 4, 16, 64): each frame through three convolutions
    media    (B, 4, 8, 64): 8 tokens for every picture or clip
    logits   (B, 127, 262): for the byte after each

`captions_language` is trained on texts alone, in which all pairs of colour and shape occur, and `captions_eyes` (in
captions_eyes.py) to name what single pictures show. The others take both over, freeze them, and train what lies between
the eyes and the layers of the language model: `captions_flamingo` with a Perceiver Resampler, the other three with
something else of the same size in its place, as in the paper's ablation (Table 7). `captions_other_colours` is
`captions_flamingo` again, but half of its training texts name colours that are not there.

    perceiver-lab train captions_language --mode full --ship
    perceiver-lab train captions_eyes --mode full --ship
    perceiver-lab train captions_flamingo --mode full
"""

from dataclasses import dataclass

from flax import nnx

from perceiver_lab.adapters import ByteInput, ByteOutput, FrameInput
from perceiver_lab.datasets.captions import FRAMES, SIDE
from perceiver_lab.datasets.captions_text import (
    IMAGE,
    any_pair,
    as_prompt,
    interleave,
    only_text,
    other_colours,
    recoloured,
    turned,
)
from perceiver_lab.layers import FourierPositions
from perceiver_lab.models import Flamingo, GatedConfig, GatedLayers, Resampler, ResamplerConfig
from perceiver_lab.models.baselines import BertConfig, CausalTransformer, MeanPooling, PlainTransformer, TokenMLP
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.captions_eyes import READS as FRAME
from perceiver_lab.recipes.captions_eyes import Eyes, as_named, as_taught, eyes_loss, measure_eyes, name
from perceiver_lab.recipes.captions_measure import (
    READS,
    captions_loss,
    measure_captions,
    measure_text,
    predict,
    predict_text,
)
from perceiver_lab.recipes.starting import Start
from perceiver_lab.training import OptimizerConfig
from perceiver_lab.training.freezing import FrozenConfig

LENGTH = 128  # ids in a training sequence
IMAGES = 4  # chunks in it
CHANNELS = 64

LANGUAGE = BertConfig(channels=CHANNELS, num_layers=3, num_heads=4)
SIZES = {"embedding": 64, "num_bands": 32}
VISION = {"vision": (32, 64, CHANNELS)}
RATES = {"learning_rate": 2e-3, "warmup_steps": 100, "schedule": "warmup_cosine"}
KNOWN = ("language_model", "vision")  # what is trained before, and frozen


@dataclass(frozen=True, kw_only=True)
class FlamingoConfig:
    """Sizes of the whole model.

    Attributes:
      language: of the language model.
      resampler: of the resampler, or of what stands in its place.
      gated: of the gated layers.
      every: before which blocks of the language model they stand.
      attend: what a token sees, "last" or "previous" images.
    """

    language: BertConfig = LANGUAGE
    resampler: ResamplerConfig
    gated: GatedConfig
    every: int = 1
    attend: str = "last"


def build_language(recipe: Recipe, rngs: nnx.Rngs) -> Flamingo:
    """The language model alone."""
    return Flamingo(_language(recipe.model, recipe.options, rngs), image_id=IMAGE)


def build(recipe: Recipe, rngs: nnx.Rngs) -> Flamingo:
    """The language model, and what makes it see."""
    config, options = recipe.model, recipe.options
    vision = FrameInput((SIDE, SIDE, 3), options["vision"], rngs=rngs)
    return Flamingo(
        _language(config.language, options, rngs),
        image_id=IMAGE,
        vision=vision,
        resampler=_READERS[options["reader"]](config.resampler, vision, rngs),
        gated=GatedLayers(config.gated, config.language.num_layers, every=config.every, rngs=rngs),
        attend=config.attend,
    )


def build_eyes(recipe: Recipe, rngs: nnx.Rngs) -> Eyes:
    """The vision network with names, and the language model that stays as it is."""
    vision = FrameInput((SIDE, SIDE, 3), recipe.options["vision"], rngs=rngs)
    return Eyes(_language(recipe.model, recipe.options, rngs), vision, rngs=rngs)


def _language(config, options, rngs):
    positions = FourierPositions((LENGTH,), num_bands=options["num_bands"])
    inputs = ByteInput(options["embedding"], LENGTH, positions=positions, combine="concat", rngs=rngs)
    return CausalTransformer(config, input_adapter=inputs, output_adapter=ByteOutput(), rngs=rngs)


def _cells(vision):
    return vision.grid[0] * vision.grid[1]


_READERS = {
    "resampler": lambda config, vision, rngs: Resampler(config, rngs=rngs),
    "mean": lambda config, vision, rngs: MeanPooling(config, _cells(vision), rngs=rngs),
    "transformer": lambda config, vision, rngs: PlainTransformer(config, _cells(vision), rngs=rngs),
    "mlp": lambda config, vision, rngs: TokenMLP(config, _cells(vision), rngs=rngs),
}


def recipe(name, summary, *, reader=None, widening_factor=4, augment=(turned,), steps):
    """What sees is of the same size, whatever stands in the resampler's place."""
    sees = reader is not None
    sizes = {"latent_channels": CHANNELS, "num_heads": 4, "head_dim": 16, "num_layers": 2, "max_frames": FRAMES}
    resampler = ResamplerConfig(num_latents=8, widening_factor=widening_factor, **sizes)
    gated = GatedConfig(channels=CHANNELS, media_channels=CHANNELS, num_heads=4, head_dim=16)
    return Recipe(
        name=name,
        summary=summary,
        build=build if sees else build_language,
        model=FlamingoConfig(resampler=resampler, gated=gated) if sees else LANGUAGE,
        options=SIZES | ({"reader": reader} | VISION if sees else {}),
        data=Data(
            name="captions",
            train_transforms=augment if sees else (any_pair, only_text),
            test_transforms=(as_prompt,) if sees else (only_text, as_prompt),
            decode_once=True,
            mix=interleave(IMAGES, LENGTH),
        ),
        optimizer=FrozenConfig(frozen=KNOWN, **RATES) if sees else OptimizerConfig(**RATES),
        budgets={
            "ci": Budget(steps=2, batch_size=8, train_part="[:48]", test_part="[:48]", test_batch_size=24),
            "lab": Budget(steps=300, batch_size=16, test_part="[:480]", test_batch_size=120),
            "full": Budget(
                steps=steps,
                batch_size=16,
                seeds=(0, 1, 2) if sees else (0,),
                test_batch_size=200,
                evaluate_every=1000,
                log_every=20,
            ),
        },
        numerics=1,
        loss=captions_loss,
        predict=predict if sees else predict_text,
        reads=READS,
        measure=measure_captions if sees else measure_text,
        headline="exact_match" if sees else "bits_per_byte",
        start_from=Start(recipe="captions_eyes", parts=KNOWN) if sees else None,
    )


EYES = Recipe(
    name="captions_eyes",
    summary="a vision network names what single pictures show",
    build=build_eyes,
    model=LANGUAGE,
    options=SIZES | VISION,
    data=Data(
        name="captions", train_transforms=(turned, recoloured, as_taught), test_transforms=(as_named,), decode_once=True
    ),
    optimizer=FrozenConfig(frozen=("language_model",), **RATES),
    budgets={
        "ci": Budget(steps=2, batch_size=8, train_part="[:48]", test_part="[:48]", test_batch_size=24),
        "lab": Budget(steps=300, batch_size=64, test_part="[:480]", test_batch_size=120),
        "full": Budget(steps=5000, batch_size=64, test_batch_size=200, evaluate_every=1000, log_every=20),
    },
    numerics=1,
    loss=eyes_loss,
    predict=name,
    reads=FRAME,
    measure=measure_eyes,
    headline="shape_accuracy",
    start_from=Start(recipe="captions_language", parts=("language_model",)),
)

# Without attention, MLPs of six times the width make up for it: two layers have as many parameters as a resampler's.
RECIPES = (
    EYES,
    recipe("captions_language", "a language model of bytes reads captions", steps=3000),
    recipe("captions_flamingo", "the same, frozen, sees through a Perceiver Resampler", reader="resampler", steps=3000),
    recipe(
        "captions_other_colours",
        "the same, trained also with colours that are not there",
        reader="resampler",
        augment=(turned, other_colours),
        steps=3000,
    ),
    recipe(
        "captions_mean",
        "the same, frozen, sees the average of all frames",
        reader="mean",
        widening_factor=6,
        steps=3000,
    ),
    recipe(
        "captions_transformer",
        "the same, frozen, sees through a plain Transformer",
        reader="transformer",
        steps=3000,
    ),
    recipe(
        "captions_mlp",
        "the same, frozen, sees through fixed mixes and MLPs",
        reader="mlp",
        widening_factor=6,
        steps=3000,
    ),
)
