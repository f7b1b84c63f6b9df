"""A HiP as a picture, clouds of positions, and pictures put together."""

import numpy as np
import pytest

from perceiver_lab import figures


def test_a_hip_is_told_level_by_level():
    made = figures.hip_diagram((4, 1, 4), (8, 32, 8), (48, 64, 48), num_inputs=102)
    assert "102 inputs are cut into 4 groups" in made.alt
    assert "4 groups of 8 by 48; 1 group of 32 by 64; 4 groups of 8 by 48" in made.alt
    texts = [text.get_text() for text in made.axes[0].texts]
    assert "inputs\n4 groups\n26 rows" in texts and "block 1\n1 group\n32 × 64" in texts
    assert texts.count("skips") == 1
    assert made.webp() == figures.hip_diagram((4, 1, 4), (8, 32, 8), (48, 64, 48), num_inputs=102).webp()
    with pytest.raises(ValueError, match="Each level has groups, latents and channels"):
        figures.hip_diagram((4, 1, 4), (8, 32), (48, 64, 48), num_inputs=102)


def test_each_colour_lies_in_its_cell():
    colours = np.arange(12, dtype=np.uint8).reshape(4, 3)
    picture = figures.laid_out_grid(colours, [2, 0, 3, 1], 2)
    assert picture[1, 0].tolist() == [0, 1, 2] and picture[0, 1].tolist() == [9, 10, 11]


def test_clouds_have_rows_downwards_and_pictures_beside_them():
    points = np.array([[0.0, 1.0], [1.0, 0.0], [-1.0, -1.0]])
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    made = figures.position_clouds(
        {"step 0": points}, colours, [[0, 1]], pictures={"true": np.zeros((2, 2, 3), np.uint8)}, alt="three points"
    )
    cloud, picture = made.axes
    dots, lines = cloud.collections[1], cloud.collections[0]
    np.testing.assert_array_equal(dots.get_offsets(), points[:, ::-1])
    np.testing.assert_array_equal(lines.get_segments()[0], [[1, 0], [0, 1]])
    assert cloud.get_ylim()[0] > cloud.get_ylim()[1] and picture.get_title(loc="left") == "true"
    np.testing.assert_allclose(dots.get_facecolors()[:, :3], colours / 255)


def test_clouds_that_reach_far_are_shown_whole_and_on_one_scale():
    near, far = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.0, 5.0], [-1.0, 0.0]])
    made = figures.position_clouds({"near": near, "far": far}, np.zeros((2, 3), np.uint8), [[0, 1]], alt="two clouds")
    for ax in made.axes:
        assert ax.get_xlim() == pytest.approx((-5.5, 5.5)) and ax.get_ylim() == pytest.approx((5.5, -5.5))
