"""The unshuffler's Python side: snapshots, the first frame, what does not fit."""

import numpy as np
import pytest

from perceiver_lab.explorers import Unshuffler
from perceiver_lab.introspect import upright

from .unshufflers import PERMUTATION, SIDE, STEPS, make_unshuffler


def test_snapshots_hold_what_the_tables_know():
    explorer = make_unshuffler()
    shots = explorer.facts["runs"]["photos"]
    assert [shot["step"] for shot in shots] == list(STEPS)
    precisions = [shot["precision"] for shot in shots]
    assert max(precisions[:2]) < precisions[2] < precisions[3] == 1 and precisions[0] < 0.35
    found, _ = upright(np.array(shots[-1]["cells"]), PERMUTATION, SIDE)
    np.testing.assert_array_equal(found, PERMUTATION)
    for shot in shots:
        assert sorted(shot["cells"]) == list(range(SIDE**2)) and np.shape(shot["points"]) == (SIDE**2, 2)
    before, after = (np.array(shots[number]["points"]) for number in (2, 3))
    assert ((before - after) ** 2).mean() < ((before - after[:, ::-1]) ** 2).mean()  # it moves, and does not jump
    assert len(explorer.facts["pairs"]) == 2 * SIDE * (SIDE - 1)
    colours = np.frombuffer(bytes.fromhex(explorer.facts["pictures"][1]), np.uint8).reshape(-1, 3)
    ramp = np.linspace(0, 255, SIDE).astype(np.uint8)
    np.testing.assert_array_equal(colours[:, 0], ramp[SIDE - 1 - PERMUTATION // SIDE])  # the second is upside down


def test_the_run_that_is_shown():
    explorer = make_unshuffler(place=3)
    assert explorer.run == "photos" and explorer.snapshot()["precision"] == 1
    explorer.run = "white noise"
    assert explorer.snapshot()["precision"] < 0.5 and explorer.snapshot(0)["step"] == 0


def test_the_first_frame_tells_where_it_ends():
    explorer = make_unshuffler()
    first = explorer.snapshot(0)["precision"]
    alt = explorer.first_frame().alt
    assert f"trained on photos: at step 0 learned positions are a cloud in which {first:.0%}" in alt
    assert "at step 400 100%; by chance it is 13%" in alt
    assert repr(explorer) == "Unshuffler(2 pictures of 5 x 5, photos: 4 snapshots, white noise: 4 snapshots)"


@pytest.mark.parametrize(
    ("trait", "value"), [("run", "sand"), ("place", 4), ("picture", 2), ("turns", 4), ("marked", 25)]
)
def test_state_that_does_not_exist(trait, value):
    with pytest.raises(ValueError, match=f"{trait}={value!r} does not exist here; it may be one of"):
        make_unshuffler(**{trait: value})


@pytest.mark.parametrize(
    ("runs", "shape"),
    [({}, (1, 5, 5, 3)), ({"a": {}}, (1, 5, 5, 3)), ({"a": {0: np.zeros((24, 4))}}, (1, 5, 5, 3)),
     ({"a": {0: np.zeros((25, 4))}}, (1, 5, 4, 3))],
)  # fmt: skip
def test_runs_and_pictures_that_do_not_fit(unchecked, runs, shape):
    with pytest.raises(ValueError, match="give at least one run with a table"):
        Unshuffler(runs, np.zeros(shape, np.uint8), PERMUTATION)
