"""What an input adapter takes from sound beyond raw samples: its mel spectrogram, and several features side by side.

As all of `adapters.features`, each has `.shape`, `.grid` and `.num_channels`, and maps a batch (B, *shape) to
(B, *grid, num_channels).
"""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.ops import log_mel, mel_filterbank

_MIDDLE, _SPREAD = 8.0, 4.0  # of ln(power): silence (-13.8) becomes -1.5, a full-scale sine (-1.4) 1.7


class LogMel(nnx.Module):
    """The log-mel spectrogram of raw sound: (samples, 1) -> (samples / hop, num_bands). No parameters.

    One cell per stretch of `hop` samples, as of `AudioPatches(samples, samples_per_patch=hop)`; its channels are the
    bands, scaled to about -1.5 to 1.7.
    """

    def __init__(self, num_samples: int, *, hop: int, window: int, num_bands: int, rate: int):
        """See `ops.log_mel`.

        Raises:
          ValueError: stretches that do not divide the clip, a window that does not fit around them, or so many bands
            that one of them is empty.
        """
        if num_samples % hop or window < hop or (window - hop) % 2:
            raise ValueError(
                f"hop={hop}, window={window} of a clip of {num_samples} samples: the hop must divide the clip, and the "
                "window must be longer than the hop by an even number of samples."
            )
        mel_filterbank(num_bands=num_bands, window=window, rate=rate)  # for what it refuses
        self.hop, self.window, self.rate = hop, window, rate
        self.shape = (num_samples, 1)
        self.grid = (num_samples // hop,)
        self.num_channels = num_bands

    def __call__(self, x: Float[Array, "b t 1"], *, train: bool = False) -> Float[Array, "b m c"]:
        """One row of bands per stretch."""
        sizes = {"num_bands": self.num_channels, "window": self.window, "hop": self.hop, "rate": self.rate}
        return (log_mel(x[..., 0], **sizes) + _MIDDLE) / _SPREAD


class SideBySide(nnx.Module):
    """Several features of the same data on the same grid, their channels one after the other."""

    def __init__(self, parts: Sequence[nnx.Module]):
        """`parts`: of `adapters.features` or of this file.

        Raises:
          ValueError: none, or parts of different data or on different grids.
        """
        if not parts or len({(tuple(part.shape), tuple(part.grid)) for part in parts}) > 1:
            raise ValueError(
                f"Features {[(tuple(part.shape), tuple(part.grid)) for part in parts]} (shape of the data, grid) "
                "cannot stand side by side: give at least one, all of the same data and on the same grid."
            )
        self.parts = nnx.data(list(parts))
        self.shape, self.grid = tuple(parts[0].shape), tuple(parts[0].grid)
        self.num_channels = sum(part.num_channels for part in parts)

    def __call__(self, x: Float[Array, "..."], *, train: bool = False) -> Float[Array, "..."]:
        """(B, *shape) -> (B, *grid, num_channels)."""
        return jnp.concatenate([part(x, train=train) for part in self.parts], axis=-1)
