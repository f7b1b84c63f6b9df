"""Images of few cells in a row: what a model reads that is to find out where its inputs lie (2202.10890)."""

import numpy as np

from perceiver_lab.datasets.transforms import Record, Transform, check_size


def mean_cells(side: int) -> Transform:
    """The mean colour of every cell of a square image: (side * k, side * k, c) -> (side, side, c) float32.

    Raises:
      ValueError: no size, or (from the transform) an image that is not square or whose side is no multiple.
    """
    check_size("mean_cells", side)

    def shrink(record, rng=None):
        height, width, channels = record["image"].shape
        if height != width or height % side:
            raise ValueError(
                f"mean_cells({side}) was given an image of {height} x {width} pixels; its cells want a square whose "
                f"side is a multiple of {side}. Crop it first."
            )
        cells = record["image"].reshape(side, height // side, side, width // side, channels)
        return {**record, "image": cells.mean(axis=(1, 3), dtype=np.float32)}

    return shrink


def smooth_cells(record: Record, rng: np.random.Generator | None = None) -> Record:
    """Cells that see more than their own: (H, W, c) -> (H - 4, W - 4, c) float32, as with a lens that is not in focus.

    Each is a weighted mean of 5 x 5, with the weights 1, 4, 6, 4, 1 along either side: a deviation of one cell.

    Raises:
      ValueError: fewer than five cells a side.
    """
    image = np.asarray(record["image"], np.float32)
    if min(image.shape[:2]) < 5:
        raise ValueError(f"smooth_cells takes two cells off each side; an image of {image.shape} has none left.")
    for axis in (0, 1):
        size = image.shape[axis] - 4
        parts = (image.take(range(start, start + size), axis=axis) for start in range(5))
        image = sum(weight / 16 * part for weight, part in zip((1, 4, 6, 4, 1), parts, strict=True))
    return {**record, "image": image.astype(np.float32)}


def in_a_row(record: Record, rng: np.random.Generator | None = None) -> Record:
    """Cells row by row, "image" (H * W, c), and the label if there is one; other features are left out."""
    kept = {name: record[name] for name in ("label",) if name in record}
    return {"image": record["image"].reshape(-1, record["image"].shape[-1]), **kept}


def white_noise(record: Record, rng: np.random.Generator) -> Record:
    """An "image" of the same shape in which no cell knows of another: standard normal numbers, float32."""
    return {**record, "image": rng.standard_normal(record["image"].shape, dtype=np.float32)}
