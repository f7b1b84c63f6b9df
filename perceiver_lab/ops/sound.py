"""Sound: 8-bit samples as telephones code them, and the mel spectrogram."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, UInt8

_BIAS = 33  # added before the logarithm is taken, so that small samples are coded linearly
_FULL_SCALE = 8192  # the standard's magnitudes have 13 bits
_FLOOR = 1e-6  # of a band's power: -60 dB of a full-scale sine's, about the noise of a quiet room


def mulaw_decode(codes: UInt8[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Samples from the 256 codes of G.711's mu-law (ITU-T G.711, table 2a/2b), exactly.

    A code has its bits inverted; then they are a sign, three bits e of the segment and four bits m of the step in it:
    magnitude = ((2 m + 33) 2^e - 33) / 8192. Steps double from one segment to the next, which follows the logarithm
    ln(1 + 255 x) / ln(256) in eight straight pieces.

    Returns:
      float32 between -0.981 and 0.981; codes 255 and 127 are both zero.
    """
    bits = ~codes.astype(np.uint8)
    segment, step = ((bits >> 4) & 7).astype(np.int32), (bits & 15).astype(np.int32)
    magnitude = ((2 * step + _BIAS) << segment) - _BIAS
    return (np.where(bits & 128, -magnitude, magnitude) / np.float32(_FULL_SCALE)).astype(np.float32)


def mulaw_encode(samples: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """The code in whose step a sample lies, the inverse of `mulaw_decode`. Beyond +-1 it is the loudest code.

    Raises:
      ValueError: a sample that is no number.
    """
    if np.isnan(samples).any():
        raise ValueError(f"{int(np.isnan(samples).sum())} samples are NaN: there is no code for them.")
    scaled = np.minimum(np.abs(samples.astype(np.float64)) * _FULL_SCALE + _BIAS, _FULL_SCALE - 1).astype(np.int32)
    segment = np.frexp(scaled)[1] - 6  # 33 has six bits and lies in segment 0
    step = (scaled >> (segment + 1)) & 15
    sign = np.where(samples < 0, 128, 0)
    return (~(sign | (segment << 4) | step) & 255).astype(np.uint8)


def mel(frequency: Float[np.ndarray, "*shape"] | float) -> Float[np.ndarray, "*shape"] | float:
    """Pitch in mel of a frequency in Hz: 2595 log10(1 + f / 700), nearly linear up to 1 kHz, then logarithmic."""
    return 2595.0 * np.log10(1.0 + frequency / 700.0)


def mel_filterbank(*, num_bands: int, window: int, rate: int) -> Float32[np.ndarray, "f k"]:
    """Triangles that sum the bins of a spectrum into bands as wide as the ear's.

    num_bands + 2 points lie equally far apart in mel from 0 to rate / 2. Band k rises from 0 at point k to 1 at point
    k + 1 and falls to 0 at point k + 2, along frequency.

    Args:
      num_bands: K.
      window: samples of the window whose spectrum it is; bin f has the frequency f * rate / window.
      rate: samples per second.

    Returns:
      (F, K) with F = window / 2 + 1: power of the bins (F,) @ this = power of the bands.

    Raises:
      ValueError: so many bands that one of them holds no bin, or no band, window or rate.
    """
    if min(num_bands, window, rate) < 1:
        raise ValueError(f"num_bands={num_bands}, window={window} and rate={rate} must be at least 1.")
    pitches = np.linspace(mel(0.0), mel(rate / 2), num_bands + 2)
    low, peak, high = (700.0 * (10.0 ** (pitches[start : start + num_bands] / 2595.0) - 1.0) for start in range(3))
    bins = (np.arange(window // 2 + 1) * rate / window)[:, None]
    weights = np.maximum(0.0, np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak)))
    if not weights.any(axis=0).all():
        raise ValueError(
            f"num_bands={num_bands} of a window of {window} samples at {rate} Hz: one of the bands is so narrow "
            "that no bin of the spectrum lies in it. Take fewer bands or a longer window."
        )
    return weights.astype(np.float32)


def spectrogram(sound: Float[Array, "b t"], *, window: int, hop: int) -> Float[Array, "b m f"]:
    """Power of short stretches of sound by frequency.

    Stretch m is seen through a Hann window, sin^2(pi n / window), around the middle of the samples m * hop to
    (m + 1) * hop; beyond the ends there is silence. Power is |DFT of the windowed stretch|^2 over the square of the
    window's sum: that of a sine of amplitude A, on a bin, is A^2 / 4.

    Args:
      sound: clips.
      window: samples, at least `hop`.
      hop: samples from one stretch to the next; must divide the clip.

    Returns:
      (B, T / hop, window / 2 + 1).

    Raises:
      ValueError: a hop that does not divide the clip, or a window that does not fit evenly around it.
    """
    length = sound.shape[1]
    if length == 0 or hop < 1 or length % hop or window < hop or (window - hop) % 2:
        raise ValueError(
            f"window={window}, hop={hop} of clips of {length} samples: the hop must divide the clip, and the window "
            "must be longer than the hop by an even number of samples."
        )
    margin = (window - hop) // 2
    padded = jnp.pad(sound, ((0, 0), (margin, margin)))
    places = np.arange(length // hop)[:, None] * hop + np.arange(window)
    taper = (np.sin(np.pi * np.arange(window) / window) ** 2).astype(np.float32)
    spectrum = jnp.fft.rfft(padded[:, places] * jnp.asarray(taper)[None, None])
    return (spectrum.real**2 + spectrum.imag**2) / float(taper.sum()) ** 2


def log_mel(sound: Float[Array, "b t"], *, num_bands: int, window: int, hop: int, rate: int) -> Float[Array, "b m k"]:
    """The logarithm of each stretch's power in bands of mel: ln(spectrogram @ mel_filterbank + 1e-6).

    Silence is ln(1e-6) = -13.8; a full-scale sine on a band's peak ln(1/4) = -1.4.

    Args:
      sound: clips (B, T) in [-1, 1].
      num_bands: K.
      window, hop: in samples, see `spectrogram`.
      rate: samples per second.

    Returns:
      (B, T / hop, K).

    Raises:
      ValueError: as of `spectrogram` and `mel_filterbank`.
    """
    bands = jnp.asarray(mel_filterbank(num_bands=num_bands, window=window, rate=rate))
    return jnp.log(spectrogram(sound, window=window, hop=hop) @ bands + _FLOOR)
