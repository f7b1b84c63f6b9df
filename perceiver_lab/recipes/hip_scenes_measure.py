"""What masks are worth that say what is at each pixel, and what a colour alone is worth."""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, UInt8

from perceiver_lab.recipes.scenes_measure import scene_iou
from perceiver_lab.training import answers
from perceiver_lab.training.metrics import mean_interval


def classes_of(model: nnx.Module, batch: Mapping[str, Array]) -> dict[str, Array]:
    """The likeliest class of every pixel (B, h, w), and how likely the model finds the true one, in nats."""
    logits = model(batch["image"])
    own = jnp.take_along_axis(jax.nn.log_softmax(logits), batch["kinds"].astype(jnp.int32)[..., None], axis=-1)
    return {"kinds": logits.argmax(axis=-1), "log_prob": own[..., 0].mean(axis=(1, 2))}


def measure_kinds(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """All pixels of the test pictures.

    Returns:
      As `judge_kinds`, and "loss" in nats per pixel.
    """
    found, truth, losses = [], [], []
    for batch, said in answers(model, batches, classes_of, ("image", "kinds")):
        found.append(said["kinds"])
        truth.append(batch["kinds"])
        losses.append(-said["log_prob"])
    return judge_kinds(np.concatenate(found), np.concatenate(truth)) | {"loss": float(np.concatenate(losses).mean())}


def judge_kinds(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Classes of pixels against what is there, both (B, h, w); 0 is the background.

    Returns:
      "mask_iou", intersection over union of all that is no background, the mean over pictures, with its 95 % interval;
      "kind_iou", the mean over the classes but the background, each counted over all pictures; "pixel_accuracy", and
      "background", what it would be if all were called background; "total", pictures.

    Raises:
      ValueError: arrays of different shapes, or a picture without anything in it.
    """
    if found.shape != truth.shape or not truth.reshape(len(truth), -1).any(axis=1).all():
        raise ValueError(
            f"judge_kinds compares classes {found.shape} with {truth.shape}; they must be of the same shape, and every "
            "picture must hold something besides background, for the union of two empty masks is empty."
        )
    iou = scene_iou(found > 0, truth > 0)
    value = float(iou.mean())
    # Of one picture nothing is known about others.
    unknown = {"mask_iou": value, "mask_iou_low": value - 1.0, "mask_iou_high": value + 1.0}
    each = [((found == k) & (truth == k)).sum() / max(((found == k) | (truth == k)).sum(), 1) for k in _kinds(truth)]
    return {
        **(mean_interval("mask_iou", iou) if len(iou) > 1 else unknown),
        "kind_iou": float(np.mean(each)),
        "pixel_accuracy": float((found == truth).mean()),
        "background": float((truth == 0).mean()),
        "total": len(iou),
    }


def colour_masks(image: UInt8[np.ndarray, "b h w 3"], threshold: float) -> Bool[np.ndarray, "b h w"]:
    """The simplest guess: True where a colour is farther from the picture's middle one than `threshold`.

    The middle colour is the median of each channel, the distance that of RGB in levels.
    """
    middle = np.median(image, axis=(1, 2), keepdims=True)
    return np.linalg.norm(image - middle, axis=-1) > threshold


def best_threshold(image: UInt8[np.ndarray, "b h w 3"], kinds: UInt8[np.ndarray, "b h w"]) -> float:
    """The threshold of `colour_masks`, in steps of 5 levels, with the largest mean overlap on these pictures."""
    levels = np.arange(5.0, 200.0, 5.0).tolist()
    return max(levels, key=lambda level: float(scene_iou(colour_masks(image, level), kinds > 0).mean()))


def _kinds(truth):
    return range(1, int(truth.max()) + 1)
