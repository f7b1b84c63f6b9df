"""Mu-law code by code, and the mel spectrogram against the definitions and SciPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_lab.ops import log_mel, mel, mel_filterbank, mulaw_decode, mulaw_encode, spectrogram

CODES = np.arange(256, dtype=np.uint8)
RATE = 8000


def noise(*shape):
    return np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)


def test_known_codes():
    """The standard's table: ends of segments as 14-bit numbers."""
    known = {255: 0, 254: 2, 239: 33, 240: 30, 128: 8031, 0: -8031, 126: -2, 143: 4191}
    codes = np.array(list(known), np.uint8)
    np.testing.assert_array_equal(mulaw_decode(codes) * 8192, list(known.values()))


def test_codes_round_trip():
    """All but 127, the second zero."""
    np.testing.assert_array_equal(mulaw_encode(mulaw_decode(CODES)), np.where(CODES == 127, 255, CODES))
    assert mulaw_decode(CODES[127:128]) == 0


def test_a_sample_is_at_most_half_a_step_away():
    samples = np.linspace(-0.98, 0.98, 5001)
    codes = mulaw_encode(samples)
    segment = (~codes >> 4) & 7
    assert set(segment.tolist()) == set(range(8))
    # Steps of segment e are 2^(e + 1) units of 1 / 8192 wide.
    assert (np.abs(mulaw_decode(codes) - samples) <= 2.0**segment / 8192 + 1e-7).all()
    np.testing.assert_array_equal(mulaw_encode(np.array([-3.0, -1.0, 1.0, 2.0])), [0, 0, 128, 128])


def test_segments_follow_the_logarithm():
    """The law itself, ln(1 + 255 x) / ln(256), places the positive codes within 2 % of equal distances."""
    positive = mulaw_decode(CODES[:127:-1])
    law = np.log1p(255 * positive / (8031 / 8192)) / np.log(256)
    np.testing.assert_allclose(law, np.arange(128) / 127, atol=0.02)


def test_mel_and_its_bands():
    assert mel(1000.0) == pytest.approx(1000.0, abs=0.1)
    bank = mel_filterbank(num_bands=32, window=256, rate=RATE)
    assert bank.shape == (129, 32) and bank.min() == 0 and bank.max() <= 1
    middles = (bank * np.arange(129)[:, None]).sum(axis=0) / bank.sum(axis=0) * RATE / 256
    steps = np.diff(mel(middles[8:]))  # of the lowest bands, a bin or two are all there is
    np.testing.assert_allclose(steps, mel(4000.0) / 33, rtol=0.12)
    # Between the first and the last peak, neighbours share every bin.
    inner = bank.sum(axis=1)[(np.arange(129) * RATE / 256 > middles[0]) & (np.arange(129) * RATE / 256 < middles[-1])]
    np.testing.assert_allclose(inner, 1, atol=1e-5)


def test_a_triangle_by_hand():
    """One band from 0 Hz to 4 kHz: its peak lies half-way in mel, at 700 (10^(mel(4000) / 2 / 2595) - 1) Hz."""
    bank = mel_filterbank(num_bands=1, window=16, rate=RATE)[:, 0]
    peak = 700 * (np.sqrt(1 + 4000 / 700) - 1)
    hertz = np.arange(9) * 500.0
    np.testing.assert_allclose(bank, np.where(hertz < peak, hertz / peak, (4000 - hertz) / (4000 - peak)), atol=1e-6)


def test_spectrogram_against_the_definition():
    sound, window, hop = noise(2, 240), 64, 40
    found = spectrogram(jnp.asarray(sound), window=window, hop=hop)
    assert found.shape == (2, 6, 33)
    n = np.arange(window)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / window)
    waves = np.exp(-2j * np.pi * np.outer(n, np.arange(33)) / window)
    padded = np.pad(sound.astype(np.float64), ((0, 0), (12, 12)))
    for m in range(6):
        power = np.abs((padded[:, m * hop : m * hop + window] * hann) @ waves) ** 2 / hann.sum() ** 2
        np.testing.assert_allclose(found[:, m], power, rtol=1e-3, atol=1e-9)


def test_spectrogram_against_scipy():
    from scipy.signal import spectrogram as scipy_spectrogram

    sound = noise(800)
    found = spectrogram(jnp.asarray(sound)[None], window=256, hop=80)[0]
    padded = np.pad(sound.astype(np.float64), 88)
    _, _, expected = scipy_spectrogram(
        padded, fs=RATE, window="hann", nperseg=256, noverlap=176, detrend=False, scaling="spectrum", mode="psd"
    )
    expected[1:-1] /= 2  # SciPy adds the power of the negative frequencies
    np.testing.assert_allclose(found, expected.T, rtol=2e-3, atol=1e-9)


def test_power_of_a_sine():
    time = np.arange(8000) / RATE
    sine = 0.5 * np.sin(2 * np.pi * 1000 * time).astype(np.float32)
    power = np.asarray(spectrogram(jnp.asarray(sine)[None], window=256, hop=80)[0, 50])
    assert power.argmax() == 32
    assert power[32] == pytest.approx(0.25 / 4, rel=1e-3)


def test_log_mel_is_the_logarithm_of_the_bands():
    sound = jnp.asarray(noise(1, 800))
    found = log_mel(sound, num_bands=20, window=256, hop=80, rate=RATE)
    assert found.shape == (1, 10, 20)
    bands = np.asarray(spectrogram(sound, window=256, hop=80), np.float64) @ mel_filterbank(
        num_bands=20, window=256, rate=RATE
    )
    np.testing.assert_allclose(found, np.log(bands + 1e-6), atol=1e-4)
    np.testing.assert_allclose(log_mel(0 * sound, num_bands=20, window=256, hop=80, rate=RATE), np.log(1e-6), rtol=1e-6)


def test_what_does_not_fit_is_named():
    for window, hop in ((256, 90), (60, 80), (257, 80)):
        with pytest.raises(ValueError, match=rf"window={window}, hop={hop} of clips of 800 samples: the hop must"):
            spectrogram(jnp.zeros((1, 800)), window=window, hop=hop)
    with pytest.raises(ValueError, match="num_bands=100 of a window of 64 samples at 8000 Hz"):
        mel_filterbank(num_bands=100, window=64, rate=RATE)
    with pytest.raises(ValueError, match="num_bands=0.*must be at least 1"):
        mel_filterbank(num_bands=0, window=64, rate=RATE)
