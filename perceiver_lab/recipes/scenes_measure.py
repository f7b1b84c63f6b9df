"""What a model that is asked about scenes is worth: at the pixels that it read, and between them."""

import functools
from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, UInt8

from perceiver_lab.datasets.scenes import FINE, KINDS, SIDE
from perceiver_lab.recipes.scenes_tasks import POINT_TASKS, predict, task_losses, total_loss
from perceiver_lab.training import Accuracy, answers
from perceiver_lab.training.metrics import mean_interval

MARGIN = FINE // 2  # fine pixels on each side that lie beyond the centres of the outermost pixels
NUM_CHUNKS = 8


def measure_scenes(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """All tasks that the model has, at every pixel of the test scenes.

    Returns:
      As far as the model has the tasks: "class_accuracy" and "count_accuracy"; "colour_psnr" in decibels, the mean over
      scenes; "mask_iou", shape against background, the mean over scenes; each with its 95 % interval; "kind_iou", the
      mean over the four kinds, each counted over all scenes; "class_loss" and so on; "loss", their weighted sum; and
      "total", the number of scenes.
    """
    right = {"class": [], "count": []}
    psnr, iou, sums, total = [], [], {}, 0
    hits = np.zeros((2, len(KINDS)))
    for batch, said in answers(model, batches, predict, ("image",)):
        size = len(batch["image"])
        total += size
        losses = _losses(said, {name: batch[name] for name in ("image", "kinds", "label", "count")})
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + size * float(loss)
        for task, truth in (("class", batch["label"]), ("count", batch["count"] - 1)):
            if task in said:
                right[task].append(said[task].argmax(axis=-1) == truth)
        if "colour" in said:
            psnr.append(scene_psnr(said["colour"], batch["image"].reshape(size, -1, 3)))
        if "kind" in said:
            found, truth = said["kind"].argmax(axis=-1), batch["kinds"].reshape(size, -1)
            iou.append(scene_iou(found > 0, truth > 0))
            for kind in range(len(KINDS)):
                hits[:, kind] += _overlap(found == 1 + kind, truth == 1 + kind)
    numbers = {}
    for task, parts in right.items():
        if parts:
            numbers |= _counted(f"{task}_accuracy", np.concatenate(parts))
    if psnr:
        numbers |= mean_interval("colour_psnr", np.concatenate(psnr))
    if iou:
        numbers |= mean_interval("mask_iou", np.concatenate(iou))
        numbers["kind_iou"] = float((hits[0] / np.maximum(hits[1], 1)).mean())
    losses = {name: value / total for name, value in sums.items()}
    return {
        **numbers,
        **{f"{name}_loss": loss for name, loss in losses.items()},
        "loss": total_loss(losses),
        "total": total,
    }


def between_pixels(
    model: nnx.Module, scenes: Mapping[str, np.ndarray], fine: Mapping[str, np.ndarray], *, batch_size: int = 20
) -> dict[str, float]:
    """The model asked at four times as many points along each side, judged by the scenes drawn at that size.

    Points beyond the centres of the outermost pixels are left out: there is nothing to interpolate.

    Args:
      model: one that has the tasks "colour" and "kind".
      scenes: `arrays("scenes", "test")`.
      fine: `arrays("scenes/fine", "test")`, the same scenes.
      batch_size: scenes at a time; it changes no result.

    Returns:
      "psnr_*" in decibels and "iou_*", means over scenes, of: "asked", the model asked at every point; "own", its
      answers at the 48 x 48 pixels, interpolated; "input", what it read, interpolated (for iou: the true kinds of the
      pixels, the nearest one). "psnr_edge_*" is of the points within two fine pixels of a shape's outline. And "total".
    """
    graphdef, state = nnx.split(model)
    rows, points = [], fine_points()
    for start in range(0, len(scenes["image"]), batch_size):
        part = slice(start, start + batch_size)
        image = np.asarray(scenes["image"][part], np.float32) / 127.5 - 1
        asked, own = jax.tree.map(np.asarray, _ask(graphdef, state, image, points))
        truth, kinds = inside(fine["image"][part]) / 127.5 - 1, inside(fine["kinds"][part])
        small = scenes["kinds"][part]
        rows.append(_judge(asked, own, image, small, truth, kinds))
    columns = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    return {**{name: float(values.mean()) for name, values in columns.items()}, "total": len(scenes["image"])}


def fine_points(factor: int = FINE) -> Float[np.ndarray, "o 2"]:
    """Row and column in [-1, 1] of the centres of the fine pixels that lie between pixel centres, row-major."""
    places = (np.arange(SIDE * factor) + 0.5) / factor - 0.5  # in pixels; the first pixel's centre is 0
    places = places[(places >= 0) & (places <= SIDE - 1)]
    places = (2 * places / (SIDE - 1) - 1).astype(np.float32)
    return np.stack(np.meshgrid(places, places, indexing="ij"), axis=-1).reshape(-1, 2)


def inside(fine: UInt8[np.ndarray, "b 192 192 *c"]) -> UInt8[np.ndarray, "b 188 188 *c"]:
    """The fine pixels that `fine_points` has."""
    return fine[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


def bilinear(image: Float[np.ndarray, "b 48 48 c"]) -> Float[np.ndarray, "b 188 188 c"]:
    """Pixels interpolated linearly at `fine_points`."""
    matrix = _bilinear_matrix(FINE)
    return np.einsum("ih,jw,bhwc->bijc", matrix, matrix, image, optimize=True)


def scene_psnr(
    found: Float[np.ndarray, "b *o c"], truth: Float[np.ndarray, "b *o c"], where: np.ndarray | None = None
) -> Float[np.ndarray, " b"]:
    """Peak signal-to-noise ratio of each scene in decibels: colours in [-1, 1], so that the peak is 2.

    `where`: the points that count, (B, ...) bool.
    """
    error = ((found - truth) ** 2).mean(axis=-1).reshape(len(found), -1)
    weights = np.ones_like(error) if where is None else where.reshape(len(found), -1)
    return 10 * np.log10(4 / ((error * weights).sum(axis=1) / weights.sum(axis=1)))


def scene_iou(found: np.ndarray, truth: np.ndarray) -> Float[np.ndarray, " b"]:
    """Intersection over union of two masks (B, ...) bool, scene by scene; no scene's truth may be empty."""
    found, truth = (mask.reshape(len(mask), -1) for mask in (found, truth))
    return (found & truth).sum(axis=1) / (found | truth).sum(axis=1)


def _judge(asked, own, image, small, truth, kinds):
    """One batch: name -> one number per scene."""
    side = truth.shape[1]
    edge = _near_edges(kinds)
    colours = {
        "asked": asked["colour"].reshape(-1, side, side, 3),
        "own": bilinear(own["colour"].reshape(-1, SIDE, SIDE, 3)),
        "input": bilinear(image),
    }
    own_kinds = bilinear(np.asarray(jax.nn.softmax(own["kind"])).reshape(-1, SIDE, SIDE, len(KINDS) + 1))
    nearest = np.repeat(np.repeat(small, FINE, axis=1), FINE, axis=2)
    masks = {
        "asked": asked["kind"].reshape(-1, side, side, len(KINDS) + 1).argmax(axis=-1) > 0,
        "own": own_kinds.argmax(axis=-1) > 0,
        "input": inside(nearest) > 0,
    }
    row = {f"psnr_{name}": scene_psnr(colour, truth) for name, colour in colours.items()}
    row |= {f"psnr_edge_{name}": scene_psnr(colour, truth, edge) for name, colour in colours.items()}
    return row | {f"iou_{name}": scene_iou(mask, kinds > 0) for name, mask in masks.items()}


def _near_edges(kinds):
    """Points within two fine pixels of another kind, (B, h, w) bool."""
    edge = np.zeros(kinds.shape, bool)
    for axis in (1, 2):
        for shift in (1, 2):
            first, second = [slice(None)] * 3, [slice(None)] * 3
            first[axis], second[axis] = slice(None, -shift), slice(shift, None)
            differs = kinds[tuple(first)] != kinds[tuple(second)]
            edge[tuple(first)] |= differs
            edge[tuple(second)] |= differs
    return edge


def _bilinear_matrix(factor):
    """Weights of the pixels at each fine place, (188, 48) for a factor of 4."""
    places = (np.arange(SIDE * factor) + 0.5) / factor - 0.5
    places = places[(places >= 0) & (places <= SIDE - 1)]
    weights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(SIDE)[None, :]))
    return weights.astype(np.float32)


@functools.partial(jax.jit, static_argnums=0)
def _ask(graphdef, state, image, points):
    """Answers of the point tasks at the points given, and at all pixels."""
    model = nnx.merge(graphdef, state)
    nothing = jnp.zeros((0,), jnp.int32)
    others = {task: nothing for task in model.decoder.queries.names if task not in POINT_TASKS}
    latents = model.encode(model.embed(image))
    positions = jnp.broadcast_to(points[None], (len(image), *points.shape))
    everywhere = dict.fromkeys(POINT_TASKS, positions)
    asked = model.decode_in_chunks(latents, num_chunks=NUM_CHUNKS, cells=others, positions=everywhere)
    return asked, model.decode(latents, cells=others)


_losses = jax.jit(task_losses)


def _overlap(found, truth):
    return (found & truth).sum(), (found | truth).sum()


def _counted(name, right):
    counted = Accuracy(correct=int(right.sum()), total=len(right))
    low, high = counted.interval
    return {name: counted.value, f"{name}_low": low, f"{name}_high": high}
