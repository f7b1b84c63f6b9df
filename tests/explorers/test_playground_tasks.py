"""Kinds of answers: how rows become values, words and colours."""

import numpy as np
import pytest

from perceiver_lab.explorers import Task
from perceiver_lab.explorers.playground_tasks import hexadecimal, palette
from perceiver_lab.figures import COLOURS

LOGITS = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]))
ANIMALS = Task(name="animal", kind="classes", classes=["ant", "bee", "cat"])


def test_classes():
    values = ANIMALS.values(LOGITS)
    assert np.allclose(values, np.exp(LOGITS))
    assert [ANIMALS.say(value) for value in values] == ["ant", "cat"]
    assert ANIMALS.sure(values[1]) == pytest.approx(0.8)
    assert ANIMALS.bars(values[0], None)[0] == ["ant", pytest.approx(0.7), None, None]
    even, certain = ANIMALS.colours(np.array([[1 / 3] * 3, [0, 1, 0]]))
    assert even.tolist() == [140, 140, 140]
    assert hexadecimal(certain[None]) == [COLOURS[1]]


def test_probability():
    task = Task(name="mask", kind="probability")
    values = task.values(np.log([[3.0], [1 / 4]]))
    assert np.allclose(values, [[0.25, 0.75], [0.8, 0.2]])
    assert [task.say(value) for value in values] == ["yes", "no"]
    assert [task.sure(value) for value in values] == pytest.approx([0.75, 0.8])
    low, high = task.colours(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert high.sum() > low.sum() + 300


def test_colour():
    task = Task(name="colour", kind="colour")
    values = task.values(np.array([[-1.0, 0.0, 3.0]]))
    assert task.say(values[0]) == "rgb 0, 128, 255"
    assert task.sure(values[0]) is None
    assert task.colours(values).tolist() == [[0, 128, 255]]
    assert task.bars(values[0], values[0])[2] == ["blue", 1.0, "255", 1.0]
    assert task.colours(task.values(np.array([[0.0]]))).tolist() == [[128, 128, 128]]


def test_flow():
    task = Task(name="flow", kind="flow")
    assert task.say(np.array([1.26, -3.0])) == "1.3 px right, 3.0 px up"
    assert task.bars(np.array([1.0, 2.0]), None) == []
    still, right, half = task.colours(np.array([[0, 0], [2, 0], [1, 0]], np.float64), 2.0)
    assert still.tolist() == [255, 255, 255]
    assert right[0] == half[0] == 255
    assert right[1] < half[1] < 255


def test_read_makes_rows_fit():
    task = Task(name="flow", kind="flow", read=lambda rows: rows[:, :2] / 10)
    assert task.values(np.array([[10.0, 20.0, 7.0]])).tolist() == [[1, 2]]


def test_many_classes_have_colours_of_their_own():
    assert len(np.unique(palette(20).round(3), axis=0)) == 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "sound"}, "kind='sound'; choose one of classes"),
        ({"kind": "classes"}, "at least two names"),
        ({"kind": "probability", "classes": "abc"}, "a probability two"),
        ({"kind": "colour", "classes": "ab"}, "colour and flow none"),
        ({"kind": "flow", "at_point": False}, "leave at_point=True"),
    ],
)
def test_tasks_that_do_not_fit_their_kind(change, message):
    with pytest.raises(ValueError, match=message):
        Task(**{"name": "x", **change})


@pytest.mark.parametrize("rows", [np.zeros((2, 4)), np.zeros(3)])
def test_rows_of_another_width(unchecked, rows):
    with pytest.raises(ValueError, match=r"must be \(O, K\) with K = 3"):
        ANIMALS.values(rows)
