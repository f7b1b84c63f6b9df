"""Properties of the transforms: what they keep, what they change, and that they leave their input alone."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from perceiver_lab.datasets import (
    center_crop,
    jitter_positions,
    permute_pixels,
    pixel_positions,
    random_crop,
    random_shift,
    sample_pixels,
    standardise,
    to_float,
)


def numbered(height, width, channels=1):
    """An image in which every value tells its place (modulo 251)."""
    return (np.arange(height * width * channels) % 251).astype(np.uint8).reshape(height, width, channels)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_to_float_scales_all_levels():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    scaled = to_float({"image": image, "label": 3})
    assert scaled["label"] == 3 and scaled["image"].dtype == np.float32
    np.testing.assert_allclose(scaled["image"], image / 127.5 - 1, atol=1e-7)
    assert scaled["image"].min() == -1 and scaled["image"].max() == 1


def test_to_float_knows_the_small_digits():
    image = (np.arange(64) % 17).astype(np.uint8).reshape(8, 8, 1)
    np.testing.assert_allclose(to_float({"image": image})["image"], image / 8 - 1, atol=1e-7)


def test_to_float_refuses_what_it_would_scale_wrongly():
    with pytest.raises(ValueError, match="this one is float32: was it scaled already"):
        to_float(to_float({"image": numbered(9, 9)}))
    with pytest.raises(ValueError, match=r"\(8, 8, 1\) image has a level of 63"):
        to_float({"image": numbered(8, 8)})


@pytest.mark.parametrize(
    "transform", [random_crop(4), center_crop(4), random_shift(12), sample_pixels(5), permute_pixels(range(64))]
)
def test_small_digits_must_be_scaled_first(transform):
    digit = {"image": numbered(8, 8) % 17}
    with pytest.raises(ValueError, match="unscaled digit of 8 x 8 pixels.*Put to_float before"):
        transform(digit, rng())
    assert transform(to_float(digit), rng())["image"].dtype == np.float32


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_random_crop_is_a_window(size, more_rows, more_columns, seed):
    image = np.arange((size + more_rows) * (size + more_columns)).reshape(size + more_rows, size + more_columns, 1)
    crop = random_crop(size)({"image": image}, rng(seed))["image"]
    assert crop.shape == (size, size, 1)
    top, left = divmod(int(crop[0, 0, 0]), image.shape[1])
    np.testing.assert_array_equal(crop, image[top : top + size, left : left + size])


def test_random_crop_reaches_every_place():
    image = numbered(6, 6)
    corners = {int(random_crop(4)({"image": image}, rng(seed))["image"][0, 0, 0]) for seed in range(200)}
    assert corners == {6 * top + left for top in range(3) for left in range(3)}


def test_center_crop():
    image = numbered(240, 240, 3)
    np.testing.assert_array_equal(center_crop(224)({"image": image}, rng())["image"], image[8:232, 8:232])
    np.testing.assert_array_equal(center_crop(3)({"image": numbered(6, 5)})["image"], numbered(6, 5)[1:4, 1:4])


@pytest.mark.parametrize(("dtype", "paper"), [(np.uint8, 0), (np.float32, -1)])
def test_random_shift_keeps_the_image_whole(dtype, paper):
    image = (numbered(28, 28) % 100 + 1).astype(dtype)
    places = set()
    for seed in range(300):
        frame = random_shift(36)({"image": image}, rng(seed))["image"]
        assert frame.shape == (36, 36, 1) and frame.dtype == dtype
        rows, columns, _ = np.nonzero(frame != paper)
        top, left = int(rows.min()), int(columns.min())
        np.testing.assert_array_equal(frame[top : top + 28, left : left + 28], image)
        assert (frame != paper).sum() == 28 * 28
        places.add((top, left))
    assert {top for top, _ in places} == {left for _, left in places} == set(range(9))


def test_scaling_and_shifting_may_change_places():
    record = {"image": numbered(28, 28)}
    first = random_shift(36)(to_float(record), rng())["image"]
    np.testing.assert_array_equal(first, to_float(random_shift(36)(record, rng()))["image"])


@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 2**32 - 1), st.data())
def test_sampled_pixels_are_distinct_and_know_their_places(height, width, seed, data):
    count = data.draw(st.integers(1, height * width))
    image = np.arange(height * width * 3).reshape(height, width, 3)
    sampled = sample_pixels(count)({"image": image, "label": 1}, rng(seed))
    assert sampled["image"].shape == (count, 3) and sampled["positions"].shape == (count, 2)
    assert sampled["positions"].dtype == np.float32 and sampled["label"] == 1
    assert len(np.unique(sampled["image"][:, 0])) == count
    rows = np.rint((sampled["positions"][:, 0] + 1) / 2 * (height - 1)).astype(int)
    columns = np.rint((sampled["positions"][:, 1] + 1) / 2 * (width - 1)).astype(int)
    np.testing.assert_array_equal(image[rows, columns], sampled["image"])


def test_every_pixel_is_sampled_equally_often():
    image = np.arange(100).reshape(10, 10, 1)
    seen = np.concatenate([sample_pixels(10)({"image": image}, rng(seed))["image"].ravel() for seed in range(2000)])
    counts = np.bincount(seen, minlength=100)
    assert 140 < counts.min() and counts.max() < 260  # 200 each, standard deviation 13


def test_positions_of_all_pixels_are_the_grid():
    positions = pixel_positions(2, 3)
    np.testing.assert_array_equal(positions, [[-1, -1], [-1, 0], [-1, 1], [1, -1], [1, 0], [1, 1]])
    with pytest.raises(ValueError, match="read-only"):
        positions[0, 0] = 5


def test_permuted_pixels_and_their_positions_are_the_same_set():
    image = numbered(7, 9, 2)
    order = rng(1).permutation(63)
    moved = permute_pixels(order, with_positions=True)({"image": image})
    assert moved["image"].shape == image.shape
    inverse = np.argsort(order)
    np.testing.assert_array_equal(moved["image"].reshape(63, 2)[inverse].reshape(image.shape), image)
    np.testing.assert_array_equal(moved["positions"][inverse], pixel_positions(7, 9))
    assert "positions" not in permute_pixels(order)({"image": image})
    np.testing.assert_array_equal(permute_pixels(list(range(63)))({"image": image})["image"], image)


@pytest.mark.parametrize(
    "transform",
    [to_float, random_crop(5), center_crop(5), random_shift(15), sample_pixels(5), permute_pixels(range(99, -1, -1))],
)
def test_the_input_stays_untouched_and_chance_is_repeatable(transform):
    image = numbered(10, 10, 3)
    image.flags.writeable = False
    record = {"image": image, "label": 7}
    first, again = transform(record, rng(3)), transform(record, rng(3))
    assert record.keys() == {"image", "label"} and record["image"] is image
    assert first["label"] == 7 and first.keys() == again.keys()
    for key in first:
        np.testing.assert_array_equal(first[key], again[key])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("make", [random_crop, center_crop, random_shift, sample_pixels])
@pytest.mark.parametrize("size", [0, -3, 2.5, "4", True, None])
def test_bad_sizes(make, size):
    with pytest.raises(ValueError, match=rf"{make.__name__}\({size!r}\): expected a whole number of pixels"):
        make(size)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (random_crop(11), "random_crop was given an image of 10 x 10 pixels and needs at least 11"),
        (center_crop(11), "center_crop was given an image of 10 x 10 pixels and needs at least 11"),
        (random_shift(9), "random_shift was given an image of 10 x 10 pixels and needs at most 9"),
        (sample_pixels(101), r"sample_pixels\(101\) was given an image of 10 x 10 = 100 pixels"),
        (permute_pixels(range(7)), "The permutation is of 7 pixels, the image has 10 x 10 = 100"),
    ],
)
def test_images_that_do_not_fit(transform, message):
    with pytest.raises(ValueError, match=message):
        transform({"image": numbered(10, 10)}, rng())
    flat = {"image": numbered(10, 10)[:, 0]}
    with pytest.raises(ValueError, match=r"given an image of shape \(10, 1\); expected height x width x channels"):
        transform(flat, rng())


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("order", [[0, 0, 1], [1, 2, 3], [[0, 1]], [0.0, 1.0], [-1, 0]])
def test_what_is_no_permutation(order):
    with pytest.raises(ValueError, match=r"does not hold each of 0 .. n - 1 once"):
        permute_pixels(order)


def test_standardise_gives_mean_zero_and_deviation_one():
    record = {"image": numbered(12, 9, 3), "label": 4}
    image = standardise(record)["image"]
    assert image.dtype == np.float32 and image.shape == (12, 9, 3)
    assert abs(image.mean()) < 1e-5 and abs(image.std() - 1) < 1e-5
    darker = standardise({"image": 0.25 * record["image"].astype(np.float32) - 3})["image"]
    np.testing.assert_allclose(darker, image, atol=1e-5)  # neither brightness nor contrast of a picture matters
    assert not standardise({"image": np.full((3, 3, 1), 7, np.uint8)})["image"].any()


def test_jittered_positions_are_a_small_linear_map_of_the_old_ones():
    record = {"image": numbered(5, 5), "positions": pixel_positions(5, 5)}
    moved = jitter_positions(0.1)(record, rng())["positions"]
    matrix, residual, _, _ = np.linalg.lstsq(record["positions"], moved, rcond=None)
    assert moved.dtype == np.float32 and residual.max() < 1e-9
    assert 0 < np.abs(matrix - np.eye(2)).max() <= 0.1
    np.testing.assert_array_equal(jitter_positions(0.0)(record, rng())["positions"], record["positions"])
    same = jitter_positions(0.1)({"image": numbered(5, 5)}, rng())
    np.testing.assert_array_equal(same["positions"], moved)  # the grid's own positions, where there are none
    with pytest.raises(ValueError, match=r"jitter_positions\(0.5\): expected a number from 0"):
        jitter_positions(0.5)
