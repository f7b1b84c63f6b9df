"""The explorers that live in the browser alone: their state and what it may be."""

import numpy as np
import pytest

from perceiver_lab.explorers import FourierBandwidth, ShapeTracer


def test_shape_tracer_keeps_its_sizes():
    tracer = ShapeTracer(num_inputs=777, num_queries=4, channels=12, num_heads=3)
    assert tracer.state() == {"channels": 12, "num_heads": 3, "num_inputs": 777, "num_queries": 4}
    assert "keys 12 by 777" in tracer.first_frame().alt


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"num_inputs": 0}, "num_inputs=0"),
        ({"channels": 10, "num_heads": 4}, "num_heads=4 does not divide channels=10"),
    ],
)
def test_shape_tracer_refuses(sizes, message):
    with pytest.raises(ValueError, match=message):
        ShapeTracer(**sizes)


def test_fourier_bandwidth_starts_at_the_paper_s_rule():
    explorer = FourierBandwidth(cells=24, num_bands=5)
    assert (explorer.max_resolution, explorer.band) == (24, 5)
    assert "1 of them lie beyond the Nyquist frequency of 11.5" in explorer.first_frame().alt


def test_fourier_bandwidth_takes_a_row_of_a_photo():
    explorer = FourierBandwidth(signal=np.linspace(0, 1, 65, dtype=np.float32))
    assert len(explorer.signal) == 65
    assert "signal of 65 values" in repr(explorer)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"cells": 3}, "cells=3"),
        ({"num_bands": 33}, "band.*=33"),
        ({"max_resolution": 1}, "max_resolution=1"),
        ({"signal": np.zeros(5)}, "8 to 512"),
        ({"signal": np.full(20, np.nan)}, "finite"),
    ],
)
def test_fourier_bandwidth_refuses(sizes, message):
    with pytest.raises(ValueError, match=message):
        FourierBandwidth(**sizes)
