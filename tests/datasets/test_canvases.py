"""The canvases are legible by construction: what is drawn where, and bad input."""

import numpy as np
import pytest

from perceiver_lab.datasets import canvases, shipped


@pytest.fixture(scope="module")
def digits():
    return shipped.mnist_digits("test")[0][:40]


@pytest.fixture(scope="module")
def photos():
    return shipped.photos()


def rng(index):
    return np.random.default_rng([7, index])


def brightness(image):
    return image.astype(float) @ [0.299, 0.587, 0.114]


def test_large_digit_is_a_function_of_its_arguments(digits, photos):
    first, again, other = (canvases.large_digit(digits[0], photos, rng(index)) for index in (0, 0, 1))
    assert first.shape == (240, 240, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


def test_digit_and_background_differ_in_brightness_wherever_the_digit_is(digits, photos):
    brighter = 0
    for index, digit in enumerate(digits):
        image, mask = canvases.cluttered_digit(digit, photos, rng(index))
        assert image.shape == (224, 224, 3) and image.dtype == np.uint8
        assert mask.shape == (224, 224) and mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 1}
        inside, outside = brightness(image)[mask == 1], brightness(image)[mask == 0]
        gap = inside.mean() - outside.mean()
        assert abs(gap) > 40
        brighter += gap > 0
    assert 8 <= brighter <= 32  # of 40: brightness alone does not say where the digit is


def test_large_digits_are_brighter_than_their_background(digits, photos):
    middle = slice(80, 160)
    for index, digit in enumerate(digits):
        image = brightness(canvases.large_digit(digit, photos, rng(index)))
        assert np.percentile(image[middle, middle], 95) > image[:20].mean() + 40


def test_places_and_scales_vary(digits, photos):
    centres, areas = [], []
    for index in range(40):
        _, mask = canvases.cluttered_digit(digits[index], photos, rng(index))
        rows, columns = np.nonzero(mask)
        centres.append((rows.mean(), columns.mean()))
        areas.append(mask.sum())
    assert (np.std(centres, axis=0) > 25).all()
    assert np.percentile(areas, 90) > 3 * np.percentile(areas, 10)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("draw", [canvases.large_digit, canvases.cluttered_digit])
def test_bad_input_is_named(draw, digits, photos):
    with pytest.raises(ValueError, match=r"digit must be a \(28, 28\) uint8 array.*got float64 of shape \(28, 28\)"):
        draw(digits[0] / 255, photos, rng(0))
    with pytest.raises(ValueError, match=r"got uint8 of shape \(28, 28, 1\). Take it .* with \[..., 0\]"):
        draw(digits[0][..., None], photos, rng(0))
    with pytest.raises(ValueError, match="photos is empty"):
        draw(digits[0], [], rng(0))
    with pytest.raises(ValueError, match=r"photos\[1\] is uint8 of shape \(50, 200, 3\); expected .* at least 96"):
        draw(digits[0], [photos[0], photos[0][:50, :200]], rng(0))
    with pytest.raises(ValueError, match=r"photos\[0\] is uint8 of shape \(\d+, \d+\)"):
        draw(digits[0], [photos[0][..., 0]], rng(0))
