"""Transforms of records with a map: image and map stay together, and cells are chosen without repetition."""

import numpy as np
import pytest

from perceiver_lab.datasets import pipeline, sample_cells, spread_cells, turn_and_mirror


def record(side=5):
    kinds = np.arange(side * side, dtype=np.uint8).reshape(side, side)
    return {"image": np.repeat(kinds[..., None], 3, axis=-1), "kinds": kinds, "label": 2}


def test_image_and_map_are_turned_alike_in_all_eight_ways():
    before, seen = record(), set()
    for seed in range(200):
        after = turn_and_mirror(record(), np.random.default_rng(seed))
        np.testing.assert_array_equal(after["image"][..., 0], after["kinds"])
        assert after["label"] == 2 and after["image"].flags["C_CONTIGUOUS"]
        seen.add(after["kinds"].tobytes())
    ways = {
        np.rot90(map_, turns).tobytes() for map_ in (before["kinds"], before["kinds"][:, ::-1]) for turns in range(4)
    }
    assert seen == ways and len(ways) == 8


def test_a_record_without_a_map():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert set(turn_and_mirror({"image": image}, np.random.default_rng(0))) == {"image"}


def test_cells_are_distinct_and_leave_the_image_alone():
    given = record()
    chosen = sample_cells(20)(given, np.random.default_rng(3))
    assert chosen["cells"].shape == (20,) and chosen["cells"].dtype == np.int32
    assert len(set(chosen["cells"])) == 20 and 0 <= chosen["cells"].min() and chosen["cells"].max() < 25
    assert chosen["image"] is given["image"]
    np.testing.assert_array_equal(np.sort(sample_cells(25)(given, np.random.default_rng(0))["cells"]), np.arange(25))


def test_every_cell_is_equally_likely():
    counts = np.zeros(25)
    for seed in range(1000):
        counts[sample_cells(5)(record(), np.random.default_rng(seed))["cells"]] += 1
    assert np.abs(counts - 200).max() < 60


def test_one_cell_of_every_block_each_as_likely():
    given = record(side=6)
    cells = spread_cells(2, 3)(given, np.random.default_rng(0))["cells"]
    assert cells.dtype == np.int32 and sorted(cells // 6 // 2 * 2 + cells % 6 // 3) == list(range(6))
    counts = np.zeros(36)
    for seed in range(600):
        counts[spread_cells(2, 3)(given, np.random.default_rng(seed))["cells"]] += 1
    assert counts.sum() == 3600 and np.abs(counts - 100).max() < 45


def test_cells_of_blocks_tell_more_about_the_whole_than_as_many_anywhere():
    # A picture that grows darker from left to right: its mean, told by an eighth of its pixels.
    picture = np.repeat(np.linspace(0, 1, 16)[None], 16, axis=0)
    given = {"image": np.zeros((16, 16, 3), np.uint8)}

    def error(transform):
        means = [picture.ravel()[transform(given, np.random.default_rng(seed))["cells"]].mean() for seed in range(200)]
        return np.std(means)

    assert error(spread_cells(2, 4)) < error(sample_cells(32)) / 2


def test_in_a_pipeline():
    columns = {"image": np.zeros((6, 4, 4, 3), np.uint8), "kinds": np.zeros((6, 4, 4), np.uint8)}
    batch = next(pipeline(columns, batch_size=3, transforms=(turn_and_mirror, sample_cells(7))))
    assert batch["cells"].shape == (3, 7) and batch["image"].shape == (3, 4, 4, 3)
    assert (batch["cells"][0] != batch["cells"][1]).any()


def test_what_does_not_fit():
    with pytest.raises(ValueError, match=r"turn_and_mirror was given an image of shape \(2, 3, 3\).*equal sides"):
        turn_and_mirror({"image": np.zeros((2, 3, 3), np.uint8)}, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"sample_cells\(26\) was given an image of 5 x 5 = 25 pixels"):
        sample_cells(26)(record(), np.random.default_rng(0))
    for wrong in (0, 1.5, True):
        with pytest.raises(ValueError, match="expected a whole number of pixels, at least 1"):
            sample_cells(wrong)
    with pytest.raises(
        ValueError, match=r"spread_cells\(2, 4\) was given an image of 5 x 5 pixels, which these blocks"
    ):
        spread_cells(2, 4)(record(), np.random.default_rng(0))
    for wrong in ((0, 2), (2, 1.5), (True, 1)):
        with pytest.raises(ValueError, match="expected whole numbers of pixels, at least 1"):
            spread_cells(*wrong)
