"""What the auto-encoder of several senses is asked for, how far its answers are off, and what they are worth."""

import math
from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from perceiver_lab.adapters import Modality
from perceiver_lab.datasets.moving_digits import FRAMES, SIDE
from perceiver_lab.datasets.sound import NUM_SAMPLES
from perceiver_lab.recipes.spoken import clip_names, counted, counted_once
from perceiver_lab.training import answers, cross_entropy, multimodal_loss
from perceiver_lab.training.metrics import mean_interval

VIDEO = (FRAMES, SIDE, SIDE, 1)
PATCH = 4  # pixels along each side of what a query of video asks for
PATCHES = (FRAMES, SIDE // PATCH, SIDE // PATCH)
SAMPLES_PER_PATCH = 80
NUM_STRETCHES = NUM_SAMPLES // SAMPLES_PER_PATCH
NUM_CHUNKS = 8
# Video needs the weight: with 2 for it and 0.2 for the label, it stayed the mean image for 1,800 steps. The label is
# one query, learnt first, and pulls on the same latents. Sound is small numbers: silence is off by 0.01.
WEIGHTS = {"label": 0.05, "sound": 2.0, "video": 10.0}
NOTHING = np.zeros(0, np.int32)  # as cells: this group is not asked


def squared_error(output: Float[Array, "b ..."], target: Float[Array, "b ..."]) -> Float[Array, ""]:
    """The mean over all numbers."""
    return jnp.mean((output - target) ** 2)


def answer(
    model: nnx.Module,
    x: Mapping[str, Float[Array, "b ..."]],
    *,
    hidden: Mapping[str, Bool[Array, " b"]] | None = None,
    cells: Mapping[str, Int[Array, "..."]] | None = None,
    train: bool = False,
    rngs: nnx.Rngs | None = None,
) -> dict[str, Float[Array, "b ..."]]:
    """What the model makes of the senses that it is given.

    Args:
      x: any of "video" (B, 8, 32, 32, 1) and "sound" (B, 8000, 1), both in [-1, 1], and "label" one-hot (B, 10), at
        least one; a mask token stands for what is missing.
      hidden: name -> True where an example has one of them behind its mask token.
      cells: name -> numbers of the outputs that are asked for, by default all.
      train, rngs: as of the model.

    Returns:
      "video" (B, 8, 32, 32, 1), "sound" (B, 8000), "label" (B, 10) logits; of a part of the outputs (B, K, 16) and
      (B, 80 K).
    """
    inputs = model.input_adapter(x, hidden=hidden, train=train, rngs=rngs)
    return model.decode(model.encode(inputs, train=train, rngs=rngs), cells=cells)


def senses_loss(model: nnx.Module, batch: Mapping[str, Array], rngs: nnx.Rngs):
    """The weighted sum over label, sound and video at "NAME_cells", of inputs hidden where "hidden_NAME" says so.

    Returns:
      The sum, each part's own loss, and how often the label is right where it was hidden.
    """
    x = {"video": batch["video"], "sound": batch["sound"], "label": jax.nn.one_hot(batch["label"], 10)}
    hidden = {name: batch[f"hidden_{name}"] for name in x}
    cells = {name: batch[f"{name}_cells"] for name in ("sound", "video")}
    outputs = answer(model, x, hidden=hidden, cells=cells, train=True, rngs=rngs)
    targets = model.output_adapter.select({name: batch[name] for name in x}, cells)
    total, losses = multimodal_loss(_asked(model), outputs, targets)
    right = outputs["label"].argmax(axis=-1) == batch["label"]
    report = {f"{name}_loss": loss for name, loss in losses.items()}
    report["accuracy"] = jnp.sum(right & hidden["label"]) / jnp.maximum(hidden["label"].sum(), 1)
    return total, report


def predict(model: nnx.Module, batch: Mapping[str, Array]) -> dict[str, Float[Array, "b ..."]]:
    """Everything from video and sound together, and the label from either alone; the label itself is never read.

    Decoded in chunks, as in the paper, with the memory of an eighth of the queries.

    Returns:
      "label", "label_from_sound", "label_from_video" (B, 10); "video" (B, 8, 32, 32, 1); "sound" (B, 8000).
    """
    x = {name: batch[name] for name in ("sound", "video")}
    latents = model.encode(model.input_adapter(x))
    said = model.decode_in_chunks(latents, num_chunks=NUM_CHUNKS)
    only_label = {"sound": jnp.asarray(NOTHING), "video": jnp.asarray(NOTHING)}
    for name, part in x.items():
        said[f"label_from_{name}"] = answer(model, {name: part}, cells=only_label)["label"]
    return said


def measure_senses(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """What the answers are worth on a whole split.

    Returns:
      "accuracy" of the label from both senses and "video_accuracy" from video alone, over all records;
      "sound_accuracy" from sound alone, over "sound_total" different clips, for it says the same of a clip in every
      record; "video_psnr" in decibels, the mean over records, "mean_video_psnr" of the best constant answer, the mean
      of all videos of the split, and "video_gain", the first over the second; "sound_snr" in decibels, the mean over
      records, where silence has 0; "video_mse" and "sound_mse"; "total"; 95 % intervals as NAME_low and NAME_high.
    """
    parts = {
        name: [] for name in ("both", "sound", "video", "clips", "psnr", "snr", "videos", "video_mse", "sound_mse")
    }
    for batch, said in answers(model, batches, predict, ("sound", "video")):
        for sense, key in (("both", "label"), ("sound", "label_from_sound"), ("video", "label_from_video")):
            parts[sense].append(said[key].argmax(axis=-1) == batch["label"])
        parts["clips"].append(clip_names(batch))
        errors = _squares(said["video"] - batch["video"])
        noise, signal = _squares(said["sound"] - batch["sound"][..., 0]), _squares(batch["sound"])
        parts["psnr"].append(10 * np.log10(4 / errors))  # ink is 1 and paper -1: the peak is 2
        parts["snr"].append(10 * np.log10(np.maximum(signal, 1e-12) / noise))
        parts["video_mse"].append(errors)
        parts["sound_mse"].append(noise)
        parts["videos"].append(np.asarray(batch["video"], np.float32))
    whole = {name: np.concatenate(rows) for name, rows in parts.items()}
    constant = 10 * np.log10(4 / _squares(whole["videos"] - whole["videos"].mean(axis=0, keepdims=True)))
    numbers = counted("accuracy", whole["both"]) | counted("video_accuracy", whole["video"])
    numbers |= counted_once("sound", whole["sound"], whole["clips"])
    numbers |= mean_interval("video_psnr", whole["psnr"]) | mean_interval("sound_snr", whole["snr"])
    numbers |= mean_interval("video_gain", whole["psnr"] - constant)
    means = {name: float(whole[name].mean()) for name in ("video_mse", "sound_mse")}
    return {**numbers, **means, "mean_video_psnr": float(constant.mean()), "total": len(whole["both"])}


def compression(model: nnx.Module) -> dict[str, float]:
    """How much larger than the latents (N x D) is what the model reads, counted in two ways.

    Returns:
      "inputs": the padded input array, M x C, over N x D, as 2107.14795 (section 4.3) counts its 88x; "values": only
      the raw numbers of sound and video over N x D, which for the same model are about 6x. The input array is mostly
      positions and padding.
    """
    inputs, latents = model.input_adapter, model.config.num_latents * model.config.latent_channels
    parts = [inputs.modalities[name] for name in inputs.names]
    raw = sum(math.prod(part.feature_layer.shape) for part in parts if hasattr(part, "feature_layer"))
    rows = sum(part.num_elements for part in parts)
    return {"inputs": rows * inputs.num_channels / latents, "values": raw / latents}


def _asked(model):
    """The modalities with their losses, for `multimodal_loss`."""
    losses = {"label": cross_entropy, "sound": squared_error, "video": squared_error}
    groups = model.decoder.queries.groups
    return [
        Modality(name=name, queries=groups[name], loss=loss, loss_weight=WEIGHTS[name]) for name, loss in losses.items()
    ]


def _squares(array):
    """The mean square of each row."""
    return (np.asarray(array, np.float64).reshape(len(array), -1) ** 2).mean(axis=1)
