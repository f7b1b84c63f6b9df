"""Crops, mirror, cubic resizing and normalising: against their formulas and, where it does the same, Pillow."""

import numpy as np
import pytest
from PIL import Image

from perceiver_lab.datasets.augment import (
    evaluation_crop,
    normalise,
    random_area_crop,
    random_mirror,
    resize_cubic,
)


def places(height, width):
    """A photo in which red and green tell row and column."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, rows // 256 * 16 + columns // 256], axis=-1).astype(np.uint8)


def window(crop):
    """(top, left, rows, columns) of a crop of `places`."""
    top, left = (int(crop[0, 0, axis]) + 256 * (int(crop[0, 0, 2]) >> shift & 15) for axis, shift in ((0, 4), (1, 0)))
    return top, left, *crop.shape[:2]


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("height", "width"), [(300, 400), (512, 333), (30, 20)])
def test_random_areas(height, width):
    record, areas, aspects, corners = {"image": places(height, width)}, [], [], []
    for seed in range(2000):
        crop = random_area_crop(record, rng(seed))["image"]
        top, left, rows, columns = window(crop)
        np.testing.assert_array_equal(crop, record["image"][top : top + rows, left : left + columns])
        areas.append(rows * columns / (height * width))
        aspects.append(columns / rows)
        corners.append((top == 0, left == 0, top + rows == height, left + columns == width))
    widest, tallest = 4 / 3 * height / width, width / height / (3 / 4)  # the largest area that has such a shape
    largest = min(1, widest, tallest)
    assert 0.1 <= min(areas) < 0.12 and 0.9 * largest < max(areas) <= largest
    # Rounding to whole pixels moves the ratio by half a pixel of the smallest crop.
    slack = 1 / min(height, width) / np.sqrt(0.08)
    assert 3 / 4 - slack < min(aspects) < 0.78 and 1.28 < max(aspects) < 4 / 3 + slack
    assert np.all(np.sum(corners, axis=0) > 0)  # every edge is reached


def test_heights_are_uniform_for_a_given_shape():
    """With the ratio known, every height that is allowed is equally likely."""

    class Fixed(np.random.Generator):
        def uniform(self, low, high):
            assert (low, high) == (3 / 4, 4 / 3)
            return 1.0

    record = {"image": places(100, 100)}
    generator = Fixed(np.random.PCG64(0))
    heights = np.array([random_area_crop(record, generator)["image"].shape[0] for _ in range(7000)])
    # From 28, the root of 0.08 x 100 x 100, on, but what has less than a tenth of the area is drawn again.
    assert set(heights) == set(range(32, 101))
    counts = np.bincount(heights)[32:]
    assert abs(counts - 7000 / 69).max() < 5 * np.sqrt(7000 / 69)


def test_a_panorama_gets_the_middle():
    record = {"image": places(20, 400)}
    for seed in range(20):
        crop = random_area_crop(record, rng(seed))["image"]
        np.testing.assert_array_equal(crop, evaluation_crop(record)["image"])


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (256, 256, (16, 16, 224, 224)),
        (500, 375, (86, 24, 328, 328)),
        (375, 500, (24, 86, 328, 328)),
        (2, 3, (1, 1, 1, 1)),
    ],
)
def test_evaluation_crop(height, width, expected):
    """int(224/256 x shorter side), offsets (rest + 1) // 2."""
    image = places(height, width)
    crop = evaluation_crop({"image": image, "label": 1}, rng())
    top, left, rows, columns = expected
    np.testing.assert_array_equal(crop["image"], image[top : top + rows, left : left + columns])
    assert crop["label"] == 1


def test_mirror():
    record = {"image": places(5, 7), "label": 1}
    seen = [random_mirror(record, rng(seed))["image"] for seed in range(400)]
    mirrored = [(image == record["image"][:, ::-1]).all() for image in seen]
    assert all(turned or (image == record["image"]).all() for turned, image in zip(mirrored, seen, strict=True))
    assert 150 < sum(mirrored) < 250


@pytest.mark.parametrize(("height", "width", "size"), [(7, 5, 16), (31, 40, 64), (1, 1, 4), (12, 12, 12)])
def test_enlarging_is_pillow_s_bicubic_of_floats(height, width, size):
    image = rng().integers(0, 256, (height, width, 3)).astype(np.uint8)
    found = resize_cubic(size)({"image": image})["image"]
    assert found.shape == (size, size, 3) and found.dtype == np.float32
    for channel in range(3):
        floats = Image.fromarray(image[..., channel].astype(np.float32))
        expected = floats.resize((size, size), Image.Resampling.BICUBIC)
        np.testing.assert_allclose(found[..., channel], np.asarray(expected), atol=1e-3)


def keys(x):
    """Keys' cubic with a = -1/2 (IEEE Trans. ASSP 29, 1981, equation 15)."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def by_formula(line, size):
    places = [(i + 0.5) * len(line) / size - 0.5 for i in range(size)]
    weights = np.array([[keys(place - tap) for tap in range(len(line))] for place in places])
    return weights @ line / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("height", "width", "size"), [(40, 23, 9), (10, 9, 8), (6, 7, 13)])
def test_any_size_is_the_formula(height, width, size):
    """Also where it shrinks: there Pillow smooths first, and the release does not."""
    image = rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)
    tall = by_formula(image.reshape(height, -1).astype(float), size).reshape(size, width, 3)
    wide = by_formula(tall.transpose(1, 0, 2).reshape(width, -1), size).reshape(size, size, 3).transpose(1, 0, 2)
    found = resize_cubic(size)({"image": image})["image"]
    np.testing.assert_allclose(found, wide, atol=1e-3)


def test_overshoots_stay():
    image = np.repeat(np.array([0, 0, 0, 255, 255, 255], np.uint8)[:, None, None], 6, axis=1).repeat(3, axis=2)
    found = resize_cubic(18)({"image": image})["image"]
    assert found.min() < -5 and found.max() > 260


def test_normalise():
    image = rng().integers(0, 256, (4, 5, 3)).astype(np.uint8)
    found = normalise({"image": image, "label": 2})
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = (image - mean * 255) / (deviation * 255)
    np.testing.assert_allclose(found["image"], expected, atol=1e-5)
    assert found["image"].dtype == np.float32 and found["label"] == 2
    np.testing.assert_array_equal(normalise({"image": image.astype(np.float32)})["image"], found["image"])


@pytest.mark.parametrize("transform", [random_area_crop, evaluation_crop, random_mirror, resize_cubic(6), normalise])
def test_the_input_stays_untouched_and_chance_is_repeatable(transform):
    image = places(40, 50)
    image.flags.writeable = False
    record = {"image": image, "label": 7, "file_name": b"a.JPEG"}
    first, again = transform(record, rng(3)), transform(record, rng(3))
    assert record == {"image": image, "label": 7, "file_name": b"a.JPEG"}
    np.testing.assert_array_equal(image, places(40, 50))
    np.testing.assert_array_equal(first["image"], again["image"])
    assert first["label"] == 7 and first["file_name"] == b"a.JPEG"


@pytest.mark.parametrize("transform", [random_area_crop, evaluation_crop, random_mirror])
@pytest.mark.parametrize("shape", [(10, 10, 1), (10, 10), (1, 10, 3), (10, 1, 3), (0, 0, 3)])
def test_what_is_no_photo(transform, shape):
    with pytest.raises(
        ValueError, match=r"was given an image of shape \(.*uint8; expected a photo, \(height, width, 3\)"
    ):
        transform({"image": np.zeros(shape, np.uint8)}, rng())
    with pytest.raises(ValueError, match=f"{transform.__name__} was given .* type float32; expected a photo"):
        transform({"image": np.zeros((10, 10, 3), np.float32)}, rng())


def test_what_cannot_be_resized_or_normalised():
    for wrong in (0, 2.0, True, -3):
        with pytest.raises(ValueError, match=r"resize_cubic\(.*\): expected a whole number of pixels, at least 1"):
            resize_cubic(wrong)
    for shape in ((4, 3), (0, 4, 3)):
        with pytest.raises(ValueError, match="resize_cubic was given an image of shape .*; expected height x width"):
            resize_cubic(4)({"image": np.zeros(shape)})
    with pytest.raises(ValueError, match=r"normalise was given an image of shape \(4, 4, 1\); expected three channels"):
        normalise({"image": np.zeros((4, 4, 1), np.uint8)})
