"""Tiles cover an image, blend without seams, and are those of the release."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab.ops.tiles import blend_weights, predict_tiled, tile_starts


@pytest.mark.parametrize(
    ("extent", "starts"),
    [(368, (0,)), (436, (0, 68)), (696, (0, 328)), (716, (0, 348)), (800, (0, 348, 432)), (697, (0, 329))],
)
def test_starts(extent, starts):
    assert tile_starts(extent, 368, 20) == starts
    release = list(range(0, extent, 348))
    release[-1] = extent - 368
    assert {start for start in release if start <= extent - 368} == set(starts)


@settings(max_examples=50)
@given(st.integers(1, 40), st.data())
def test_every_pixel_is_in_a_tile(tile, data):
    overlap = data.draw(st.integers(0, tile - 1))
    extent = data.draw(st.integers(tile, 200))
    covered = np.zeros(extent, bool)
    for start in tile_starts(extent, tile, overlap):
        assert 0 <= start <= extent - tile
        covered[start : start + tile] = True
    assert covered.all()


def test_weights():
    expected = [[1, 1, 1, 1, 1], [1, 2, 2, 2, 1], [1, 2, 2, 2, 1], [1, 1, 1, 1, 1]]
    np.testing.assert_array_equal(blend_weights((4, 5)), expected)
    assert blend_weights((368, 496)).max() == 184


FIELDS = {
    "constant": lambda rows, columns: np.full((*rows.shape, 3), 3.5),
    "linear": lambda rows, columns: np.stack([0.5 * columns - 2, 0.25 * rows + columns], axis=-1),
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_come_back_exactly(name):
    """The frames hold their own coordinates, so that a tile can answer for the place where it lies."""
    rows, columns = np.meshgrid(np.arange(40.0), np.arange(53.0), indexing="ij")
    frames = np.broadcast_to(np.stack([rows, columns], axis=-1), (2, 2, 40, 53, 2))
    found = predict_tiled(lambda x: FIELDS[name](x[:, 0, ..., 0], x[:, 0, ..., 1]), frames, (16, 24), 5)
    assert found.dtype == np.float32
    field = FIELDS[name](rows, columns)
    np.testing.assert_allclose(found, np.broadcast_to(field, (2, *field.shape)), rtol=1e-6, atol=1e-6)


def test_one_tile_is_the_model_itself():
    frames = np.random.default_rng(0).normal(size=(3, 2, 16, 24, 3))
    found = predict_tiled(lambda x: x[:, 1, ..., :2] - x[:, 0, ..., :2], frames, (16, 24), 4)
    np.testing.assert_allclose(found, frames[:, 1, ..., :2] - frames[:, 0, ..., :2], atol=1e-6)


def test_seams_are_blended_by_distance():
    """Two tiles along one axis that say 0 and 1: the answer climbs across the overlap."""
    frames = np.zeros((1, 2, 4, 14, 1))
    calls = iter([0.0, 1.0])

    def predict(x):
        return np.full((1, 4, 8, 1), next(calls))

    found = predict_tiled(predict, frames, (4, 8), 2)[0, 1, :, 0]
    assert found[:6].tolist() == [0] * 6
    assert found[8:].tolist() == [1] * 6
    weights = blend_weights((4, 8))[1]
    assert weights.tolist() == [1, 2, 2, 2, 2, 2, 2, 1]
    np.testing.assert_allclose(found[6:8], [1 / (2 + 1), 2 / (1 + 2)], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tile_starts(100, 368, 20), r"The image is 100 pixels along one axis and the tile 368"),
        (lambda: tile_starts(100, 20, 20), r"An overlap of 20 pixels does not fit tiles of 20"),
        (lambda: tile_starts(100, 20, -1), r"An overlap of -1 pixels"),
        (lambda: predict_tiled(lambda x: x, np.zeros((1, 2, 8, 8, 3)), (4, 4), 0), r"must return \(1, 4, 4, K\)"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
