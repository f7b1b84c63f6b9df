"""Point clouds: points lie on their surfaces, evenly; a cloud is a set in a cube; what is no cloud is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab.datasets import clouds, load, sample_points, surfaces, turn_points, unit_cube

RNG = np.random.default_rng


def drawn(name, seed=0, count=4000):
    return surfaces.spread(surfaces.SURFACES[name](RNG(seed)), count, RNG(seed + 1))


def test_points_lie_on_their_surfaces():
    """What each surface is by its own equation, which is not how it is drawn."""
    np.testing.assert_allclose(np.linalg.norm(drawn("sphere"), axis=-1), 1)
    bowl = drawn("bowl")
    np.testing.assert_allclose(np.linalg.norm(bowl, axis=-1), 1)
    assert bowl[:, 2].max() < 0.1 and bowl[:, 2].min() < -0.99
    box = np.abs(drawn("box"))
    assert np.isclose(box, box.max(axis=0), atol=1e-3).any(axis=-1).all()
    x, y, z = drawn("cylinder").T
    side, end = np.isclose(np.hypot(x, y), 1), np.isclose(np.abs(z), z.max())
    assert (side | end).all() and 0.3 < side.mean() < 0.8 and 0.2 < end.mean() < 0.7
    height = RNG(0).uniform(1.5, 2.5)
    x, y, z = drawn("cone").T
    side = np.isclose(np.hypot(x, y), 1 - z / height)
    assert (side | (z == 0)).all() and 0.6 < side.mean() < 0.8
    x, y, z = drawn("pyramid").T
    side = np.isclose(np.maximum(np.abs(x), np.abs(y)), 1 - z / height)
    assert (side | (z == 0)).all() and 0.6 < side.mean() < 0.8
    x, y, z = drawn("torus").T
    np.testing.assert_allclose(np.ptp((np.hypot(x, y) - 1) ** 2 + z**2), 0, atol=1e-9)
    x, y, z = drawn("coil").T
    assert 0.1 < np.abs(np.hypot(x, y) - 1).max() < 0.2 and 1 < np.ptp(z) < 2.6
    x, y, z = drawn("saddle").T
    np.testing.assert_allclose(z / (x**2 - y**2), np.median(z / (x**2 - y**2)))
    band = drawn("moebius")
    assert np.abs(np.linalg.norm(band[:, :2], axis=-1) - 1).max() < 0.51 and np.abs(band[:, 2]).max() < 0.51


def test_points_are_even():
    """As many as there is area: by Archimedes, heights on a sphere are uniform; on a torus, the outside has more."""
    counts = np.histogram(drawn("sphere", count=20_000)[:, 2], bins=10, range=(-1, 1))[0]
    assert np.abs(counts / 2000 - 1).max() < 0.1
    torus = drawn("torus", count=20_000)
    distance = np.hypot(torus[:, 0], torus[:, 1])
    thick = (distance.max() - distance.min()) / 2
    assert (distance > 1).mean() == pytest.approx(0.5 + thick / np.pi, abs=0.015)


def test_points_of_a_mesh():
    """A square of two triangles and a small one: as many points as there is area, all of them in the faces."""
    corners = np.array([(0, 0, 0), (2, 0, 0), (2, 2, 0), (0, 2, 0), (0, 0, 1), (1, 0, 1), (0, 2, 1)], np.float64)
    points = surfaces.triangle_points(corners, [(0, 1, 2, 3), (4, 5, 6)], 10_000, RNG(0))
    low = points[:, 2] == 0
    assert low.mean() == pytest.approx(0.8, abs=0.02)
    assert np.abs(np.histogram2d(*points[low, :2].T, bins=2)[0] / low.sum() - 0.25).max() < 0.02
    assert (points[~low, 0] + points[~low, 1] / 2 <= 1 + 1e-9).all()
    with pytest.raises(ValueError, match="This mesh of 7 vertices and 1 faces has no area"):
        surfaces.triangle_points(corners, [(0, 1, 1)], 5, RNG(0))


@settings(max_examples=20)
@given(st.integers(0, 9), st.integers(0, 10_000))
def test_clouds_fill_the_unit_cube(label, seed):
    points = clouds.cloud(label, RNG([3, seed]))
    assert points.shape == (1024, 3) and points.dtype == np.float32
    assert np.abs(points).max() == 1 and np.abs(points.mean(axis=0)).max() < 1e-3
    np.testing.assert_array_equal(points * clouds.GRAIN, np.round(points * clouds.GRAIN))
    assert len(np.unique(points, axis=0)) > 1000


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_rotations_turn_and_do_not_mirror(seed):
    turn = clouds.rotation(RNG(seed))
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_all_turns_are_equally_likely():
    tips = np.stack([clouds.rotation(RNG([1, seed]))[:, 2] for seed in range(3000)])
    assert np.abs(tips.mean(axis=0)).max() < 0.05 and np.abs((tips**2).mean(axis=0) - 1 / 3).max() < 0.03


def test_transforms():
    record = {"points": clouds.cloud(6, RNG(0)), "label": 6}
    kept = record["points"].copy()
    turned = turn_points(record, RNG(1))
    assert turned["label"] == 6 and turned["points"].dtype == np.float32
    assert np.abs(turned["points"]).max() == 1 and np.abs(turned["points"] - kept).max() > 0.5
    lengths = [np.linalg.norm(one["points"] - one["points"][0], axis=-1) for one in (record, turned)]
    np.testing.assert_allclose(lengths[1] / lengths[1].max(), lengths[0] / lengths[0].max(), atol=1e-3)
    some = sample_points(100)(record, RNG(2))["points"]
    assert some.shape == (100, 3) and {one.tobytes() for one in some} <= {one.tobytes() for one in kept}
    np.testing.assert_array_equal(record["points"], kept)


def test_what_is_no_cloud_is_refused():
    for label in (-1, 10):
        with pytest.raises(ValueError, match=f"label={label}: there are 10 shapes, from 0, sphere, to saddle"):
            clouds.cloud(label, RNG(0))
    for count in (0, True, 2.0):
        with pytest.raises(ValueError, match="expected a whole number of points, at least 1"):
            sample_points(count)
    with pytest.raises(ValueError, match="This cloud has 5 points, fewer than the 6 that are asked for"):
        sample_points(6)({"points": np.zeros((5, 3), np.float32)}, RNG(0))
    for points in (np.ones((4, 3)), np.full((4, 3), np.nan)):
        with pytest.raises(ValueError, match="These 4 points lie all in one place, or some"):
            unit_cube(points)


def test_records(prepared):
    train, test = (load("clouds", part, data_dir=prepared) for part in ("train", "test"))
    assert (len(train), len(test)) == (2000, 1000)
    labels = np.array([record["label"] for record in test])
    assert np.abs(np.bincount(labels, minlength=10) / 100 - 1).max() < 0.35
    assert "synthetic" in test.dataset_info.description
    assert test.dataset_info.features["label"].names == list(clouds.SHAPES)
