"""Battles: two armies of units, and whom each unit of ours takes on. Synthetic: places, health and the rule are ours.

In StarCraft II, Perceiver IO took the place of a Transformer that encodes the units of a game (2107.14795, appendix B).
Records of that game are not here; these battles are made to need what an encoder of units is for. A unit is a row of
numbers, and what it does depends on units that it can only know from the others:

    A squad is all units of one side and of one kind. Each squad of ours fights the squad of theirs whose middle is
    nearest to its own middle. In that squad, a unit that strikes from near takes on the unit that is nearest to itself,
    and a unit that strikes from afar the one with the least health.

An army has up to four squads, a battle from 16 to 512 units, in any order.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int32

Record = dict[str, Any]
Transform = Callable[[Record, np.random.Generator], Record]

KINDS = ("swords", "spears", "bows", "riders")
FEATURES = ("ours", "right", "up", "health", "far", *KINDS)  # the columns of a unit
OURS, RIGHT, UP, HEALTH, FAR = range(5)
PLACE, KIND = slice(RIGHT, HEALTH), slice(FAR + 1, FAR + 1 + len(KINDS))

GRAIN = 4096  # places are whole multiples of 1 / GRAIN in [-1, 1]: whatever is computed of them is the same everywhere
FEWEST, DOUBLINGS = 16, {"train": 3, "test": 5}  # 16 to 128 units in training, 16 to 512 in the test
_CENTRE, _REACH = 1638, 2458  # of a squad: where its centre may lie, and how far from it its units stand, in grains
_CLEAR = 0.1  # the second nearest of their squads is farther away than the nearest by this much


def targets(units: Float[np.ndarray, "m 9"]) -> Int32[np.ndarray, " m"]:
    """The rule: which unit each unit of ours takes on, and -1 for theirs.

    Args:
      units: one row of `FEATURES` per unit: "ours" 1 or -1, the place in [-1, 1] to the right and up, "health" in
        (0, 1], "far" 1 where it strikes from afar, else 0, and its kind as one of four columns that is 1.

    Raises:
      ValueError: no units of ours or of theirs, or no rows of nine numbers.
    """
    ours = _ours(units)
    places, health = units[:, PLACE].astype(np.float64), units[:, HEALTH]
    our_kinds, their_kinds = (np.where(side[:, None], units[:, KIND], 0) > 0 for side in (ours, ~ours))
    distances = _distances(places, our_kinds, their_kinds)
    found = np.full(len(units), -1, np.int32)
    for kind in np.flatnonzero(our_kinds.any(axis=0)):
        squad, opponents = np.flatnonzero(our_kinds[:, kind]), np.flatnonzero(their_kinds[:, distances[kind].argmin()])
        weakest = np.full(len(squad), health[opponents].argmin())
        nearest = _squares(places[squad], places[opponents]).argmin(axis=1)
        found[squad] = opponents[np.where(units[squad, FAR] > 0, weakest, nearest)]
    return found


def battle(rng: np.random.Generator, part: str) -> Float32[np.ndarray, "m 9"]:
    """The units of one battle in random order.

    Every doubling of 16 is equally likely: to 128 units in training, to 512 in the test. Three to five of eight units
    are ours. Squads stand anywhere, their units around them; each has one unit with less than a quarter of its health.
    No decision is a close one between squads: the second nearest is farther away by a twentieth of the field's side.

    Args:
      rng: the only source of chance. Give each example its own: `np.random.default_rng([seed, stream, index])`.
      part: "train" or "test".

    Raises:
      ValueError: another part.
    """
    if part not in DOUBLINGS:
        raise ValueError(f"part must be 'train' or 'test', got {part!r}.")
    least = FEWEST * 2 ** int(rng.integers(DOUBLINGS[part]))
    count = int(rng.integers(least, 2 * least + 1))
    our_count = int(rng.integers(3 * count // 8, 5 * count // 8 + 1))
    units = np.concatenate([_army(our_count, 1, rng), _army(count - our_count, -1, rng)])
    while True:
        units[:our_count, PLACE], units[our_count:, PLACE] = (
            _places(part[:, KIND], rng) for part in (units[:our_count], units[our_count:])
        )
        if _is_clear(units):
            return units[rng.permutation(count)]


def pad_units(length: int) -> Transform:
    """Fill "units" and "target" up to `length` rows, with zeros and -1, and add "mask": True where there is a unit.

    Raises:
      ValueError: no length; from the transform, no units, or more than `length`.
    """
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        raise ValueError(f"pad_units({length!r}): expected a whole number of units, at least 1.")

    def pad(record, rng=None):
        count = len(record["units"])
        if not 1 <= count <= length:
            raise ValueError(
                f"This battle has {count} units; expected 1 to {length}. A battle without units has nobody to ask; "
                "for larger ones pad to a greater length: the models read any number."
            )
        padded = {**record, "mask": np.arange(length) < count}
        padded["units"] = np.pad(record["units"], ((0, length - count), (0, 0)))
        if "target" in record:
            padded["target"] = np.pad(record["target"], (0, length - count), constant_values=-1)
        return padded

    return pad


def turn_battle(record: Record, rng: np.random.Generator) -> Record:
    """Turn the field by right angles, mirror it or not, and exchange the kinds within each army: the rule stays.

    No unit changes its row, so that "target" stays as well.
    """
    units = np.array(record["units"])
    ours = _ours(units)
    if rng.integers(2):
        units[:, PLACE] = units[:, PLACE][:, ::-1]
    units[:, PLACE] *= rng.choice(np.array([-1, 1], units.dtype), 2)
    for side in (ours, ~ours):
        units[side, KIND] = units[side, KIND][:, rng.permutation(len(KINDS))]
    return {**record, "units": units}


def _ours(units) -> Bool[np.ndarray, " m"]:
    """Which units are ours."""
    if units.ndim != 2 or units.shape[1] != len(FEATURES):
        raise ValueError(
            f"Units are rows of {len(FEATURES)} numbers, {', '.join(FEATURES)}; got an array of shape {units.shape}."
        )
    ours = units[:, OURS] > 0
    if ours.all() or not ours.any():
        raise ValueError(
            f"This battle has {ours.sum()} units of ours and {(~ours).sum()} of theirs; it takes at least one of each."
        )
    return ours


def _distances(places, our_kinds, their_kinds):
    """How far the middle of each squad of ours is from that of each of theirs; infinity where there is none (4, 4).

    Sums of places are exact, so that the order of the units does not matter to the last bit.
    """
    middles, there = [], []
    for kinds in (our_kinds, their_kinds):
        count = kinds.sum(axis=0)
        middles.append(kinds.T.astype(np.float64) @ places / np.maximum(count, 1)[:, None])
        there.append(count > 0)
    apart = np.sqrt(_squares(*middles))
    return np.where(there[0][:, None] & there[1][None], apart, np.inf)


def _squares(places, others):
    """Squared distances of all pairs."""
    return ((places[:, None] - others[None]) ** 2).sum(axis=-1)


def _army(count, side, rng):
    """Units of one side without their places; every kind is there."""
    kinds = np.concatenate([np.arange(len(KINDS)), rng.integers(len(KINDS), size=count - len(KINDS))])
    units = np.zeros((count, len(FEATURES)), np.float32)
    units[:, OURS] = side
    units[:, HEALTH] = rng.integers(40, 101, count) / 100
    for kind in range(len(KINDS)):
        wounded = rng.choice(np.flatnonzero(kinds == kind))
        units[wounded, HEALTH] = rng.integers(5, 25) / 100
    units[:, FAR] = rng.integers(2, size=count)
    units[np.arange(count), KIND.start + kinds] = 1
    return units


def _places(kinds, rng):
    """Places of the units of one side, whose kinds are given as columns: each squad around a centre of its own."""
    centres = rng.integers(-_CENTRE, _CENTRE + 1, (len(KINDS), 2))
    return (centres[kinds.argmax(axis=1)] + rng.integers(-_REACH, _REACH + 1, (len(kinds), 2))) / GRAIN


def _is_clear(units):
    """Whether no squad of ours is nearly as far from a second squad, and no unit exactly as far from a second unit."""
    ours, places = _ours(units), units[:, PLACE].astype(np.float64)
    our_kinds, their_kinds = (np.where(side[:, None], units[:, KIND], 0) > 0 for side in (ours, ~ours))
    distances = _distances(places, our_kinds, their_kinds)
    first, second = np.sort(distances, axis=1)[:, :2].T
    if (second - first < _CLEAR).any():
        return False
    for kind, opposed in enumerate(distances.argmin(axis=1)):
        apart = np.sort(_squares(places[our_kinds[:, kind]], places[their_kinds[:, opposed]]), axis=1)
        if (apart[:, :1] == apart[:, 1:2]).any():
            return False
    return True
