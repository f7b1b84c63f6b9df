"""Battles: the rule, and that it needs what it is made to need."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab.datasets import battle, load, pad_units, turn_battle


def unit(ours, right, up, *, health=1.0, far=0, kind=0):
    row = np.zeros(9, np.float32)
    row[:5] = (1 if ours else -1, right, up, health, far)
    row[5 + kind] = 1
    return row


def drawn(seed, part="test"):
    return battle.battle(np.random.default_rng([5, seed]), part)


# Our squad of swords has its middle at (0, 0); their spears stand around (0.3, 0), their bows around (-0.5, 0).
FIELD = np.stack(
    [
        unit(True, -0.4, 0),
        unit(True, 0.4, 0),
        unit(True, 0, 0, far=1),
        unit(False, 0.2, 0, kind=1),
        unit(False, 0.4, 0, health=0.2, kind=1),
        unit(False, -0.4, 0, health=0.1, kind=2),
        unit(False, -0.6, 0, kind=2),
    ]
)


def test_the_rule_by_hand():
    np.testing.assert_array_equal(battle.targets(FIELD), [3, 4, 4, -1, -1, -1, -1])
    # Another comrade, far to the left, moves the middle of the squad: all turn to the bows.
    moved = np.concatenate([FIELD, unit(True, -0.9, 0)[None]])
    np.testing.assert_array_equal(battle.targets(moved), [5, 5, 5, -1, -1, -1, -1, 6])


def test_a_unit_that_stands_beside_an_enemy_may_have_to_go_elsewhere():
    """The first unit stands on one of their bows, and takes on a spear: it is the squad that counts."""
    assert np.hypot(*(FIELD[0, battle.PLACE] - FIELD[5, battle.PLACE])) < 1e-6
    assert battle.targets(FIELD)[0] == 3


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_order_means_nothing(seed, order):
    units = drawn(seed)
    shuffle = np.random.default_rng(order).permutation(len(units))
    target, shuffled = battle.targets(units), battle.targets(units[shuffle])
    places = np.append(np.argsort(shuffle), -1)  # where each unit went; -1 stays
    np.testing.assert_array_equal(shuffled, places[target][shuffle])


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_turned_battle_has_the_same_targets(seed, turn):
    units = drawn(seed)
    record = {"units": units, "target": battle.targets(units)}
    turned = turn_battle(record, np.random.default_rng(turn))
    np.testing.assert_array_equal(battle.targets(turned["units"]), record["target"])
    np.testing.assert_array_equal(turned["units"][:, [0, 3, 4]], units[:, [0, 3, 4]])
    np.testing.assert_array_equal(units, drawn(seed))  # what was given stays as it was


def test_turning_changes_places_and_kinds():
    units = drawn(0)
    turned = [turn_battle({"units": units}, np.random.default_rng(seed))["units"] for seed in range(40)]
    assert len({one[0, battle.PLACE].tobytes() for one in turned}) == 8
    ours, theirs = (np.flatnonzero(units[:, 0] == side)[0] for side in (1, -1))
    kinds = {(one[ours, battle.KIND].argmax(), one[theirs, battle.KIND].argmax()) for one in turned}
    assert len(kinds) > 10


def test_drawn_battles():
    sizes, shares = [], []
    for seed in range(150):
        units = drawn(seed)
        target, ours = battle.targets(units), units[:, 0] > 0
        sizes.append(len(units))
        shares.append(ours.mean())
        assert units.dtype == np.float32 and np.abs(units[:, battle.PLACE]).max() <= 1
        assert (target[ours] >= 0).all() and (target[~ours] == -1).all() and not ours[target[ours]].any()
        assert (units[:, battle.KIND].sum(axis=1) == 1).all()
        for side in (ours, ~ours):
            kinds = units[side][:, battle.KIND].argmax(axis=1)
            assert set(kinds) == {0, 1, 2, 3}
            wounded = units[side][:, battle.HEALTH] < 0.25
            assert sorted(kinds[wounded]) == [0, 1, 2, 3]  # one in each squad
    assert 16 <= min(sizes) < 32 and 256 < max(sizes) <= 512 and 0.3 < min(shares) and max(shares) < 0.7
    assert max(len(drawn(seed, "train")) for seed in range(60)) in range(100, 129)
    with pytest.raises(ValueError, match="part must be 'train' or 'test', got 'lab'"):
        drawn(0, "lab")


def test_no_decision_between_squads_is_a_close_one():
    """A tenth of the second distance is more than a small error in the middles could turn round."""
    for seed in range(60):
        units = drawn(seed)
        moved = units.copy()
        moved[:, battle.PLACE] += np.random.default_rng(seed).uniform(-0.02, 0.02, (1, 2)).astype(np.float32)
        ours = units[:, 0] > 0
        moved[ours] = units[ours]  # their army is shifted by 0.02: no squad of ours chooses another opponent
        kinds = units[:, battle.KIND].argmax(axis=1)
        before, after = battle.targets(units), battle.targets(moved)
        np.testing.assert_array_equal(kinds[before[ours]], kinds[after[ours]])


def test_padding():
    units = drawn(3)
    record = {"units": units, "target": battle.targets(units)}
    padded = pad_units(512)(record)
    count = len(units)
    assert padded["units"].shape == (512, 9) and padded["mask"].sum() == count and padded["mask"][:count].all()
    np.testing.assert_array_equal(padded["units"][:count], units)
    np.testing.assert_array_equal(padded["target"][:count], record["target"])
    assert (padded["target"][count:] == -1).all() and not padded["units"][count:].any()
    assert "target" not in pad_units(512)({"units": units})


def test_what_is_no_battle_is_refused():
    with pytest.raises(
        ValueError, match="This battle has 0 units; expected 1 to 16. A battle without units has nobody"
    ):
        pad_units(16)({"units": np.zeros((0, 9), np.float32)})
    with pytest.raises(ValueError, match="has 17 units; expected 1 to 16"):
        pad_units(16)({"units": np.zeros((17, 9), np.float32)})
    for length in (0, True, 2.0):
        with pytest.raises(ValueError, match="expected a whole number of units, at least 1"):
            pad_units(length)
    with pytest.raises(ValueError, match=r"rows of 9 numbers, ours, right, up.*shape \(3, 8\)"):
        battle.targets(np.zeros((3, 8), np.float32))
    with pytest.raises(ValueError, match="This battle has 3 units of ours and 0 of theirs; it takes at least one"):
        battle.targets(FIELD[:3])
    with pytest.raises(ValueError, match="0 units of ours and 0 of theirs"):
        turn_battle({"units": np.zeros((0, 9), np.float32)}, np.random.default_rng(0))


def test_records(prepared):
    train, test = (load("battles", part, data_dir=prepared) for part in ("train", "test"))
    assert (len(train), len(test)) == (8000, 1000)
    sizes = {"train": [len(train[index]["units"]) for index in range(300)]}
    sizes["test"] = [len(test[index]["units"]) for index in range(300)]
    assert min(sizes["train"]) < 20 and 110 < max(sizes["train"]) <= 128
    assert min(sizes["test"]) < 20 and 450 < max(sizes["test"]) <= 512
    for records in (train, test):
        for index in (0, 77):
            np.testing.assert_array_equal(battle.targets(records[index]["units"]), records[index]["target"])
    assert (train[0]["units"][:10] != test[0]["units"][:10]).any()
