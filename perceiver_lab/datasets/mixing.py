"""Pictures of two records in one, and labels that say how much of each: mixup (1710.09412) and CutMix (1905.04899).

Chance has its say record by record, in `draw_mix`; `mix_pairs` then mixes batches without any:

    pipeline(..., batch_size=1024, transforms=(..., normalise, draw_mix(0.2)), mix=mix_pairs(1000))
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

Record = dict[str, Any]
Batch = dict[str, np.ndarray]


def draw_mix(alpha: float) -> Callable[[Record, np.random.Generator], Record]:
    """Draw how a record is to be mixed with another: "mix_share" () float32 and "mix_box" (4,) int32.

    The share of the first picture in mixup is drawn from Beta(`alpha`, `alpha`); the release's alpha is 0.2, which
    leaves most pictures nearly alone. The box of CutMix, (top, left, bottom, right), has sqrt(1 - u) of the picture's
    height and width, u uniform in [0, 1), rounded down to an even number of pixels; its middle is any pixel, and what
    lies outside the picture is cut off.

    Raises:
      ValueError: alpha not above 0; (from the transform) an image that is not height x width x channels.
    """
    if not alpha > 0:
        raise ValueError(f"draw_mix({alpha!r}): expected a number above 0; the release's is 0.2.")

    def draw(record, rng):
        if record["image"].ndim != 3:
            raise ValueError(
                f"draw_mix was given an image of shape {record['image'].shape}; expected height x width x channels. "
                "Put it before transforms that flatten the image, such as sample_pixels."
            )
        share = np.float32(rng.beta(alpha, alpha))
        side = math.sqrt(1 - rng.random())
        box = np.empty(4, np.int32)
        for axis, extent in enumerate(record["image"].shape[:2]):
            middle, half = int(rng.integers(extent)), int(side * extent) // 2
            box[axis], box[axis + 2] = max(middle - half, 0), min(middle + half, extent)
        return {**record, "mix_share": share, "mix_box": box}

    return draw


def mix_pairs(num_classes: int) -> Callable[[Batch], Batch]:
    """Mix a batch of 2 n records into one of n: half of it by mixup, half by CutMix, as in the release.

    Records 0 .. n/2 - 1 are mixed up with the next n/2 in the shares that they brought; of the second half of the
    records, the first n/2 show, inside their boxes, over the last n/2. A label becomes a distribution over the classes:
    of the first record's class its share, or the part of the picture that its box covers, and the rest of the other's.

    Args:
      num_classes: K.

    Returns:
      A function of a batch with "image" (2n, H, W, C) float, "label" (2n,) int and what `draw_mix` adds, such as
      `pipeline(..., mix=...)` wants. It returns "image" (n, H, W, C), "label" (n, K) float32 and, where the batch has
      it, "record" (n, 2): the numbers of both. Anything else is left out, for it cannot be mixed.

    Raises:
      ValueError: from the function: n odd, records without what `draw_mix` adds, images in uint8, labels that are not
        0 .. K - 1.
    """

    def mix(batch):
        _check(batch, num_classes)
        up, under, over, below = np.split(np.arange(len(batch["image"])), 4)
        image, box = batch["image"], batch["mix_box"][over]
        share = batch["mix_share"][up]
        pictures = mixup(image[up], image[under], share), cutmix(image[over], image[below], box)
        shares = np.concatenate([share, box_share(box, *image.shape[1:3])])
        first, second = np.concatenate([up, over]), np.concatenate([under, below])
        mixed = {
            "image": np.concatenate(pictures),
            "label": mix_labels(batch["label"][first], batch["label"][second], shares, num_classes),
        }
        if "record" in batch:
            mixed["record"] = np.stack([batch["record"][first], batch["record"][second]], axis=1)
        return mixed

    return mix


def mixup(
    first: Float[np.ndarray, "n h w c"], second: Float[np.ndarray, "n h w c"], share: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n h w c"]:
    """share x first + (1 - share) x second."""
    share = share.reshape(-1, 1, 1, 1).astype(first.dtype)
    return share * first + (1 - share) * second


def cutmix(
    first: Float[np.ndarray, "n h w c"], second: Float[np.ndarray, "n h w c"], box: Int[np.ndarray, "n 4"]
) -> Float[np.ndarray, "n h w c"]:
    """The first pictures inside the boxes (top, left, bottom, right; up to bottom and right), the second elsewhere."""
    mixed = second.copy()
    for picture, shown, (top, left, bottom, right) in zip(mixed, first, box, strict=True):
        picture[top:bottom, left:right] = shown[top:bottom, left:right]
    return mixed


def box_share(box: Int[np.ndarray, "n 4"], height: int, width: int) -> Float32[np.ndarray, " n"]:
    """The part of a picture of this size that each box covers."""
    top, left, bottom, right = box.T
    return ((bottom - top) * (right - left) / (height * width)).astype(np.float32)


def mix_labels(
    first: Int[np.ndarray, " n"], second: Int[np.ndarray, " n"], share: Float[np.ndarray, " n"], num_classes: int
) -> Float32[np.ndarray, "n k"]:
    """Distributions over the classes: `share` for the first class and the rest for the second."""
    rows, labels = np.arange(len(first)), np.zeros((len(first), num_classes), np.float32)
    labels[rows, first] += share
    labels[rows, second] += 1 - share
    return labels


def _check(batch, num_classes):
    missing = {"image", "label", "mix_share", "mix_box"} - batch.keys()
    if missing:
        raise ValueError(
            f"mix_pairs was given a batch without {', '.join(sorted(missing))}. Put draw_mix(0.2) last among the "
            "transforms; the records need an image and a label."
        )
    image, label = batch["image"], batch["label"]
    if len(image) % 4:
        raise ValueError(
            f"mix_pairs makes half as many records of a batch, and half of those by mixup and half by CutMix; of "
            f"{len(image)} records it cannot. Take an even batch_size."
        )
    if image.dtype.kind != "f":
        raise ValueError(f"mix_pairs mixes float images, and these are {image.dtype}. Put normalise before draw_mix.")
    if label.ndim != 1 or label.dtype.kind not in "iu" or label.min() < 0 or label.max() >= num_classes:
        raise ValueError(
            f"mix_pairs({num_classes}) was given labels of shape {label.shape} and type {label.dtype}, from "
            f"{label.min()} to {label.max()}; expected one whole number from 0 to {num_classes - 1} per record."
        )
