"""Spoken digits: a Perceiver that reads the waveform, one that reads the mel spectrogram, a ConvNet, and one that sees.

    record   {"sound": (8000, 1), "length", "label": (), "speaker", "take"}  datasets.load("spoken_digits", "train")[i]
    batch    {"sound": (32, 8000, 1), "label": (32,), ...}, moved, faster or slower, softer, noisier
    inputs   waveform (B, 200, 57): 40 samples each and where; mel (B, 100, 49): 32 bands of each 10 milliseconds and
             where; with video (B, 612, 61): the same beside the frames of moving_digits, read through a convolution
    logits   (B, 10)

`spoken_video` reads both senses of moving_digits. In training an example loses its video with a chance of 30 %, so that
the sound is listened to as well (2103.03206, section 4.2).

    perceiver-lab train spoken_mel --mode full        perceiver-lab train spoken_video --mode full
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.adapters import (
    AudioPatches,
    ClassOutput,
    Convolutions,
    GridInput,
    LogMel,
    MultimodalInput,
)
from perceiver_lab.datasets import (
    add_noise,
    center_sound,
    change_speed,
    even_loudness,
    scale_video,
    shift_sound,
    turn_down,
)
from perceiver_lab.datasets.moving_digits import FRAMES, SIDE
from perceiver_lab.datasets.sound import NUM_SAMPLES, RATE
from perceiver_lab.layers import FourierPositions
from perceiver_lab.models.baselines import ConvNet, ConvNetConfig
from perceiver_lab.models.perceiver import Perceiver, PerceiverConfig
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.training import Accuracy, OptimizerConfig, accuracy, answers, cross_entropy, evaluate

HOP, WINDOW, BANDS = 80, 256, 32  # 10 milliseconds, seen through a window of 32, in 32 bands of mel
VIDEO = (FRAMES, SIDE, SIDE, 1)
# Faster or slower by an eighth, anywhere in the second, down to a quarter of the loudness, a little noise.
VARIED = (change_speed(0.125), shift_sound, even_loudness, turn_down(12.0), add_noise(0.02))
PLAIN = (center_sound, even_loudness)


class SpectrogramConvNet(nnx.Module):
    """A ConvNet that looks at the log-mel spectrogram as at a picture, time downwards and pitch to the right."""

    def __init__(self, config: ConvNetConfig, *, rngs: nnx.Rngs):
        """`config.shape` is that of the spectrogram."""
        self.mel = log_mel()
        self.convnet = ConvNet(config, rngs=rngs)

    def __call__(
        self, sound: Float[Array, "b t 1"], *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "b k"]:
        """Sound -> logits."""
        return self.convnet(self.mel(sound)[..., None], train=train, rngs=rngs)


def log_mel() -> LogMel:
    """100 stretches of 10 milliseconds, 32 bands each."""
    return LogMel(NUM_SAMPLES, hop=HOP, window=WINDOW, num_bands=BANDS, rate=RATE)


def positioned(features: nnx.Module, num_bands: int) -> GridInput:
    """Features with Fourier features of 1, 2, ..., num_bands waves over each axis."""
    grid = features.grid
    return GridInput(features, FourierPositions(grid, num_bands=num_bands, max_resolution=(2 * num_bands,) * len(grid)))


def build_waveform(recipe: Recipe, rngs: nnx.Rngs) -> Perceiver:
    """Raw samples, a stretch at a time, as the papers read sound."""
    samples = AudioPatches(NUM_SAMPLES, samples_per_patch=recipe.options["samples_per_patch"])
    return perceiver(recipe, positioned(samples, recipe.options["num_bands"]), rngs)


def build_mel(recipe: Recipe, rngs: nnx.Rngs) -> Perceiver:
    """All bands of a stretch together are one input."""
    return perceiver(recipe, positioned(log_mel(), recipe.options["num_bands"]), rngs)


def build_video(recipe: Recipe, rngs: nnx.Rngs) -> Perceiver:
    """The spectrogram and the frames, which an example may lose in training."""
    options = recipe.options
    frames = Convolutions(VIDEO, channels=options["video_channels"], batch_norm=False, rngs=rngs)
    modalities = {
        "sound": positioned(log_mel(), options["num_bands"]),
        "video": positioned(frames, options["video_bands"]),
    }
    drop = {"video": options["video_drop_rate"]}
    return perceiver(recipe, MultimodalInput(modalities, drop_rates=drop, rngs=rngs), rngs)


def perceiver(recipe: Recipe, inputs: nnx.Module, rngs: nnx.Rngs) -> Perceiver:
    """With logits of ten digits."""
    output = ClassOutput(recipe.model.latent_channels, 10, rngs=rngs)
    return Perceiver(recipe.model, input_adapter=inputs, output_adapter=output, rngs=rngs)


def heard(batch: Mapping) -> Array | dict[str, Array]:
    """What a model reads of a batch: the sound, and the video where there is one."""
    return {"sound": batch["sound"], "video": batch["video"]} if "video" in batch else batch["sound"]


def loss(model, batch, rngs):
    """Cross-entropy with "label", and the accuracy on the same batch."""
    logits = model(heard(batch), train=True, rngs=rngs)
    return cross_entropy(logits, batch["label"]), {"accuracy": accuracy(logits, batch["label"])}


def predict(model, batch):
    """Logits (B, 10) from all there is."""
    return model(heard(batch))


def predict_senses(model, batch):
    """Logits from "both", and from "sound" and "video" alone: the other is not read."""
    masks = {name: only(model.input_adapter, name, len(batch["sound"])) for name in ("sound", "video")}
    return {"both": model(heard(batch))} | {name: model(heard(batch), mask=mask) for name, mask in masks.items()}


def only(inputs: MultimodalInput, name: str, batch: int) -> Bool[Array, "b m"]:
    """The input mask that leaves one modality."""
    kept = [jnp.full(inputs.modalities[other].num_elements, other == name) for other in inputs.names]
    return jnp.broadcast_to(jnp.concatenate(kept)[None], (batch, sum(map(len, kept))))


def measure(model, batches):
    """Accuracy, its interval, counts and the mean cross-entropy, as of every classifier."""
    return evaluate(model, batches, predict, ("sound",)).as_dict()


def measure_senses(model, batches):
    """Accuracy from both senses ("accuracy"), and from either alone ("sound_accuracy", "video_accuracy").

    There are far fewer clips than records. What is said about a clip alone does not depend on its record, so of sound
    alone each clip counts once, "sound_total" of them.
    """
    right, clips = {"both": [], "sound": [], "video": []}, []
    for batch, said in answers(model, batches, predict_senses, ("sound", "video")):
        for sense, logits in said.items():
            right[sense].append(logits.argmax(axis=-1) == batch["label"])
        clips.append(clip_names(batch))
    joined = {sense: np.concatenate(parts) for sense, parts in right.items()}
    numbers = counted("accuracy", joined["both"]) | counted("video_accuracy", joined["video"])
    return numbers | counted_once("sound", joined["sound"], np.concatenate(clips)) | {"total": len(joined["both"])}


def clip_names(batch: Mapping) -> np.ndarray:
    """Speaker, digit and take of each record's clip as one number (B,)."""
    return (np.asarray(batch["speaker"]) * 10 + batch["label"]) * 10 + batch["take"]


def counted(name: str, right: np.ndarray) -> dict[str, float]:
    """The share of True, with its 95 % interval."""
    found = Accuracy(correct=int(right.sum()), total=len(right))
    low, high = found.interval
    return {name: found.value, f"{name}_low": low, f"{name}_high": high}


def counted_once(sense: str, right: np.ndarray, clips: np.ndarray) -> dict[str, float]:
    """As `counted`, each clip once: its first record speaks for it."""
    first = np.unique(clips, return_index=True)[1]
    return counted(f"{sense}_accuracy", right[first]) | {f"{sense}_total": len(first)}


def recipe(name, summary, *, build, model, steps, options=None, video=False, learning_rate=3e-3):
    """One of the four."""
    seen = (scale_video,) if video else ()
    return Recipe(
        name=name,
        summary=summary,
        build=build,
        model=model,
        options=options or {},
        data=Data(
            name="moving_digits" if video else "spoken_digits",
            train_transforms=(*VARIED, *seen),
            test_transforms=(*PLAIN, *seen),
            decode_once=True,
        ),
        optimizer=OptimizerConfig(
            learning_rate=learning_rate, warmup_steps=100, schedule="warmup_cosine", weight_decay=0.05, clip=1.0
        ),
        budgets={
            "ci": Budget(steps=4, batch_size=8, train_part="[:64]", test_part="[:20]", test_batch_size=20),
            "lab": Budget(
                steps=min(steps, 400), batch_size=32, test_part="[:200]" if video else "", test_batch_size=50
            ),
            "full": Budget(steps=steps, batch_size=32, test_batch_size=50, evaluate_every=1000),
        },
        numerics=1,
        loss=loss,
        predict=predict_senses if video else predict,
        reads=("sound", "video") if video else ("sound",),
        measure=measure_senses if video else measure,
    )


SIZES = PerceiverConfig(
    num_latents=24,
    latent_channels=96,
    num_reads=2,
    num_blocks=2,
    num_self_attends_per_block=2,
    num_cross_heads=8,
    num_self_heads=4,
    qk_channels=96,
    dropout_rate=0.1,
)
RECIPES = (
    recipe(
        "spoken_waveform",
        "24 latents of 96 channels and 200 stretches of 40 raw samples",
        build=build_waveform,
        model=SIZES,
        options={"samples_per_patch": 40, "num_bands": 8},
        steps=6000,
    ),
    recipe(
        "spoken_mel",
        "the same latents and 100 stretches of a mel spectrogram",
        build=build_mel,
        model=SIZES,
        options={"num_bands": 8},
        steps=4000,
    ),
    recipe(
        "spoken_convnet",
        "a residual ConvNet on the same spectrogram",
        build=lambda recipe, rngs: SpectrogramConvNet(recipe.model, rngs=rngs),
        model=ConvNetConfig(shape=(NUM_SAMPLES // HOP, BANDS, 1), num_classes=10, widths=(16, 32, 64, 96)),
        steps=2000,
    ),
    recipe(
        "spoken_video",
        "the same latents, sound and video, which three in ten examples lose in training",
        build=build_video,
        model=SIZES,
        options={"num_bands": 8, "video_bands": 4, "video_channels": 32, "video_drop_rate": 0.3},
        video=True,
        steps=4000,
    ),
)
