"""Pictures of positions: described, deterministic, strict about what they are given."""

import numpy as np
import pytest

from perceiver_lab.figures.positions import input_row, over_frequency, same_samples

IMAGE = np.linspace(0, 1, 9 * 9 * 3).reshape(9, 9, 3)


def make_input_row():
    return input_row(IMAGE, (2, 5), num_bands=64)


def make_same_samples():
    return same_samples(16, (7, 8))


def make_over_frequency():
    return over_frequency({"shown": ([1, 2, 3], [10.0, 20.0, 30.0])}, marks={"limit": 2}, ylabel="PSNR (dB)")


@pytest.mark.parametrize("make", [make_input_row, make_same_samples, make_over_frequency])
def test_same_bytes_and_a_description(make):
    assert make().webp() == make().webp()
    assert len(make().alt) > 40


def test_the_row_is_counted():
    assert "3 colours, 2 coordinates, 128 sines and 128 cosines, 261 channels in all" in make_input_row().alt
    assert "y = -0.50, x = 0.25" in make_input_row().alt


def test_a_grey_pixel_has_one_colour():
    assert "1 colours" not in input_row(IMAGE[..., :1], (0, 0), num_bands=4).alt
    assert (
        "1 colour, 2 coordinates, 8 sines and 8 cosines, 19 channels"
        in input_row(IMAGE[..., :1], (0, 0), num_bands=4).alt
    )


def test_an_alias_is_called_one():
    assert "lie on each other" in make_same_samples().alt
    assert "upside down" in make_same_samples().alt
    assert "apart" in same_samples(16, (5, 8)).alt


def test_the_best_of_a_curve_is_named():
    assert "shown is highest, 30.0, at 3" in make_over_frequency().alt


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: input_row(IMAGE, (9, 0), num_bands=4), "9 x 9"),
        (lambda: same_samples(1, (1, 2)), "cells=1"),
        (lambda: over_frequency({}, marks={}, ylabel="dB"), "at least one curve"),
        (lambda: over_frequency({"a": ([1, 2], [1.0])}, marks={}, ylabel="dB"), "same length"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
