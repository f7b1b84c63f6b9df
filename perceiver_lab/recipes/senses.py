"""Video, sound and label of a digit in one array of latents, and all three back out of it (2107.14795, section 4.3).

    record   {"video": (8, 32, 32, 1), "sound": (8000, 1), "label": (), ...}  datasets.load("moving_digits", "train")[i]
    batch    in training also what is hidden and what is asked for: "hidden_video" (), "video_cells" (256,), ...
    inputs   (B, 613, 131): 1 label, 100 stretches of sound, 512 cells of video, all padded to the same width
    latents  (B, 48, 128)
    queries  1 label, 100 stretches of sound, 512 patches of video; in training 1, 25 and 256 of them
    outputs  {"label": (B, 10), "sound": (B, 8000), "video": (B, 8, 32, 32, 1)}

As in the paper, a modality's learned padding tells it apart, the label is in-painted (at test it is always hidden
behind its mask token), training asks for a part of the outputs of each example, and the test decodes all of them in
chunks. Three in ten training examples also lose their sound or their video behind mask tokens, each as likely, and
three in four their label. So a sense that is missing at test is nothing new: its mask token takes its place. Three
things differ, for the sake of two cores: video is read through a convolution, a query of video asks for 4 x 4 pixels of
a frame (the paper's for one), and beside the raw samples of each stretch of sound stands its mel spectrum.

    perceiver-lab train senses_autoencoder --mode full

How it does with a stranger's voice: `get("senses_autoencoder").override({"data.test": "test_speaker"}).metrics(model)`.
"""

import math

from flax import nnx

from perceiver_lab.adapters import (
    AudioOutput,
    AudioPatches,
    Convolutions,
    LinearOutput,
    Modality,
    OneHotInput,
    PatchesOutput,
    PositionQueries,
    SideBySide,
    multimodal_adapters,
)
from perceiver_lab.datasets import (
    ask_some,
    center_sound,
    change_speed,
    even_loudness,
    hide_one,
    scale_video,
    shift_sound,
)
from perceiver_lab.datasets.sound import NUM_SAMPLES
from perceiver_lab.layers import FourierPositions, LearnedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.senses_tasks import (
    NUM_STRETCHES,
    PATCH,
    PATCHES,
    SAMPLES_PER_PATCH,
    VIDEO,
    measure_senses,
    predict,
    senses_loss,
)
from perceiver_lab.recipes.spoken import log_mel, positioned
from perceiver_lab.training import OptimizerConfig


def fourier(grid: tuple[int, ...], num_bands: int) -> FourierPositions:
    """Features of 1, 2, ..., num_bands waves over each axis, or as many as it has cells for."""
    return FourierPositions(grid, num_bands=num_bands, max_resolution=tuple(min(2 * num_bands, n) for n in grid))


def build(recipe: Recipe, rngs: nnx.Rngs) -> PerceiverIO:
    """Three modalities that are read and asked for."""
    options, channels = recipe.options, recipe.model.latent_channels
    inputs, queries, output = multimodal_adapters(modalities(options, channels, rngs), rngs=rngs)
    decoder = Decoder(
        queries,
        channels,
        output_channels=channels,
        num_heads=options["decoder_heads"],
        qk_channels=channels,
        use_query_residual=True,
        rngs=rngs,
    )
    return PerceiverIO(recipe.model, input_adapter=inputs, decoder=decoder, output_adapter=output, rngs=rngs)


def modalities(options, channels: int, rngs: nnx.Rngs) -> list[Modality]:
    """What is read, what is asked for and what becomes of it; all have mask tokens."""
    raw = AudioPatches(NUM_SAMPLES, samples_per_patch=SAMPLES_PER_PATCH)
    frames = Convolutions(VIDEO, channels=options["video_channels"], batch_norm=False, rngs=rngs)
    return [
        Modality(
            name="label",
            input_adapter=OneHotInput(10),
            queries=PositionQueries(LearnedPositions((1,), channels, rngs=rngs)),
            output_adapter=LinearOutput(channels, 10, only_query=True, rngs=rngs),
            mask_rate=0.0,
        ),
        Modality(
            name="sound",
            input_adapter=positioned(SideBySide([raw, log_mel()]), options["sound_bands"]),
            queries=PositionQueries(fourier((NUM_STRETCHES,), options["sound_query_bands"])),
            output_adapter=AudioOutput(channels, SAMPLES_PER_PATCH, rngs=rngs),
            mask_rate=0.0,
        ),
        Modality(
            name="video",
            input_adapter=positioned(frames, options["video_bands"]),
            queries=PositionQueries(fourier(PATCHES, options["video_query_bands"])),
            output_adapter=LinearOutput(channels, PATCH**2, grid=PatchesOutput(PATCHES, factor=PATCH), rngs=rngs),
            mask_rate=0.0,
        ),
    ]


RECIPES = (
    Recipe(
        name="senses_autoencoder",
        summary="48 latents of 128 channels hold video, sound and label of a digit",
        build=build,
        model=PerceiverConfig(
            num_latents=48,
            latent_channels=128,
            num_self_attends_per_block=2,
            num_cross_heads=8,
            num_self_heads=4,
            qk_channels=128,
        ),
        options={
            "video_channels": 32,
            "video_bands": 4,
            "sound_bands": 8,
            "video_query_bands": 4,
            "sound_query_bands": 32,
            "decoder_heads": 4,
        },
        data=Data(
            name="moving_digits",
            train_transforms=(
                change_speed(0.125),
                shift_sound,
                even_loudness,
                hide_one(("sound", "video"), 0.3),
                hide_one(("label",), 0.75),
                ask_some("sound", 25, of=NUM_STRETCHES),
                ask_some("video", math.prod(PATCHES) // 2, of=math.prod(PATCHES)),
                scale_video,
            ),
            test_transforms=(center_sound, even_loudness, scale_video),
            decode_once=True,
        ),
        optimizer=OptimizerConfig(
            learning_rate=3e-3, warmup_steps=100, schedule="warmup_cosine", weight_decay=0.02, clip=1.0
        ),
        budgets={
            "ci": Budget(steps=4, batch_size=8, train_part="[:64]", test_part="[:20]", test_batch_size=20),
            "lab": Budget(steps=1600, batch_size=16, test_part="[:200]", test_batch_size=50),
            "full": Budget(steps=8000, batch_size=16, test_batch_size=50, evaluate_every=4000, log_every=20),
        },
        numerics=1,
        loss=senses_loss,
        predict=predict,
        reads=("sound", "video"),
        measure=measure_senses,
    ),
)
