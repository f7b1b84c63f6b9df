"""FourierBandwidth: position features along one axis, where they stop telling cells apart. Computed in the browser."""

import numpy as np
import traitlets
from jaxtyping import Float

from perceiver_lab.explorers.base import Explorer, front_end
from perceiver_lab.figures import DescribedFigure, fourier_bands

MOST_CELLS = 64
MOST_BANDS = 32


class FourierBandwidth(Explorer):
    """Sliders for `cells`, `num_bands`, `max_resolution` and the `band` that is drawn as a curve.

    Frequencies are those of `ops.fourier_features`: linspace(1, max_resolution / 2, num_bands) turns over [-1, 1].
    """

    title = "Fourier bandwidth"
    _esm = front_end("fourier")["_esm"]
    _css = front_end("fourier")["_css"]
    cells = traitlets.Int(16).tag(sync=True)
    num_bands = traitlets.Int(8).tag(sync=True)
    max_resolution = traitlets.Int(16).tag(sync=True)
    band = traitlets.Int(8).tag(sync=True)
    signal = traitlets.List(traitlets.Float()).tag(sync=True)

    def __init__(
        self,
        *,
        cells: int = 16,
        num_bands: int = 8,
        max_resolution: int | None = None,
        signal: Float[np.ndarray, " l"] | None = None,
    ):
        """Start with these sizes.

        Args:
          cells: M, from 4 to 64.
          num_bands: from 1 to 32.
          max_resolution: from 2 to 128; by default `cells`, which puts the last frequency at M / 2: half a turn past
            what M cells with both ends included can hold, (M - 1) / 2.
          signal: values along a line, such as a row of a photo. A ridge regression on the features is then fitted to
            its values at the cells and drawn between them, with the error there.

        Raises:
          ValueError: a size out of range, or a signal of less than 8 or more than 512 finite values.
        """
        values = [] if signal is None else [round(float(v), 5) for v in np.asarray(signal, np.float64).ravel()]
        if signal is not None and not (8 <= len(values) <= 512 and np.isfinite(values).all()):
            raise ValueError(
                f"signal must hold 8 to 512 finite values, such as one row of a photo; got {len(values)}. Take every "
                "second or third value of a longer one."
            )
        resolution = cells if max_resolution is None else max_resolution
        super().__init__(cells=cells, num_bands=num_bands, max_resolution=resolution, band=num_bands, signal=values)

    @traitlets.validate("cells", "num_bands", "max_resolution", "band")
    def _valid(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        least, most = {"cells": (4, MOST_CELLS), "max_resolution": (2, 2 * MOST_CELLS)}.get(name, (1, MOST_BANDS))
        if not least <= value <= most:
            raise ValueError(f"{name}={value} is out of range: it may be {least} to {most} here.")
        return value

    def first_frame(self) -> DescribedFigure:
        """The features at the present sizes."""
        frequencies = np.linspace(1, self.max_resolution / 2, self.num_bands)
        positions = np.linspace(-1, 1, self.cells)
        features = np.sin(np.pi * positions[:, None] * frequencies)
        return fourier_bands(features, positions, frequencies=frequencies, nyquist=(self.cells - 1) / 2)

    def __repr__(self):
        return (
            f"FourierBandwidth(cells={self.cells}, num_bands={self.num_bands}, max_resolution={self.max_resolution}"
            f"{f', signal of {len(self.signal)} values' if self.signal else ''})"
        )
