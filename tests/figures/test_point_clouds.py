"""Point clouds as pictures: all points are there, the nearest on top, and what is marked is told apart."""

import numpy as np
import pytest

from perceiver_lab import figures
from perceiver_lab.figures import clouds

POINTS = np.random.default_rng(0).normal(size=(2, 30, 3))


def test_all_points_the_nearest_last():
    made = figures.point_clouds(POINTS, titles=["one", "other"])
    assert made.alt == "2 point clouds: one, other."
    (dots,) = made.axes[0].collections
    offsets = np.asarray(dots.get_offsets())
    assert sorted(map(tuple, offsets.round(6))) == sorted(
        zip((POINTS[0] @ clouds._RIGHT).round(6), (POINTS[0] @ clouds._UP).round(6), strict=True)
    )
    assert (np.diff(dots.get_array()) >= 0).all()
    assert made.webp() == figures.point_clouds(POINTS, titles=["one", "other"]).webp()


def test_the_eye_has_right_angles():
    axes = np.stack([clouds._RIGHT, clouds._UP, clouds._TOWARDS])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=0.01)


def test_marked_points_are_on_top_and_alone():
    made = figures.point_clouds([*POINTS], marked=[np.array([3, 4]), np.arange(30)], columns=1, alt="marked points")
    pale, marked = made.axes[0].collections
    assert len(pale.get_offsets()) == 30 and len(marked.get_offsets()) == 2
    np.testing.assert_allclose(marked.get_offsets()[1], [POINTS[0, 4] @ clouds._RIGHT, POINTS[0, 4] @ clouds._UP])
    assert len(made.axes[1].collections[1].get_offsets()) == 30


def test_what_does_not_fit_is_refused():
    for options in ({"titles": ["one"]}, {"marked": [np.array([0])] * 3}):
        with pytest.raises(ValueError, match="a title and a list of marked points for each or for none; got 2 clouds"):
            figures.point_clouds(POINTS, **options)
    with pytest.raises(ValueError, match="Give at least one cloud"):
        figures.point_clouds([])
