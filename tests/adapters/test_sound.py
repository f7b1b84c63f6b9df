import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_lab.adapters import AudioPatches, GridInput, LogMel, SideBySide
from perceiver_lab.layers import FourierPositions
from perceiver_lab.ops import log_mel

SIZES = {"hop": 80, "window": 256, "num_bands": 20, "rate": 8000}


def sound(*shape):
    return 0.1 * jax.random.normal(jax.random.key(0), shape)


def test_log_mel_by_stretches():
    layer, x = LogMel(800, **SIZES), sound(2, 800, 1)
    assert (layer.shape, layer.grid, layer.num_channels) == ((800, 1), (10,), 20)
    found = layer(x)
    np.testing.assert_allclose(found, (np.asarray(log_mel(x[..., 0], **SIZES)) + 8) / 4, rtol=1e-5)
    np.testing.assert_allclose(layer(0 * x), (np.log(1e-6) + 8) / 4, rtol=1e-5)


def test_raw_and_mel_side_by_side():
    raw, bands = AudioPatches(800, samples_per_patch=80), LogMel(800, **SIZES)
    both, x = SideBySide([raw, bands]), sound(2, 800, 1)
    assert (both.shape, both.grid, both.num_channels) == ((800, 1), (10,), 100)
    np.testing.assert_array_equal(both(x), np.concatenate([raw(x), bands(x)], axis=-1))
    inputs = GridInput(both, FourierPositions(both.grid, num_bands=4))
    assert inputs.num_elements == 10 and inputs(x).shape == (2, 10, 109)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogMel(810, **SIZES), "hop=80, window=256 of a clip of 810 samples"),
        (lambda: LogMel(800, **{**SIZES, "window": 60}), "longer than the hop by an even number"),
        (lambda: LogMel(800, **{**SIZES, "num_bands": 99}), "num_bands=99 of a window of 256 samples"),
        (lambda: SideBySide([]), "cannot stand side by side"),
        (
            lambda: SideBySide([AudioPatches(800, samples_per_patch=40), LogMel(800, **SIZES)]),
            r"\[\(\(800, 1\), \(20,\)\), \(\(800, 1\), \(10,\)\)\].*cannot stand side by side",
        ),
        (
            lambda: GridInput(LogMel(800, **SIZES), FourierPositions((10,), num_bands=4))(jnp.zeros((2, 640, 1))),
            r"reads batches \(B, 800, 1\), B at least 1; got shape \(2, 640, 1\)",
        ),
        (
            lambda: GridInput(LogMel(800, **SIZES), FourierPositions((10,), num_bands=4))(jnp.zeros((2, 800, 2))),
            r"got shape \(2, 800, 2\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
