"""Images larger than what a model reads: cut into tiles that overlap, answered one by one, blended (2107.14795, H.3).

The optical-flow Perceiver reads 368 x 496 pixels. The release answers larger frames tile by tile and averages where
tiles overlap, each tile weighted by the distance to its own nearest edge.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, Shaped


def tile_starts(extent: int, tile: int, overlap: int) -> tuple[int, ...]:
    """Where tiles begin along one axis: a stride of tile - overlap, the last tile flush with the border.

    The release lists all multiples of the stride inside the image and replaces the last one. These are the same starts,
    but for its last but one where that tile would reach beyond the border (an image of 697 pixels) or be the last one
    twice (368, 716).

    Args:
      extent: of the image, pixels.
      tile: of a tile, pixels.
      overlap: of neighbouring tiles, pixels.

    Raises:
      ValueError: an image smaller than a tile, or an overlap that leaves no progress.
    """
    if not 0 <= overlap < tile:
        raise ValueError(
            f"An overlap of {overlap} pixels does not fit tiles of {tile}: it must be from 0 to {tile - 1}."
        )
    if extent < tile:
        raise ValueError(
            f"The image is {extent} pixels along one axis and the tile {tile}. Tiles are for larger images: enlarge "
            "this one, or use a model that reads its size."
        )
    return (*range(0, extent - tile, tile - overlap), extent - tile)


def blend_weights(tile: tuple[int, int]) -> Int[np.ndarray, "h w"]:
    """How much each pixel of a tile counts: its distance to the tile's nearest edge, which itself counts 1."""
    rows, columns = (np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1)) for n in tile)
    return np.minimum(rows[:, None], columns[None, :])


def predict_tiled(
    predict: Callable[[np.ndarray], np.ndarray],
    frames: Shaped[np.ndarray, "b t h w c"],
    tile: tuple[int, int],
    overlap: int,
) -> Float[np.ndarray, "b h w k"]:
    """Answer frames of any size with a model of one size.

    Args:
      predict: frames (B, T, *tile, C) -> an answer per pixel (B, *tile, K), such as the flow.
      frames: at least as large as a tile.
      tile: rows and columns that the model reads; (368, 496) in the release.
      overlap: of neighbouring tiles, pixels; 20 in the release.

    Returns:
      The weighted average of the tiles' answers, float64 while it is summed, float32 in the end.

    Raises:
      ValueError: frames smaller than a tile, or a model that answers in another shape.
    """
    height, width = frames.shape[2:4]
    tops, lefts = (tile_starts(extent, size, overlap) for extent, size in zip((height, width), tile, strict=True))
    weights = blend_weights(tile)[..., None].astype(np.float64)
    total = norm = None
    for top in tops:
        for left in lefts:
            window = (slice(None), slice(top, top + tile[0]), slice(left, left + tile[1]))
            said = np.asarray(predict(frames[:, :, window[1], window[2]]), np.float64)
            if said.ndim != 4 or said.shape[:3] != (len(frames), *tile):
                raise ValueError(f"predict must return ({len(frames)}, {tile[0]}, {tile[1]}, K); got {said.shape}.")
            if total is None:
                total = np.zeros((len(frames), height, width, said.shape[-1]))
                norm = np.zeros((height, width, 1))
            total[window] += weights * said
            norm[window[1:]] += weights
    return (total / norm).astype(np.float32)
