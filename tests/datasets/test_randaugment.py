"""RandAugment: every operation against Pillow or its formula, and the policy that draws them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from perceiver_lab.datasets import shipped
from perceiver_lab.datasets.randaugment import (
    OPERATIONS,
    auto_contrast,
    brightness,
    colour,
    contrast,
    cutout,
    equalise,
    invert,
    posterise,
    randaugment,
    rotate,
    sharpness,
    shear_x,
    shear_y,
    solarise,
    solarise_add,
    translate_x,
    translate_y,
)

LEVEL = 0.5  # a tenth of the release's magnitude


def rng(seed=0):
    return np.random.default_rng(seed)


def noise(height=40, width=50, low=0, high=256, seed=0):
    return rng(seed).integers(low, high, (height, width, 3)).astype(np.uint8)


@pytest.fixture(scope="module", params=range(9))
def photo(request):
    return np.ascontiguousarray(shipped.photos()[request.param][:150, :201])


def by_pillow(operation, image, *arguments):
    return np.asarray(operation(Image.fromarray(image), *arguments))


def test_levels_of_photos_as_in_pillow(photo):
    np.testing.assert_array_equal(auto_contrast(photo), by_pillow(ImageOps.autocontrast, photo))
    np.testing.assert_array_equal(equalise(photo), by_pillow(ImageOps.equalize, photo))
    np.testing.assert_array_equal(invert(photo), by_pillow(ImageOps.invert, photo))
    for bits in range(1, 9):
        np.testing.assert_array_equal(posterise(photo, bits), by_pillow(ImageOps.posterize, photo, bits))
    for threshold in (0, 1, 128, 255, 256):
        np.testing.assert_array_equal(solarise(photo, threshold), by_pillow(ImageOps.solarize, photo, threshold))


@settings(max_examples=60)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 255), st.integers(1, 256), st.integers(0, 2**32 - 1))
def test_levels_of_any_image_as_in_pillow(height, width, low, spread, seed):
    """Small and flat ones too, where steps of equalising become 0 or overflow."""
    image = noise(height, width, low, min(low + spread, 256), seed)
    np.testing.assert_array_equal(auto_contrast(image), by_pillow(ImageOps.autocontrast, image))
    np.testing.assert_array_equal(equalise(image), by_pillow(ImageOps.equalize, image))


def test_solarise_add_by_its_formula():
    """Pillow has no such operation."""
    image = noise()
    expected = np.where(image < 128, np.minimum(image.astype(int) + 55, 255), image)
    np.testing.assert_array_equal(solarise_add(image, 55), expected)
    assert (solarise_add(image, 200)[image < 56] < 256).all() and (solarise_add(image, 200)[image == 100] == 255).all()
    np.testing.assert_array_equal(solarise_add(image, 0), image)


def grey(image):
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return (19595 * red + 38470 * green + 7471 * blue + 2**15) >> 16  # ITU-R 601, as Pillow rounds it


def smoothed(image):
    wide = image.astype(int)
    total = sum(
        wide[1 + i : wide.shape[0] - 1 + i, 1 + j : wide.shape[1] - 1 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)
    )
    result = image.astype(float)
    result[1:-1, 1:-1] = np.floor((total + 4 * wide[1:-1, 1:-1]) / 13 + 0.5)
    return result


ORIGINS = {
    colour: lambda image: grey(image)[..., None],
    contrast: lambda image: np.floor(grey(image).mean() + 0.5),
    brightness: lambda image: 0,
    sharpness: smoothed,
}


@pytest.mark.parametrize("factor", [0.1, 0.64, 1.0, 1.9])
@pytest.mark.parametrize("operation", ORIGINS)
def test_factors_by_their_formula(operation, factor, photo):
    """origin + factor x (image - origin), cut off and rounded down; a rounding error of floats may miss one level."""
    origin = ORIGINS[operation](photo)
    exact = np.clip(origin + factor * (photo - origin), 0, 255)
    found = operation(photo, factor)
    assert (found >= np.floor(exact - 1e-3)).all() and (found <= np.floor(exact + 1e-3)).all()


def test_a_factor_of_one_changes_nothing(photo):
    for operation in ORIGINS:
        np.testing.assert_array_equal(operation(photo, 1.0), photo)


def moved(image, source):
    """By the formula: pixel (x, y) shows the nearest pixel to source(x, y), grey outside. And where that is certain."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(float)
    x, y = source(x, y)
    # Pillow counts in 65536ths of a pixel; what lies that close to the middle between two may go either way.
    certain = np.minimum(abs(x - np.floor(x) - 0.5), abs(y - np.floor(y) - 0.5)) > 0.01
    x, y = np.rint(x).astype(int), np.rint(y).astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    shown = image[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return np.where(inside[..., None], shown, 128), certain


def turned(degrees, height, width):
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    return lambda x, y: (
        cosine * (x - middle_x) - sine * (y - middle_y) + middle_x,
        sine * (x - middle_x) + cosine * (y - middle_y) + middle_y,
    )


MOVES = {
    "rotate 15": (lambda image: rotate(image, 15.0), turned(15, 60, 81)),
    "rotate -7.5": (lambda image: rotate(image, -7.5), turned(-7.5, 60, 81)),
    "shear_x": (lambda image: shear_x(image, 0.15), lambda x, y: (x + 0.15 * y, y)),
    "shear_x back": (lambda image: shear_x(image, -0.15), lambda x, y: (x - 0.15 * y, y)),
    "shear_y": (lambda image: shear_y(image, 0.15), lambda x, y: (x, y + 0.15 * x)),
    "translate_x": (lambda image: translate_x(image, 50.0), lambda x, y: (x + 50, y)),
    "translate_x back": (lambda image: translate_x(image, -50.0), lambda x, y: (x - 50, y)),
    "translate_y": (lambda image: translate_y(image, 50.0), lambda x, y: (x, y + 50)),
    "translate_y past the end": (lambda image: translate_y(image, -100.0), lambda x, y: (x, y - 100)),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves_by_their_formula(name):
    image = noise(60, 81)
    operation, source = MOVES[name]
    expected, certain = moved(image, source)
    assert certain.mean() > 0.9
    found = operation(image)
    assert found.shape == image.shape and found.dtype == np.uint8
    np.testing.assert_array_equal(found[certain], expected[certain])


def test_turns_as_in_pillow():
    image = noise(60, 81)
    for degrees in (15.0, -15.0, 30.0, 90.0):
        expected = by_pillow(lambda one, degrees=degrees: one.rotate(degrees, fillcolor=(128,) * 3), image)
        assert (rotate(image, degrees) != expected).any(axis=-1).mean() < 0.005  # pixels halfway between two
    square = noise(41, 41)
    np.testing.assert_array_equal(rotate(square, 90.0), np.rot90(square))


def test_cutout():
    image, middles = noise(60, 80, high=128), set()
    for seed in range(300):
        found = cutout(image, 20, rng(seed))
        rows, columns = np.nonzero((found == 128).all(axis=-1))
        top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        assert (found[top:bottom, left:right] == 128).all()
        found[top:bottom, left:right] = image[top:bottom, left:right]
        np.testing.assert_array_equal(found, image)
        assert bottom - top <= 40 and right - left <= 40
        assert bottom - top == 40 or top == 0 or bottom == 60
        assert right - left == 40 or left == 0 or right == 80
        middles.add((top == 0, bottom == 60, left == 0, right == 80))
    assert len(middles) >= 9  # inside, at each edge, in each corner


def test_sixteen_operations_in_the_release_s_order():
    assert list(OPERATIONS) == [
        "auto_contrast", "equalise", "invert", "rotate", "posterise", "solarise", "colour", "contrast", "brightness",
        "sharpness", "shear_x", "shear_y", "translate_x", "translate_y", "cutout", "solarise_add",
    ]  # fmt: skip


def test_amounts_of_the_release():
    """Magnitude 5: what its code computes, one operation after the other."""
    image = noise(120, 130)
    fixed = {
        "auto_contrast": auto_contrast(image),
        "equalise": equalise(image),
        "invert": 255 - image,
        "posterise": image & 0b11000000,
        "solarise": np.where(image < 128, image, 255 - image),
        "solarise_add": np.where(image < 128, image + np.uint8(55), image),
        **dict.fromkeys(("colour", "contrast", "brightness", "sharpness"), image),
    }
    either_way = {
        "rotate": [rotate(image, 15.0), rotate(image, -15.0)],
        "shear_x": [shear_x(image, 0.15), shear_x(image, -0.15)],
        "shear_y": [shear_y(image, 0.15), shear_y(image, -0.15)],
        "translate_x": [translate_x(image, 50.0), translate_x(image, -50.0)],
        "translate_y": [translate_y(image, 50.0), translate_y(image, -50.0)],
    }
    for name, expected in fixed.items():
        np.testing.assert_array_equal(OPERATIONS[name](image, LEVEL, rng()), expected, err_msg=name)
    for name, (one, other) in either_way.items():
        assert (one != other).any()
        ways = [(OPERATIONS[name](image, LEVEL, rng(seed)) == one).all() for seed in range(60)]
        assert 10 < sum(ways) < 50, name
        assert all((OPERATIONS[name](image, LEVEL, rng(seed)) == other).all() for seed in range(60) if not ways[seed])
    np.testing.assert_array_equal(OPERATIONS["cutout"](image, LEVEL, rng(3)), cutout(image, 20, rng(3)))
    assert set(OPERATIONS) == {*fixed, *either_way, "cutout"}


def test_the_policy_draws_with_replacement_and_equally_often(monkeypatch):
    drawn = []
    for name in OPERATIONS:
        monkeypatch.setitem(OPERATIONS, name, lambda image, level, rng, name=name: drawn.append((name, level)) or image)
    record, transform = {"image": noise()}, randaugment(4, 5)
    for seed in range(2000):
        transform(record, rng(seed))
    assert {level for _, level in drawn} == {0.5} and len(drawn) == 8000
    counts = [drawn.count((name, 0.5)) for name in OPERATIONS]
    assert min(counts) > 400 and max(counts) < 600  # 500 each, standard deviation 22
    groups = [tuple(name for name, _ in drawn[i : i + 4]) for i in range(0, 8000, 4)]
    assert any(len(set(group)) < 4 for group in groups)


def test_operations_follow_each_other(monkeypatch):
    """Each works on what the one before left."""
    for name in OPERATIONS:
        monkeypatch.setitem(OPERATIONS, name, lambda image, level, rng: image + np.uint8(1))
    image = noise(high=200)
    np.testing.assert_array_equal(randaugment(3, 5)({"image": image}, rng())["image"], image + np.uint8(3))


@pytest.mark.parametrize("magnitude", [0, 2, 5, 10])
def test_every_magnitude_works_and_nothing_else_is_touched(magnitude):
    image = noise(60, 70)
    image.flags.writeable = False
    record, transform = {"image": image, "label": 7}, randaugment(4, magnitude)
    for seed in range(20):
        first, again = transform(record, rng(seed)), transform(record, rng(seed))
        assert first["image"].shape == image.shape and first["image"].dtype == np.uint8 and first["label"] == 7
        np.testing.assert_array_equal(first["image"], again["image"])
    np.testing.assert_array_equal(image, noise(60, 70))
    for operation in OPERATIONS.values():
        assert operation(image, magnitude / 10, rng()).shape == image.shape


def test_bad_arguments():
    for wrong in (0, 1.5, True, -1):
        with pytest.raises(ValueError, match="randaugment wants a whole number of operations, at least 1, and got"):
            randaugment(wrong, 5)
    for wrong in (-1, 11, math.nan):
        with pytest.raises(ValueError, match="randaugment wants a magnitude from 0 to 10 and got"):
            randaugment(4, wrong)
    with pytest.raises(ValueError, match="randaugment was given an image of shape .* float32; expected a photo"):
        randaugment(4, 5)({"image": noise().astype(np.float32)}, rng())
