"""Scenes: what is drawn is what was described, at both sizes."""

import math
from dataclasses import replace

import numpy as np
import pytest

from perceiver_lab.datasets import scenes, shipped

PLAIN = np.full((192, 192, 3), 100, np.uint8)


@pytest.fixture(scope="module")
def photos():
    return shipped.photos()


@pytest.fixture(scope="module")
def drawn(photos):
    described = [scenes.describe(photos, np.random.default_rng([5, index])) for index in range(60)]
    return [(scene, *scenes.draw(scene)) for scene in described]


def alone(kind, turn=0.3, size=15.0):
    """A red shape in the middle of a plain scene."""
    centre = scenes.SIDE * scenes.UNIT // 2
    shape = scenes.Shape(kind=kind, row=centre, column=centre, size=scenes.UNIT * size, turn=turn, colour=(250, 10, 10))
    return scenes.Scene(background=PLAIN, textured=False, shapes=(shape,))


def test_a_scene_is_a_function_of_its_arguments(photos):
    first, again, other = (
        scenes.draw(scenes.describe(photos, np.random.default_rng([5, index])))[0] for index in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


@pytest.mark.parametrize("kind", scenes.KINDS)
@pytest.mark.parametrize("turn", [0.0, math.pi / 2, 1.0, 4.0])
def test_all_kinds_are_equally_large_at_any_turn(kind, turn):
    image, kinds = scenes.draw(alone(kind, turn))
    assert set(np.unique(kinds)) == {0, 1 + scenes.KINDS.index(kind)}
    # A pixel that is covered just half counts, hence a little more than the area.
    assert (kinds > 0).sum() / scenes.FINE**2 == pytest.approx(15**2, rel=0.02)
    covered = (image[..., 0].astype(float) - 100) / 150
    assert covered.sum() / scenes.FINE**2 == pytest.approx(15**2, rel=0.005)


def test_shapes_are_what_they_are_called():
    """The share of the surrounding circle that a shape fills tells circle, square, star and triangle apart."""
    shares = {}
    for kind in scenes.KINDS:
        rows, columns = np.nonzero(scenes.draw(alone(kind))[1])
        radius = np.hypot(rows - 95.5, columns - 95.5).max()
        shares[kind] = len(rows) / (math.pi * radius**2)
        assert shares[kind] == pytest.approx(1 / (math.pi * scenes._REACH[kind] ** 2), rel=0.05)
    assert shares["circle"] > shares["square"] + 0.2 > shares["star"] + 0.2 > shares["triangle"] + 0.2


def test_a_turned_square_has_its_corners_where_they_belong():
    kinds = scenes.draw(alone("square", turn=0.0, size=20.0))[1]
    rows, columns = np.nonzero(kinds)
    half = 20 * scenes.FINE / math.sqrt(2)
    assert rows.max() == pytest.approx(95.5 + half, abs=1.5) and rows.min() == pytest.approx(95.5 - half, abs=1.5)
    assert abs(columns[rows == rows.max()].mean() - 95.5) < 1.5


def test_the_largest_comes_first_and_clearly(drawn):
    counts, firsts = [], []
    for scene, _, kinds in drawn:
        sizes = [shape.size / scenes.UNIT for shape in scene.shapes]
        assert 12 <= sizes[0] <= 17 and all(7 <= size <= 0.8 * sizes[0] for size in sizes[1:])
        assert (kinds > 0).sum() / scenes.FINE**2 == pytest.approx(sum(size**2 for size in sizes), rel=0.02)
        counts.append(len(sizes))
        firsts.append(scene.shapes[0].kind)
    assert set(counts) == {1, 2, 3} and set(firsts) == set(scenes.KINDS)


def test_shapes_do_not_touch_and_lie_inside(drawn):
    """Every shape's own colour is found all over the pixels that it covers alone."""
    for scene, image, _ in drawn:
        for shape in scene.shapes:
            only = scenes.draw(replace(scene, shapes=(shape,)))[1] > 0
            inside = only[1:-1, 1:-1] & only[:-2, 1:-1] & only[2:, 1:-1] & only[1:-1, :-2] & only[1:-1, 2:]
            assert (image[1:-1, 1:-1][inside] == shape.colour).all()
            assert only.sum() / scenes.FINE**2 == pytest.approx((shape.size / scenes.UNIT) ** 2, rel=0.03)


def test_shapes_stand_out_from_their_background(drawn):
    textured = 0
    for scene, _, _ in drawn:
        middle = scene.background.reshape(-1, 3).mean(axis=0)
        assert all(np.linalg.norm(shape.colour - middle) >= 90 for shape in scene.shapes)
        assert (scene.background.std(axis=(0, 1)).max() > 0) == scene.textured
        textured += scene.textured
    assert 15 <= textured <= 45


def test_shrinking_averages_whole_blocks(drawn):
    for _, image, kinds in drawn[:10]:
        small, small_kinds = scenes.shrink(image, kinds)
        assert small.shape == (48, 48, 3) and small.dtype == small_kinds.dtype == np.uint8
        assert np.abs(small - image.reshape(48, 4, 48, 4, 3).mean(axis=(1, 3))).max() <= 0.5
        there = (kinds > 0).reshape(48, 4, 48, 4).mean(axis=(1, 3))
        np.testing.assert_array_equal(small_kinds > 0, there >= 0.5)


@pytest.mark.usefixtures("unchecked")
def test_bad_photos_are_named(photos):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="photos is empty"):
        scenes.describe([], rng)
    with pytest.raises(ValueError, match=r"photos\[1\] is uint8 of shape \(50, 200, 3\); expected .* at least 96"):
        scenes.describe([photos[0], photos[0][:50, :200]], rng)
