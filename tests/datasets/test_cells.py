"""Images of few cells in a row."""

import numpy as np
import pytest

from perceiver_lab.datasets import in_a_row, mean_cells, smooth_cells, white_noise


def test_cells_are_means_and_stand_row_by_row():
    image = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    record = mean_cells(3)({"image": image, "label": 4, "name": b"x"})
    assert record["image"].shape == (3, 3, 3) and record["image"].dtype == np.float32
    np.testing.assert_allclose(record["image"][2, 1], image[4:6, 2:4].astype(np.float64).mean(axis=(0, 1)), rtol=1e-6)
    row = in_a_row(record)
    assert set(row) == {"image", "label"} and row["label"] == 4
    np.testing.assert_array_equal(row["image"][2 * 3 + 1], record["image"][2, 1])
    assert set(in_a_row({"image": image})) == {"image"}


def test_smooth_cells_see_their_neighbours():
    point = np.zeros((9, 11, 1), np.float32)
    point[4, 5] = 256
    spread = smooth_cells({"image": point, "label": 2})["image"]
    assert spread.shape == (5, 7, 1) and spread.dtype == np.float32
    np.testing.assert_allclose(spread[..., 0], np.pad(np.outer(*[[1, 4, 6, 4, 1]] * 2), ((0, 0), (1, 1))), rtol=1e-6)
    with pytest.raises(ValueError, match="smooth_cells takes two cells off each side"):
        smooth_cells({"image": np.zeros((4, 9, 3), np.float32)})


def test_noise_has_the_shape_and_nothing_else_of_an_image():
    record = {"image": np.full((40, 40, 3), 7.0, np.float32), "label": 1}
    noise, other = (white_noise(record, np.random.default_rng(seed)) for seed in (0, 1))
    assert noise["image"].shape == (40, 40, 3) and noise["image"].dtype == np.float32 and noise["label"] == 1
    assert abs(noise["image"].mean()) < 0.1 and abs(noise["image"].std() - 1) < 0.1
    assert (noise["image"] != other["image"]).all()
    np.testing.assert_array_equal(noise["image"], white_noise(record, np.random.default_rng(0))["image"])


def test_what_has_no_such_cells():
    with pytest.raises(ValueError, match="mean_cells\\(0\\): expected a whole number"):
        mean_cells(0)
    for shape in ((6, 9, 3), (7, 7, 1)):
        with pytest.raises(ValueError, match=f"given an image of {shape[0]} x {shape[1]} pixels; its cells want"):
            mean_cells(3)({"image": np.zeros(shape, np.uint8)})
