"""Rotary positions: queries and keys are turned by angles that grow with their positions (2104.09864).

The score of a turned query and a turned key depends on the difference of their positions only. Frequencies and the
pairing of channels are those of the code released with Perceiver AR (2202.07765), not the usual ones.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


class Rotation(NamedTuple):
    """By how much each element is turned: cosines and sines of its angles, one per band, float32."""

    cos: Float[Array, "b n r"]
    sin: Float[Array, "b n r"]


def rotary_frequencies(head_dim: int, *, fraction: float, max_wavelength: int | float) -> np.ndarray:
    """Angles per step of position, band by band: max_wavelength ** -(i / (r - 1)) for i = 0..r-1.

    Both ends are included: the fastest band turns by one radian per position, the slowest by 1 / max_wavelength. The
    usual choice, 10000 ** -(i / r), stops one band earlier.

    Args:
      head_dim: channels of a head.
      fraction: the part of them that is turned, from the first channel on; the rest passes as it is.
      max_wavelength: positions per radian of the slowest band.

    Returns:
      (r,) float32 with r = floor(head_dim * fraction / 2), two channels for each band.

    Raises:
      ValueError: a fraction outside of (0, 1], or one that leaves no pair of channels; a wavelength below 1.
    """
    num_bands = int(head_dim * fraction / 2)
    if not 0 < fraction <= 1 or num_bands < 1:
        raise ValueError(
            f"fraction={fraction} of {head_dim} channels per head is no pair of channels to turn; choose a fraction in "
            "(0, 1] that leaves at least two of them."
        )
    if max_wavelength < 1:
        raise ValueError(f"max_wavelength={max_wavelength} must be at least 1; the published models take the context.")
    # float32 all the way: at position 100,000 another last bit of a frequency shows in the third decimal of its angle.
    exponents = np.linspace(0, 1, num_bands, dtype=np.float32)
    return np.float32(1) / np.power(np.float32(max_wavelength), exponents)


def rotation(positions: Int[Array, "b n"], frequencies: np.ndarray) -> Rotation:
    """The turn of each element: its position times the frequencies, in float32."""
    angles = positions.astype(jnp.float32)[..., None] * jnp.asarray(frequencies)[None, None]
    return Rotation(jnp.cos(angles), jnp.sin(angles))


def rotate(x: Float[Array, "b n h d"], turn: Rotation | None) -> Float[Array, "b n h d"]:
    """Turn the pairs of channels (0, 1), (2, 3), ... of every head, as many as there are bands.

    (a, b) becomes (a cos - b sin, b cos + a sin).

    Args:
      x: queries or keys.
      turn: of each element; None leaves all as they are.

    Raises:
      ValueError: more bands than pairs of channels, or a turn for other elements.
    """
    if turn is None:
        return x
    num_turned = 2 * turn.cos.shape[-1]
    if num_turned > x.shape[-1] or turn.cos.shape[:2] != x.shape[:2]:
        raise ValueError(
            f"A rotation of {turn.cos.shape}, (b, n, bands), does not fit x {x.shape}, (b, n, h, d): b and n must be "
            "equal, and each band takes two of the d channels."
        )
    pairs = x[..., :num_turned].astype(jnp.float32).reshape(*x.shape[:-1], -1, 2)
    a, b = pairs[..., 0], pairs[..., 1]
    cos, sin = turn.cos[:, :, None], turn.sin[:, :, None]
    turned = jnp.stack([a * cos - b * sin, b * cos + a * sin], axis=-1).reshape(*x.shape[:-1], num_turned)
    return jnp.concatenate([turned.astype(x.dtype), x[..., num_turned:]], axis=-1)
