"""Video, sound and the digit they show: masked auto-encoding of three modalities by a Hierarchical Perceiver.

    record   {"video": (8, 32, 32, 1), "sound": (8000, 1), "label": (), ...}  datasets.load("moving_digits", "train")[i]
    inputs   sound (B, 100, 32): the log-mel spectrum of 10 milliseconds each; video (B, 64, 128): 4 x 4 pixels in all 8
             frames each; label (B, 1, 10), read at the processor and always hidden
    groups   10: the quarters of the frame, six stretches of the sound, all meet in the processor
    outputs  the same three

A digit (MNIST) and a voice (Free Spoken Digit Dataset) are real, that they go together is made. In training a quarter
of the elements is hidden, in half of the examples all of the sound or all of the video, and the label in all of them:
so the label is guessed as whatever else is missing, and from one sense if need be. Positions in time and in the frame
are learned, each on its own: patches through all frames leave 64 of them to the video instead of 512.

    perceiver-lab train hip_senses --mode full
"""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.datasets import center_sound, change_speed, even_loudness, hide_one, scale_video, shift_sound
from perceiver_lab.datasets.sound import NUM_SAMPLES
from perceiver_lab.models import HiPClassBottleneck, HiPConfig
from perceiver_lab.ops import space_to_depth
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.senses_tasks import PATCH, PATCHES
from perceiver_lab.recipes.spoken import BANDS, HOP, clip_names, counted, counted_once, log_mel
from perceiver_lab.training import OptimizerConfig, answers, hide, masked_loss

FRAMES, ROWS, COLUMNS = PATCHES
SHAPES = {"sound": (NUM_SAMPLES // HOP, BANDS), "video": (ROWS * COLUMNS, FRAMES * PATCH**2)}
RATES = {"sound": 0.25, "video": 0.25, "label": 1.0}
WEIGHTS = {"sound": 0.5, "video": 1.0, "label": 0.5}
READS = ("sound", "video")


def build(recipe: Recipe, rngs: nnx.Rngs) -> HiPClassBottleneck:
    """Positions start as wide as contents: at the release's deviation, these drown them."""
    model = HiPClassBottleneck(recipe.model, SHAPES, labels={"label": (1, 10)}, rngs=rngs)
    for positions in model.positions.values():
        table = positions.table.table
        table[...] = table[...] * (recipe.options["position_std"] * len(table[...]) ** 0.5)
    return model


def elements(batch: Mapping[str, Array]) -> dict[str, Float[Array, "b _ _"]]:
    """A batch as modalities: rows of sound and video, and the label, all zeros where the batch has none."""
    size = len(batch["video"])
    label = jax.nn.one_hot(batch["label"], 10)[:, None] if "label" in batch else jnp.zeros((size, 1, 10))
    return {"sound": log_mel()(batch["sound"]), "video": tubes(batch["video"]), "label": label}


def tubes(video: Float[Array, "b 8 32 32 1"]) -> Float[Array, "b 64 128"]:
    """Patches through all frames, the four quarters of the frame one after the other: each fills a group."""
    patches = space_to_depth(video, PATCH)
    quarters = patches.reshape(len(video), FRAMES, 2, ROWS // 2, 2, COLUMNS // 2, PATCH**2)
    return quarters.transpose(0, 2, 4, 3, 5, 1, 6).reshape(len(video), *SHAPES["video"])


def loss(model: nnx.Module, batch: Mapping[str, Array], rngs: nnx.Rngs):
    """The error at what is hidden: squares of sound and video, cross-entropy of the label."""
    x = elements(batch)
    visible, hidden = hide(x, RATES, rngs.mask())
    for name in READS:
        gone = batch[f"hidden_{name}"][:, None]
        hidden[name] = hidden[name] | gone
        visible[name] = jnp.where(gone[..., None], 0.0, visible[name])
    said = model(visible, train=True, rngs=rngs)
    total, parts = masked_loss(said, x, hidden, weights=WEIGHTS, classes=("label",))
    return total, parts | {"accuracy": (said["label"].argmax(-1) == x["label"].argmax(-1)).mean()}


def predict(model: nnx.Module, batch: Mapping[str, Array]) -> dict[str, Array]:
    """The label from both senses and from either alone, and how far hidden elements are off.

    Returns:
      "both", "sound" and "video" (B, 10): logits; "sound_error" and "video_error" (B,): the mean squared error of a
      quarter of the elements that are hidden (always the same draw); "sound_square" and "video_square" (B,), of what
      stands there, about the mean of the example.
    """
    x = elements({name: batch[name] for name in READS})
    said = {"both": model(x)["label"][:, 0]}
    for kept, gone in (READS, READS[::-1]):
        said[kept] = model(x | {gone: jnp.zeros_like(x[gone])})["label"][:, 0]
    visible, hidden = hide(x, RATES, jax.random.key(0))
    outputs = model(visible)
    for name in READS:
        where = hidden[name][..., None]
        count = where.sum(axis=(1, 2)) * x[name].shape[-1]
        centred = x[name] - x[name].mean(axis=(1, 2), keepdims=True)
        said[f"{name}_error"] = (((outputs[name] - x[name]) ** 2) * where).sum(axis=(1, 2)) / count
        said[f"{name}_square"] = ((centred**2) * where).sum(axis=(1, 2)) / count
    return said


def measure(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """What all records of a split are taken for, and how well what is hidden is filled in.

    Returns:
      "accuracy" from both senses and "video_accuracy" from video alone, over all records; "sound_accuracy" from sound
      alone, over "sound_total" different clips; each with its 95 % interval; "sound_error" and "video_error": the
      squared error of hidden elements over that of each example's mean, which is 1; "loss", their sum; "total".
    """
    right, squares, clips = {name: [] for name in ("both", *READS)}, [], []
    for batch, said in answers(model, batches, predict, READS):
        for sense, parts in right.items():
            parts.append(said[sense].argmax(axis=-1) == batch["label"])
        squares.append(np.stack([said[f"{name}_{part}"] for name in READS for part in ("error", "square")], axis=1))
        clips.append(clip_names(batch))
    joined, sums = {sense: np.concatenate(parts) for sense, parts in right.items()}, np.concatenate(squares).sum(axis=0)
    numbers = counted("accuracy", joined["both"]) | counted("video_accuracy", joined["video"])
    numbers |= counted_once("sound", joined["sound"], np.concatenate(clips))
    errors = {"sound_error": float(sums[0] / sums[1]), "video_error": float(sums[2] / sums[3])}
    return {**numbers, **errors, "loss": sum(errors.values()), "total": len(joined["both"])}


RECIPES = (
    Recipe(
        name="hip_senses",
        summary="a HiP fills in video, sound and the digit of both",
        build=build,
        model=HiPConfig(
            num_groups=(10, 1, 10),
            num_self_attends_per_block=(2, 2, 2),
            num_latents=(16, 80, 16),
            latent_channels=(64, 128, 64),
            num_self_heads=4,
            num_cross_heads=2,
            self_widening_factor=2,
            embedding_channels=64,
        ),
        options={"position_std": 1.0},
        data=Data(
            name="moving_digits",
            train_transforms=(change_speed(0.125), shift_sound, even_loudness, hide_one(READS, 0.5), scale_video),
            test_transforms=(center_sound, even_loudness, scale_video),
            decode_once=True,
        ),
        optimizer=OptimizerConfig(
            learning_rate=5e-4, warmup_steps=100, schedule="warmup_cosine", weight_decay=0.02, clip=1.0
        ),
        budgets={
            "ci": Budget(steps=2, batch_size=4, train_part="[:16]", test_part="[:8]", test_batch_size=4),
            "lab": Budget(steps=400, batch_size=16, test_part="[:200]", test_batch_size=50),
            "full": Budget(steps=6000, batch_size=32, test_batch_size=50, evaluate_every=2000, log_every=20),
        },
        numerics=1,
        loss=loss,
        predict=predict,
        reads=READS,
        measure=measure,
    ),
)
