"""Optical flow in the colours of the Middlebury benchmark: hue is the direction, saturation the length."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Num, UInt8

from perceiver_lab.figures.images import to_rgb
from perceiver_lab.figures.style import DescribedFigure, bare, drawn, figure

# From one pure or mixed colour to the next around the wheel, in so many steps (Baker et al., IJCV 2011): more of them
# where the eye tells more hues apart.
_STEPS = (15, 6, 4, 11, 13, 6)
_CORNERS = ((1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1))  # red, yellow, green, cyan, blue, magenta
_BEYOND = 0.75  # flow longer than the scale is darkened


def colour_wheel() -> Float[np.ndarray, "55 3"]:
    """The 55 hues of the wheel, RGB in [0, 1], from red by way of yellow."""
    wheel = []
    for number, steps in enumerate(_STEPS):
        start, end = np.array(_CORNERS[number], float), np.array(_CORNERS[(number + 1) % len(_CORNERS)], float)
        wheel += [start + (end - start) * step / steps for step in range(steps)]
    return np.array(wheel)


def flow_to_rgb(flow: Num[np.ndarray, "h w 2"], *, longest: float | int | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """A flow field as a picture.

    Args:
      flow: to the right and down, pixels. Where it is not known (NaN), the picture is black.
      longest: the length that has full colour; by default that of the longest vector. What is longer is darkened.

    Returns:
      White where nothing moves; red to the right, yellow down, light blue to the left, purple up.

    Raises:
      ValueError: another shape, or a scale that is not above 0.
    """
    flow = np.asarray(flow, np.float64)
    if flow.ndim != 3 or flow.shape[-1] != 2 or 0 in flow.shape:
        raise ValueError(f"A flow field is (H, W, 2); got shape {flow.shape}. Take one example out of a batch first.")
    known = np.isfinite(flow).all(axis=-1)
    flow = np.where(known[..., None], flow, 0.0)
    length = np.hypot(flow[..., 0], flow[..., 1])
    longest = (float(length.max()) or 1.0) if longest is None else longest
    if not longest > 0:
        raise ValueError(f"longest={longest} must be a length above 0, in pixels.")
    wheel = colour_wheel()
    # The wheel begins to the left and runs by way of up; the benchmark's picture turns it by half a turn.
    place = (np.arctan2(-flow[..., 1], -flow[..., 0]) / np.pi + 1) / 2 * (len(wheel) - 1)
    lower = np.floor(place).astype(int)
    share = (place - lower)[..., None]
    hue = (1 - share) * wheel[lower] + share * wheel[(lower + 1) % len(wheel)]
    length = (length / longest)[..., None]
    colour = np.where(length <= 1 + 1e-9, 1 - np.minimum(length, 1) * (1 - hue), hue * _BEYOND)
    return np.where(known[..., None], np.rint(255 * colour), 0).astype(np.uint8)


def wheel_rgb(size: int = 101) -> UInt8[np.ndarray, "h w 3"]:
    """The legend: the colour of each vector from the middle of the picture, up to the circle; white beyond.

    Raises:
      ValueError: too small to show anything.
    """
    if size < 5:
        raise ValueError(f"A wheel of {size} pixels shows nothing; give at least 5.")
    axis = np.linspace(-1, 1, size)
    vectors = np.stack(np.meshgrid(axis, axis), axis=-1)
    picture = flow_to_rgb(vectors, longest=1.0)
    picture[np.hypot(vectors[..., 0], vectors[..., 1]) > 1] = 255
    return picture


@drawn
def flow_grid(
    flows: Mapping[str, Num[np.ndarray, "h w 2"]],
    *,
    frames: Num[np.ndarray, "2 h w c"] | None = None,
    truth: Num[np.ndarray, "h w 2"] | None = None,
    alt: str | None = None,
) -> DescribedFigure:
    """Flow fields side by side in one scale, with the wheel that explains their colours.

    Args:
      flows: by name, such as {"Perceiver IO": flow, "TV-L1": other}: each to the right and down, pixels.
      frames: both frames, shown first.
      truth: shown as "true flow" before the others, whose mean end-point errors are then told.
      alt: by default, the names, the scale and the errors.

    Raises:
      ValueError: no flow, or fields of different shapes.
    """
    fields = {**({} if truth is None else {"true flow": truth}), **flows}
    shapes = {np.shape(field) for field in fields.values()}
    if not fields or len(shapes) != 1:
        raise ValueError(f"Give at least one flow field, all of one shape (H, W, 2); got shapes {sorted(shapes)}.")
    fields = {name: np.asarray(field, np.float64) for name, field in fields.items()}
    scale = fields["true flow"] if truth is not None else np.concatenate(list(fields.values()))
    longest = float(np.nanmax(np.hypot(scale[..., 0], scale[..., 1]))) or 1.0
    titles, pictures = [], []
    if frames is not None:
        titles, pictures = ["frame 1", "frame 2"], [to_rgb(np.asarray(frame)) for frame in frames]
    for name, field in fields.items():
        pictures.append(flow_to_rgb(field, longest=longest))
        error = "" if truth is None or name == "true flow" else f"\n{_error(field, fields['true flow']):.2f} px off"
        titles.append(name + error)
    told = [title.replace("\n", " ") for title in titles]
    alt = alt or f"Optical flow in colours, full colour at {longest:.1f} pixels: {', '.join(told)}."
    height, width = next(iter(shapes))[:2]
    side = min(2.2, 9.0 / (len(pictures) + 0.6))
    size = (side * (len(pictures) + 0.6), side * height / width + 0.55)
    made, axes = figure(1, len(pictures) + 1, alt=alt, size=size, width_ratios=[1] * len(pictures) + [0.6])
    for ax, picture, title in zip(axes[0], pictures, titles, strict=False):
        ax.imshow(picture)
        ax.set_title(title, fontsize=8, fontweight="normal", loc="center")
        bare(ax)
        ax.spines[:].set(visible=True, color="#bbbbbb", linewidth=0.6)  # a field without motion is white
    axes[0, -1].imshow(wheel_rgb())
    axes[0, -1].set_title(f"direction\n(rim: {longest:.1f} px)", fontsize=8, fontweight="normal", loc="center")
    bare(axes[0, -1])
    return made


def _error(flow, truth):
    return float(np.nanmean(np.hypot(*np.moveaxis(flow - truth, -1, 0))))
