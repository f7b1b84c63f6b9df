"""Every offline set opens by name, holds what is pinned, and names what is wrong."""

import numpy as np
import pytest

from perceiver_lab.datasets import arrays, builders, content_sha256, data_hash, load, names

SMALL = (
    "digits",
    "mnist_small",
    "photos",
    "shakespeare",
    "shakespeare/speakers",
    "shakespeare/long",
    "shakespeare/events",
    "spoken_digits",
    "spoken_digits/speaker",
    "battles",
    "play_tasks",
    "mirrored",
    "photo_windows",
    "chorales",
    "clouds",
)
CANVASES = (
    "large_digits",
    "cluttered_digits",
    "cluttered_digits/test_1000",
    "scenes",
    "scenes/fine",
    "moving_shapes",
    "moving_digits",
    "one_sense",
    "captions",
)


@pytest.mark.parametrize("name", SMALL)
def test_content_is_the_pinned_one(name, prepared):
    assert content_sha256(name, data_dir=prepared) == data_hash(name)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CANVASES)
def test_content_of_canvases_is_the_pinned_one(name, prepared, unchecked):
    """With the checks of types off: a million calls draw a large set."""
    assert content_sha256(name, data_dir=prepared) == data_hash(name)


def test_names_cover_the_builders():
    assert set(names()) == {*SMALL, *CANVASES}
    assert {name.split("/")[0] for name in names()} == set(builders.BUILDERS)
    assert len({data_hash(name) for name in names()}) == len(names())


@pytest.mark.parametrize(
    ("name", "split", "shape", "top"),
    [
        ("digits", "train", (1500, 8, 8, 1), 16),
        ("digits", "test", (297, 8, 8, 1), 16),
        ("mnist_small", "train", (6000, 28, 28, 1), 255),
        ("mnist_small", "test", (1000, 28, 28, 1), 255),
    ],
)
def test_small_sets_and_their_mixed_labels(name, split, shape, top, prepared):
    whole = arrays(name, split, data_dir=prepared)
    assert whole["image"].shape == shape and whole["image"].dtype == np.uint8 and whole["image"].max() == top
    assert whole["label"].shape == shape[:1] and whole["label"].dtype == np.int64
    assert_mixed(whole["label"])


def assert_mixed(labels):
    """Every class is among the first hundred and the last hundred, and no class dominates either half."""
    assert set(labels[:100]) == set(labels[-100:]) == set(range(10))
    half = len(labels) // 2
    for part in (labels[:half], labels[half:]):
        assert np.bincount(part).max() < 0.16 * len(part)


def test_rows_of_arrays_are_the_records(prepared):
    source = load("mnist_small", "test", data_dir=prepared)
    whole = arrays("mnist_small", "test", data_dir=prepared)
    for index in (0, 17, 999):
        np.testing.assert_array_equal(source[index]["image"], whole["image"][index])
        assert source[index]["label"] == whole["label"][index]
    assert "CC BY-SA" in source.dataset_info.redistribution_info.license


def test_part_of_a_split(prepared):
    assert len(load("digits", "train[:100]", data_dir=prepared)) == 100
    assert arrays("digits", "train[:7]", data_dir=prepared)["label"].shape == (7,)


def test_photos_open_one_by_one(prepared):
    source = load("photos", "train", data_dir=prepared)
    assert len(source) == 9
    assert {record["name"] for record in source} >= {b"astronaut", b"brick"}
    with pytest.raises(ValueError, match="The records of 'photos' differ in the shape of 'image'"):
        arrays("photos", "train", data_dir=prepared)


def test_a_canvas_does_not_depend_on_how_many_are_made(tmp_path, monkeypatch):
    """The first records of a short set equal the pure function's, so that all counts share a beginning."""
    from perceiver_lab.datasets import canvases, loading, shipped

    images, labels = shipped.mnist_digits("train")
    monkeypatch.setattr(shipped, "mnist_digits", lambda part: (images[:3], labels[:3]))
    monkeypatch.setitem(loading.CONTENT_SHA256, "large_digits", "")
    source = load("large_digits", "train", data_dir=tmp_path)
    assert len(source) == 3
    drawn = canvases.large_digit(images[2], shipped.photos(), np.random.default_rng([builders.SEED, 0, 2]))
    assert source[2]["image"].shape == (240, 240, 3)
    assert np.abs(source[2]["image"].astype(int) - drawn).mean() < 3  # JPEG at quality 92
    assert source[2]["label"] == labels[2]


@pytest.mark.slow
def test_canvas_sets(prepared):
    large = load("large_digits", "test", data_dir=prepared)
    assert len(large) == 1000 and len(load("large_digits", "train", data_dir=prepared)) == 6000
    assert_mixed(np.array([large[index]["label"] for index in range(len(large))]))
    cluttered = load("cluttered_digits", "test", data_dir=prepared)
    assert len(cluttered) == 400 and len(load("cluttered_digits", "train", data_dir=prepared)) == 2000
    record = cluttered[5]
    assert record["image"].shape == (224, 224, 3) and record["mask"].shape == (224, 224, 1)
    assert set(np.unique(record["mask"])) == {0, 1}
    assert_mixed(np.array([cluttered[index]["label"] for index in range(len(cluttered))]))
    more = load("cluttered_digits/test_1000", "test", data_dir=prepared)
    assert len(more) == 1000
    np.testing.assert_array_equal(more[5]["image"], record["image"])


def test_unknown_set_names_its_neighbours(prepared):
    with pytest.raises(ValueError, match="no data set 'mnist_smal'. Did you mean 'mnist_small'"):
        load("mnist_smal", "train", data_dir=prepared)
    with pytest.raises(ValueError, match="no data set 'cluttered_digits/huge'"):
        load("cluttered_digits/huge", "train", data_dir=prepared)
    with pytest.raises(ValueError, match="'mnist' has no pinned content; the offline sets are digits"):
        data_hash("mnist")


@pytest.mark.parametrize("split", ["validation", "train[oops]", "train[:0]", ""])
def test_unknown_or_empty_split_names_the_splits(split, prepared):
    with pytest.raises(
        ValueError, match=r"nothing under the split .* of 'digits'; it has .*'train' \(1500 records\)"
    ) as caught:
        load("digits", split, data_dir=prepared)
    assert repr(split) in str(caught.value)


@pytest.mark.slow
def test_scenes_at_both_sizes_are_the_same(prepared):
    scenes = arrays("scenes", "test", data_dir=prepared)
    assert len(load("scenes", "train", data_dir=prepared)) == 8000 and len(scenes["label"]) == 1000
    fine = load("scenes/fine", "test", data_dir=prepared)
    assert len(fine) == 1000
    for index in (0, 17, 999):
        record = fine[index]
        blocks = record["image"].reshape(48, 4, 48, 4, 3).mean(axis=(1, 3))
        assert np.abs(blocks - scenes["image"][index]).max() <= 0.5
        assert (record["label"], record["count"]) == (scenes["label"][index], scenes["count"][index])
        assert set(np.unique(record["kinds"])) >= {0, 1 + record["label"]}
    for labels, expected in ((scenes["label"], 1 / 4), (scenes["count"] - 1, 1 / 3), (scenes["textured"], 1 / 2)):
        assert np.abs(np.bincount(labels) / len(labels) - expected).max() < 0.05
