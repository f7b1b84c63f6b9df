"""The true flow is true: what frame 1 shows at p, frame 2 shows at p + flow[p], wherever it is in sight."""

import numpy as np
import pytest

from perceiver_lab.datasets import arrays, load, shipped
from perceiver_lab.datasets.flow import mirror_pair, sample_flow, scale_pair
from perceiver_lab.datasets.moving_shapes import COLUMNS, FORMS, Layer, moving_pair, render

PHOTOS = shipped.photos()


def pair(part="test", index=0):
    return moving_pair(PHOTOS, part, np.random.default_rng([7, index]))


def warped(frame, flow):
    """The frame looked up at p + flow[p], between its pixels."""
    from scipy.ndimage import map_coordinates

    rows, columns = np.meshgrid(np.arange(48), np.arange(64), indexing="ij")
    places = [rows + flow[..., 1], columns + flow[..., 0]]
    return np.stack([map_coordinates(frame[..., c].astype(float), places, order=1) for c in range(3)], axis=-1)


def errors(made):
    first, second = made.frames.astype(float)
    moved, still = (np.abs(image - first).mean(axis=-1) for image in (warped(second, made.flow), second))
    visible = made.occluded == 0
    return moved, still, visible, made.layers > 0


def test_flow_takes_each_pixel_to_its_like():
    moved, still, visible, shape = (
        np.stack(part) for part in zip(*(errors(pair(index=i)) for i in range(40)), strict=True)
    )
    assert moved[visible].mean() < 0.3 * still[visible].mean()
    assert moved[visible & shape].mean() < 0.5 * still[visible & shape].mean()
    # What is out of sight has no like in frame 2: the mark is right about it.
    assert moved[~visible].mean() > 2 * moved[visible].mean()


def test_flow_is_exact_where_layers_are_plain():
    """A layer moved by whole pixels: equal bytes, inside and out, and the occluded pixels known by hand."""
    texture = np.random.default_rng(0).integers(0, 256, (88, 104, 3)).astype(float)
    still = {"offset": np.zeros(2), "matrix": np.eye(2)}
    middle = np.array([31.5, 23.5])
    back = Layer(texture=texture, shift=np.array([0.0, 0.0]), middle=middle, **still)
    place = {"middle": np.array([20.0, 20.0]), "form": "box", "axes": (5.0, 4.0)}
    box = Layer(texture=255 - texture, shift=np.array([3.0, -2.0]), **place, **still)
    made = render([back, box])
    rows, columns = np.nonzero(made.layers)
    assert (rows.min(), rows.max(), columns.min(), columns.max(), len(rows)) == (16, 24, 15, 25, 9 * 11)
    assert np.unique(made.flow[made.layers == 1], axis=0).tolist() == [[3.0, -2.0]]
    assert (made.flow[made.layers == 0] == 0).all()
    np.testing.assert_array_equal(made.frames[0][rows, columns], made.frames[1][rows - 2, columns + 3])
    expected = np.zeros((48, 64), bool)
    expected[14:23, 18:29] = True  # where the box comes to lie
    expected[16:25, 15:26] = False  # where it was: those pixels are its own
    np.testing.assert_array_equal(made.occluded == 1, expected)


@pytest.mark.parametrize("form", FORMS)
def test_there_and_back(form):
    rng = np.random.default_rng(1)
    layer = Layer(
        texture=np.zeros((88, 104, 3)), offset=np.zeros(2), matrix=np.eye(2) + rng.uniform(-0.1, 0.1, (2, 2)),
        shift=rng.uniform(-5, 5, 2), middle=np.array([30.0, 20.0]), form=form, axes=(9.0, 12.0), turn=(0.6, 0.8),
    )  # fmt: skip
    points = rng.uniform(0, 60, (100, 2))
    np.testing.assert_allclose(layer.backward(layer.forward(points)), points, atol=1e-9)
    along = np.array([0.6, 0.8])
    inside = layer.middle + np.stack([8.9 * along, -8.9 * along])
    outside = layer.middle + np.stack([9.1 * along, -9.1 * along])
    assert layer.covers(inside).all() and not layer.covers(outside).any()


def test_an_example_depends_on_nothing_but_its_generator():
    one, other = pair(index=3), pair(index=3)
    for name in ("frames", "flow", "layers", "occluded"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (pair(index=4).frames != one.frames).any()


def test_test_textures_are_never_seen_in_training():
    """Photos that are black but in the other part's columns show nothing of it."""
    assert COLUMNS["train"][1] < COLUMNS["test"][0]
    for part, other in (("train", "test"), ("test", "train")):
        marked = []
        for photo in PHOTOS:
            copy = photo.copy()
            first, last = (int(share * photo.shape[1]) for share in COLUMNS[other])
            copy[:, first:last] = 0
            marked.append(copy)
        for index in range(5):
            made = moving_pair(marked, part, np.random.default_rng([7, index]))
            expected = moving_pair(PHOTOS, part, np.random.default_rng([7, index]))
            np.testing.assert_array_equal(made.frames, expected.frames)


@pytest.mark.parametrize(
    ("photos", "part", "message"),
    [
        (PHOTOS, "validation", "part must be 'train' or 'test'"),
        ([], "train", "at least one photo"),
        ([np.zeros((100, 400, 3), np.uint8)], "train", r"sides of at least 260; got \(100, 400, 3\) uint8"),
        ([np.zeros((300, 400, 3), np.float32)], "train", "float32"),
    ],
)
def test_refused(photos, part, message):
    with pytest.raises(ValueError, match=message):
        moving_pair(photos, part, np.random.default_rng(0))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_set():
    train, test = (load("moving_shapes", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (4000, 1000)
    some = arrays("moving_shapes", "test[:200]")
    assert some["frames"].shape == (200, 2, 48, 64, 3)
    assert 0.1 < (some["layers"] > 0).mean() < 0.3
    assert set(np.unique(some["layers"])) == {0, 1, 2}
    lengths = np.hypot(some["flow"][..., 0].astype(float), some["flow"][..., 1])
    assert 2 < lengths.mean() < 5
    assert train.dataset_info.redistribution_info.license


def test_scaling():
    made = pair()
    record = scale_pair({"frames": made.frames, "flow": made.flow.astype(np.float16), "layers": made.layers})
    assert record["frames"].dtype == record["flow"].dtype == np.float32
    np.testing.assert_allclose(record["frames"], made.frames / 255 * 2 - 1, atol=1e-6)
    np.testing.assert_allclose(record["flow"], made.flow, atol=0.004)
    with pytest.raises(ValueError, match="were they scaled already"):
        scale_pair(record)


def test_mirrored_pairs_have_mirrored_flow():
    made = pair(index=2)
    record = {name: getattr(made, name) for name in ("frames", "flow", "layers", "occluded")}
    seen = set()
    for seed in range(20):
        mirrored = mirror_pair(record, np.random.default_rng(seed))
        signs = tuple(np.sign(mirrored["flow"].mean((0, 1)) / made.flow.mean((0, 1))).astype(int).tolist())
        seen.add(signs)
        flips = tuple(axis for axis, sign in ((1, signs[0]), (0, signs[1])) if sign < 0)
        np.testing.assert_array_equal(np.flip(mirrored["layers"], flips), made.layers)
        np.testing.assert_array_equal(np.flip(mirrored["frames"][1], flips), made.frames[1])
        np.testing.assert_allclose(np.flip(mirrored["flow"], flips) * signs, made.flow)
        np.testing.assert_array_equal(np.flip(mirrored["occluded"], flips), made.occluded)
        first, second = mirrored["frames"].astype(float)
        visible = mirrored["occluded"] == 0
        moved = np.abs(warped(second, mirrored["flow"]) - first).mean(-1)[visible].mean()
        assert moved < 0.5 * np.abs(second - first).mean(-1)[visible].mean()
    assert seen == {(1, 1), (1, -1), (-1, 1), (-1, -1)}


def test_asking_for_some_pixels():
    made = pair()
    record = sample_flow(50)(
        {"frames": made.frames, "flow": made.flow, "layers": made.layers}, np.random.default_rng(0)
    )
    assert record.keys() == {"frames", "flow", "cells"}
    assert len(set(record["cells"].tolist())) == 50
    np.testing.assert_array_equal(record["flow"], made.flow.reshape(-1, 2)[record["cells"]])
    with pytest.raises(ValueError, match=r"sample_flow\(4000\) was given a flow of 48 x 64 = 3072"):
        sample_flow(4000)({"frames": made.frames, "flow": made.flow}, np.random.default_rng(0))
    for wrong in (0, 1.5, True):
        with pytest.raises(ValueError, match="whole number of pixels"):
            sample_flow(wrong)
