"""Where an element is: coordinates on a grid, and their Fourier features."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped


def grid_coordinates(shape: Sequence[int]) -> Float[Array, "m n"]:
    """Coordinates of every cell of a grid, row-major: each axis runs from -1 to 1, both ends included.

    Args:
      shape: cells along each of the n axes, such as (height, width) or (frames, height, width).

    Returns:
      (prod(shape), n) float32, last axis in the order of `shape`. An axis of one cell has coordinate -1.

    Raises:
      ValueError: an empty axis.
    """
    if not shape or min(shape) < 1:
        raise ValueError(f"A grid needs at least one axis and one cell along each; got shape {tuple(shape)}.")
    axes = [_linspace(-1.0, 1.0, length) for length in shape]
    return jnp.asarray(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes)))


def take_cells(rows: Shaped[Array, "b m *c"], cells: Int[Array, "*b k"]) -> Shaped[Array, "b k *c"]:
    """Rows by the numbers of their cells: the same of every example (k,), or some of each (b, k)."""
    if cells.ndim == 1:
        return rows[:, cells]
    return jnp.take_along_axis(rows, cells.reshape(*cells.shape, *[1] * (rows.ndim - 2)), axis=1)


def crop_coordinates(offsets: Float[Array, "b n"], crop: Sequence[int], frame: Sequence[int]) -> Float[Array, "b m n"]:
    """Coordinates of the cells of crops, on the grid of the whole frame that they were cut from.

    2103.03206 (section 4.1) uses crop-relative coordinates instead, which are `grid_coordinates(crop)`: they move and
    stretch with the crop, so that the model never learns where on the frame a thing usually is.

    Args:
      offsets: first row, column, ... of each crop, in cells.
      crop: cells of the crop along each axis.
      frame: cells of the whole frame along each axis.

    Returns:
      (b, prod(crop), n) float32, between -1 and 1.
    """
    cells = np.stack(np.meshgrid(*[np.arange(length) for length in crop], indexing="ij"), axis=-1)
    cells = jnp.asarray(cells.reshape(1, -1, len(crop)), jnp.float32)
    last = jnp.asarray([[[max(length - 1, 1) for length in frame]]], jnp.float32)
    return (cells + offsets[:, None, :]) * 2 / last - 1


def cell_coordinates(cells: Int[Array, "*batch k"], shape: Sequence[int]) -> Float[Array, "*batch k n"]:
    """The rows of `grid_coordinates(shape)` for selected cells, without ever building the others.

    Args:
      cells: numbers of the cells, row-major.
      shape: cells along each axis of the grid.
    """
    indices = jnp.unravel_index(cells, tuple(shape))
    axes = [jnp.asarray(_linspace(-1.0, 1.0, length)) for length in shape]
    return jnp.stack([axis[index] for axis, index in zip(axes, indices, strict=True)], axis=-1)


def release_coordinates(cells: Int[Array, "*batch k"], shape: Sequence[int]) -> Float[Array, "*batch k n"]:
    """Coordinates of selected cells as the Perceiver IO release computes them: -1 + 2 i / d for index i of d.

    Not those of `grid_coordinates`: the last cell lies at 1 - 2 / d instead of 1. The released models were asked for
    selected outputs with these, and for whole grids with those.

    Args:
      cells: numbers of the cells, row-major.
      shape: cells along each axis of the grid.

    Returns:
      float32, between -1 and 1.
    """
    indices = jnp.stack(jnp.unravel_index(cells, tuple(shape)), axis=-1).astype(jnp.float32)
    sides = jnp.asarray(tuple(shape), jnp.float32).reshape((1,) * (indices.ndim - 1) + (-1,))
    return -1 + 2 * indices / sides


def fourier_features(
    positions: Float[Array, "*batch n"],
    *,
    num_bands: int,
    max_resolution: Sequence[int],
    include_positions: bool = True,
    sine_only: bool = False,
) -> Float[Array, "*batch features"]:
    """Sines and cosines of the coordinates at frequencies from 1 to the Nyquist frequency (2103.03206, section 3.2).

    Frequency k of axis i is f = linspace(1, max_resolution[i] / 2, num_bands)[k]; its features are sin(pi f x_i) and
    cos(pi f x_i). They are evenly spaced, not doubled as in NeRF.

    Args:
      positions: coordinates in [-1, 1].
      num_bands: frequencies per axis.
      max_resolution: cells along each axis at which the highest frequency is the Nyquist frequency.
      include_positions: put the coordinates themselves first.
      sine_only: leave the cosines out.

    Returns:
      (..., features) float32, in the order [positions | sines | cosines], each axis by axis, band by band:
      n * (1 + 2 * num_bands) features with the defaults. Phases reach max_resolution * pi / 2, so they are computed
      in float32 whatever the model's precision: in bfloat16 they would be noise.

    Raises:
      ValueError: no bands, or as many resolutions as `positions` has no axes.
    """
    if num_bands < 1:
        raise ValueError(f"num_bands={num_bands}: Fourier features need at least one frequency per axis.")
    if len(max_resolution) != positions.shape[-1]:
        raise ValueError(
            f"max_resolution {tuple(max_resolution)} names {len(max_resolution)} axes, but the positions have "
            f"{positions.shape[-1]} coordinates. Give one resolution per coordinate."
        )
    positions = positions.astype(jnp.float32)
    bands = np.stack([_linspace(1.0, resolution / 2, num_bands) for resolution in max_resolution])
    bands = jnp.asarray(bands).reshape((1,) * (positions.ndim - 1) + bands.shape)
    # The product order of the reference: at 15,000 half-turns another order already shows in the second decimal.
    phases = (positions[..., None] * bands) * jnp.pi
    phases = phases.reshape(*positions.shape[:-1], -1)
    parts = [positions] if include_positions else []
    parts.append(jnp.sin(phases))
    if not sine_only:
        parts.append(jnp.cos(phases))
    return jnp.concatenate(parts, axis=-1)


def num_fourier_features(num_axes: int, num_bands: int, *, include_positions: bool = True, sine_only: bool = False):
    """Channels of `fourier_features`: 258 for an image with 64 bands."""
    return num_axes * (include_positions + num_bands * (1 if sine_only else 2))


def sinusoidal_positions(positions: Int[Array, "*batch"], channels: int) -> Float[Array, "*batch channels"]:
    """Sines, then cosines of the position at frequencies 10000^(-j / (h - 1)), j = 0..h-1, h = channels // 2.

    As the release of Perceiver AR has them; 1706.03762 (section 3.5) alternates sines and cosines, and divides by h.

    Returns:
      float32; an odd last channel is zero.

    Raises:
      ValueError: fewer than two channels.
    """
    if channels < 2:
        raise ValueError(f"channels={channels}: a sine and a cosine need at least two.")
    frequencies = 10000.0 ** -np.linspace(0, 1, channels // 2)
    phases = positions.astype(jnp.float32)[..., None] * jnp.asarray(frequencies, jnp.float32)[(None,) * positions.ndim]
    encoded = jnp.concatenate([jnp.sin(phases), jnp.cos(phases)], axis=-1)
    return jnp.pad(encoded, [(0, 0)] * positions.ndim + [(0, channels % 2)])


def _linspace(start: float, stop: float, num: int) -> np.ndarray:
    """Evenly spaced values as the reference has them: those of JAX, computed once, outside of whatever is traced.

    NumPy's differ in the last bit, and a phase multiplies that by up to 50,000.
    """
    with jax.ensure_compile_time_eval():
        return np.asarray(jnp.linspace(start, stop, num, dtype=jnp.float32))
