"""Position features and what is in a signal."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Num

from perceiver_lab.figures.style import DescribedFigure, drawn, figure, series, signed_limits

MAX_CURVES = 8


@drawn
def fourier_bands(
    features: Float[np.ndarray, "m k"],
    positions: Float[np.ndarray, " m"] | None = None,
    *,
    frequencies: Sequence[float] | Num[np.ndarray, " k"] = (),
    nyquist: float | None = None,
    alt: str | None = None,
) -> DescribedFigure:
    """Features along one axis: as a signed image, and the first and last of them as curves with their samples marked.

    Args:
      features: (M, K), such as the K sines of M cells.
      positions: (M,) coordinates; by default -1 to 1.
      frequencies: one per feature, in turns over the whole length [-1, 1]; named in the curves' legend.
      nyquist: highest frequency that the cells can hold, (M - 1) / 2 turns; a feature beyond it is said to alias.
      alt: by default, counts and the range of the frequencies.

    Raises:
      ValueError: features are no (M, K) array, or not one frequency each.
    """
    features = np.asarray(features)
    if features.ndim != 2 or 0 in features.shape or (len(frequencies) and len(frequencies) != features.shape[1]):
        raise ValueError(
            f"Features along one axis are (M, K), with K frequencies or none; got {features.shape} and "
            f"{len(frequencies)} frequencies. Reshape a grid's features to one row or column first."
        )
    count, width = features.shape
    positions = np.linspace(-1, 1, count) if positions is None else np.asarray(positions)
    alt = alt or _bands_alt(count, width, frequencies, nyquist)
    made, axes = figure(1, 2, alt=alt, size=(9.6, 3.4), width_ratios=(1, 1.4))
    image = axes[0, 0].imshow(features.T, aspect="auto", extent=(-1, 1, width - 0.5, -0.5), **signed_limits(features))
    axes[0, 0].set(title="features", xlabel="position", ylabel="feature", xticks=(-1, 0, 1))
    made.colorbar(image, ax=axes[0, 0])
    chosen = sorted({0, width // 2, width - 1})
    for number, column in enumerate(chosen):
        axes[0, 1].plot(
            positions,
            features[:, column] - 2.6 * number,
            label=_band_label(column, frequencies, nyquist),
            **{**series(number), "markersize": 3},
        )
    axes[0, 1].set(title="some of them, one mark per cell", xlabel="position", yticks=[])
    axes[0, 1].legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=len(chosen), fontsize=8)
    return made


def _band_label(column, frequencies, nyquist):
    if not len(frequencies):
        return f"feature {column}"
    aliases = nyquist is not None and frequencies[column] > nyquist
    return f"f = {frequencies[column]:.3g}{' (aliases)' if aliases else ''}"


def _bands_alt(count, width, frequencies, nyquist):
    text = f"{width} position features at {count} cells, as an image and as curves"
    if len(frequencies):
        text += f"; frequencies from {min(frequencies):.3g} to {max(frequencies):.3g} turns"
    if nyquist is not None and len(frequencies):
        beyond = sum(frequency > nyquist for frequency in frequencies)
        text += f"; {beyond} of them lie beyond the Nyquist frequency of {nyquist:.3g}"
    return text + "."


@drawn
def spectrum(
    signals: dict[str, Num[np.ndarray, "..."]], *, nyquist: float | None = None, alt: str | None = None
) -> DescribedFigure:
    """How much of each frequency is in a signal: a 1-D signal as it is, a picture averaged over directions.

    Args:
      signals: name -> (M,) samples or an (H, W) picture. Frequencies are in turns over the whole length, as in
        `fourier_features`; the highest that M cells can hold is M / 2.
      nyquist: mark this frequency; by default the end of the axis.
      alt: by default, each signal's strongest frequency.

    Raises:
      ValueError: nothing to show, or a signal of another rank.
    """
    if not signals:
        raise ValueError("There is no signal to show: give a dict of name -> samples (M,) or picture (H, W).")
    curves = {name: _radial_spectrum(name, np.asarray(signal, np.float64)) for name, signal in signals.items()}
    strongest = [f"{name} is strongest at {f[1:][p[1:].argmax()]:.3g}" for name, (f, p) in curves.items()]
    made, axes = figure(1, 1, alt=alt or f"Strength over frequency: {'; '.join(strongest)} turns.", size=(6.4, 3.2))
    ax = axes[0, 0]
    for number, (name, (frequencies, power)) in enumerate(curves.items()):
        ax.semilogy(
            frequencies[1:], np.maximum(power[1:], 1e-12), label=name, **series(number, points=len(frequencies))
        )
    if nyquist is not None:
        ax.axvline(nyquist, color="#444444", linestyle=":", label=f"Nyquist, {nyquist:.3g}")
    ax.set(xlabel="frequency (turns over the whole length)", ylabel="strength")
    ax.legend(fontsize=8)
    return made


def _radial_spectrum(name, signal):
    if signal.ndim not in (1, 2) or 0 in signal.shape:
        raise ValueError(
            f"Signal {name!r} has shape {signal.shape}; a spectrum takes (M,) samples or an (H, W) picture."
        )
    power = np.abs(np.fft.fftn(signal - signal.mean())) / signal.size
    axes = [np.abs(np.fft.fftfreq(length)) * length for length in signal.shape]
    radius = np.rint(np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))).astype(int)
    last = min(signal.shape) // 2
    inside = radius <= last
    total = np.bincount(radius[inside], power[inside], last + 1)
    cells = np.bincount(radius[inside], minlength=last + 1)
    return np.arange(last + 1), total / np.maximum(cells, 1)
