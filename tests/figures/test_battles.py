"""Battles as pictures: a line from each of ours to whom it takes on, and wrong ones look different."""

import numpy as np
import pytest

from perceiver_lab import figures
from perceiver_lab.figures import battles

PLACES = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
OURS = np.array([True, True, False, False])
KINDS = np.array([0, 1, 0, 1])
RIGHT = np.array([2, 3, -1, -1])


def test_lines_go_to_whom_they_take_on_and_wrong_ones_are_dashed():
    wrong = np.array([2, 2, 0, 0])
    made = figures.battle(PLACES, OURS, KINDS, {"rule": RIGHT, "other": wrong}, RIGHT)
    assert made.alt == "A battle of 4 units, 2 of them ours. Of their choices are right: rule 2, other 1."
    lines = [[(*line.get_xydata().ravel(), line.get_linestyle()) for line in ax.lines] for ax in made.axes]
    assert lines[0] == [(0, 0, 0, 1, "-"), (1, 0, 1, 1, "-")]
    assert lines[1] == [(0, 0, 0, 1, "-"), (1, 0, 0, 1, "--")]
    assert [line.get_color() for line in made.axes[1].lines] == [battles._OURS, battles._WRONG]
    assert [ax.get_title() for ax in made.axes] == ["rule: 2 of 2", "other: 1 of 2"]


def test_every_unit_is_drawn_once_with_the_mark_of_its_kind():
    made = figures.battle(PLACES, OURS, KINDS, {"rule": RIGHT}, RIGHT)
    drawn = np.concatenate([np.asarray(dots.get_offsets()) for dots in made.axes[0].collections])
    assert sorted(map(tuple, drawn)) == sorted(map(tuple, PLACES))


def test_somebody_must_choose():
    with pytest.raises(ValueError, match="Give at least one title"):
        figures.battle(PLACES, OURS, KINDS, {}, RIGHT)
