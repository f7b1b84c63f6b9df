"""Pictures, and maps that lie on them."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Num

from perceiver_lab.figures.style import SEQUENTIAL, DescribedFigure, bare, drawn, figure, signed_limits

Picture = Num[np.ndarray, "height width channels"]
Pictures = Num[np.ndarray, "n height width channels"]
Map = Num[np.ndarray, "h w"]
Maps = Num[np.ndarray, "n h w"]


def to_rgb(image: Num[np.ndarray, "..."]) -> np.ndarray:
    """A picture as (H, W, 3) uint8.

    Args:
      image: (H, W), (H, W, 1) or (H, W, 3). uint8 up to 16 counts as 16 grey levels (scikit-learn's digits), other
        uint8 as 256; floats are stretched from their least to their greatest value, unless they lie in [0, 1].

    Raises:
      ValueError: another rank or number of channels, nothing in it, or values that are not finite.
    """
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[-1] not in (1, 3) or 0 in image.shape:
        raise ValueError(
            f"A picture has shape (H, W), (H, W, 1) or (H, W, 3); got {image.shape}. Take one example out of a batch "
            "with images[0], and choose three of many channels."
        )
    values = image.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("The picture holds NaN or infinity, which have no grey. Look for what made them first.")
    if image.dtype == np.uint8:
        values = values / (16 if values.max() <= 16 else 255)
    elif values.min() < 0 or values.max() > 1:
        values = (values - values.min()) / (np.ptp(values) or 1)
    rgb = np.broadcast_to(values, (*values.shape[:2], 3))
    return np.rint(rgb * 255).astype(np.uint8)


def overlay(image: Num[np.ndarray, "..."], weights: Map, *, opacity: float = 0.65) -> np.ndarray:
    """A picture with a map laid over it: cividis, the more opaque the larger the weight.

    Args:
      image: as for `to_rgb`.
      weights: (h, w), not negative, where h divides H and w divides W.
      opacity: 0 shows the picture alone, 1 the map alone.

    Returns:
      (H, W, 3) uint8.

    Raises:
      ValueError: the map's cells do not tile the picture.
    """
    picture = to_rgb(image).astype(np.float32)
    weights = np.asarray(weights, np.float32)
    height, width = picture.shape[:2]
    if weights.ndim != 2 or 0 in weights.shape or height % weights.shape[0] or width % weights.shape[1]:
        raise ValueError(
            f"A map of shape {weights.shape} does not lie on a picture of {height} x {width}: its rows and columns "
            "must divide the picture's. Reshape the weights of one latent to the input grid first."
        )
    level = weights / (weights.max() or 1)
    level = np.repeat(np.repeat(level, height // level.shape[0], 0), width // level.shape[1], 1)
    colour = matplotlib.colormaps[SEQUENTIAL](level)[..., :3] * 255
    alpha = (opacity * level + opacity**2 * (1 - level))[..., None]
    return np.rint(colour * alpha + picture.mean(-1, keepdims=True) * (1 - alpha)).astype(np.uint8)


@drawn
def attention_on_image(
    image: Num[np.ndarray, "..."], weights: Map, *, title: str = "", opacity: float = 0.65, alt: str | None = None
) -> DescribedFigure:
    """One attention map on its picture, beside the picture.

    Args:
      image: as for `to_rgb`.
      weights: (h, w) of one latent or their mean.
      title: above the map.
      opacity: of the map.
      alt: by default, where the map peaks and how much of it lies on a tenth of the cells.
    """
    weights = np.asarray(weights)
    blended = overlay(image, weights, opacity=opacity)
    alt = (
        alt
        or f"A picture, and the same with an attention map on it{': ' + title if title else ''}. {peak_text(weights)}"
    )
    made, axes = figure(1, 2, alt=alt, size=(6.2, 3.1))
    for ax, picture, text in zip(axes[0], (to_rgb(image), blended), ("input", title or "attention"), strict=True):
        ax.imshow(picture)
        ax.set_title(text)
        bare(ax)
    scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, float(weights.max()) or 1), SEQUENTIAL)
    made.colorbar(scale, ax=axes[0, 1], shrink=0.85, label="weight")
    return made


def peak_text(weights: np.ndarray) -> str:
    """Where a map peaks, in words."""
    row, column = np.unravel_index(weights.argmax(), weights.shape)
    ordered = np.sort(weights, axis=None)[::-1]
    share = ordered[: max(1, round(weights.size / 10))].sum() / (weights.sum() or 1)
    return (
        f"Its peak is at row {row}, column {column} of {weights.shape[0]} x {weights.shape[1]}; "
        f"the strongest tenth of the cells holds {share:.0%} of it."
    )


@drawn
def map_grid(
    maps: Maps,
    *,
    image: Num[np.ndarray, "..."] | None = None,
    titles: Sequence | np.ndarray = (),
    columns: int = 8,
    signed: bool = False,
    shared_scale: bool = False,
    alt: str | None = None,
) -> DescribedFigure:
    """Many maps side by side.

    Args:
      maps: (n, h, w).
      image: draw each on this picture.
      titles: one for each map; by default its number.
      columns: at most so many in a row.
      signed: values of both signs: one symmetric scale for all, white is zero.
      shared_scale: one scale for all instead of one each; ignored on a picture.
      alt: by default, how many maps there are and of which size.

    Raises:
      ValueError: no map, or not one title per map.
    """
    maps = np.asarray(maps)
    titles = [str(title) for title in titles] or [str(number) for number in range(len(maps))]
    if maps.ndim != 3 or 0 in maps.shape or len(titles) != len(maps):
        raise ValueError(f"Maps must be (n, h, w) with a title each; got shape {maps.shape} and {len(titles)} titles.")
    kind = "signed maps" if signed else "maps"
    told = ", ".join([*titles[:8], *["..."] * (len(maps) > 8)])
    alt = alt or f"{len(maps)} {kind} of {maps.shape[1]} x {maps.shape[2]}: {told}."
    common = {"vmin": 0, "vmax": float(maps.max()) or 1} if shared_scale else {}
    looks = signed_limits(maps) if signed else {"cmap": SEQUENTIAL, **common}
    shown = maps if image is None or signed else [overlay(image, weights) for weights in maps]
    made, flat = _grid(len(maps), columns, maps.shape[1:], alt)
    for ax, picture, text in zip(flat, shown, titles, strict=False):
        drawing = ax.imshow(picture, **looks)
        ax.set_title(text, fontsize=8, fontweight="normal", loc="center")
    if signed or (shared_scale and image is None):
        made.colorbar(drawing, ax=flat, shrink=0.8)
    return made


@drawn
def image_grid(
    images: Pictures, *, titles: Sequence | np.ndarray = (), columns: int = 8, alt: str | None = None
) -> DescribedFigure:
    """Pictures side by side.

    Args:
      images: (n, H, W, 1 or 3).
      titles: one below each, such as its label.
      columns: at most so many in a row.
      alt: by default, the number, the size and the titles.

    Raises:
      ValueError: no picture, or not one title per picture.
    """
    images, titles = np.asarray(images), [str(title) for title in titles]
    if images.ndim != 4 or 0 in images.shape or (titles and len(titles) != len(images)):
        raise ValueError(
            f"Pictures must be (n, H, W, channels), with a title each or none; got {images.shape} and {len(titles)}."
        )
    named = f", titled {', '.join(titles)}" if titles else ""
    alt = alt or f"{len(images)} pictures of {images.shape[1]} x {images.shape[2]} pixels{named}."
    made, flat = _grid(len(images), columns, images.shape[1:3], alt)
    for number, (ax, image) in enumerate(zip(flat, images, strict=False)):
        ax.imshow(to_rgb(image))
        if titles:
            ax.set_title(titles[number], fontsize=9, fontweight="normal", loc="center")
    return made


def _grid(count, columns, shape, alt):
    columns = min(columns, count)
    rows = -(-count // columns)
    side = min(2.4, 9.6 / columns)
    made, axes = figure(rows, columns, alt=alt, size=(side * columns, (side * shape[0] / shape[1] + 0.25) * rows))
    for ax in axes.flat:
        bare(ax)
    return made, list(axes.flat)
