"""The shuffle dial's Python side."""

import numpy as np
import pytest

from perceiver_lab.explorers import ShuffleDial
from perceiver_lab.explorers.base import key_of

from .conftest import CLASSES, in_order


def test_strength_is_the_share_of_pixels_that_move(shuffle):
    for strength in (0, 25, 50, 100):
        permutation = shuffle.permutation(strength)
        assert sorted(permutation) == list(range(16))
        assert (permutation != np.arange(16)).sum() == round(16 * strength / 100)


def test_pixels_and_positions_move_together(shuffle):
    seen = {}

    def watch(images, positions):
        seen["images"], seen["positions"] = images, positions
        return in_order(images, positions)

    grid = np.arange(16).reshape(1, 4, 4, 1)
    dial = ShuffleDial(grid, [0], {"watch": watch})
    dial.results(80, True, 0)
    rows, columns = np.rint((seen["positions"][0] + 1) * 1.5).astype(int).T
    assert np.array_equal(seen["images"].ravel(), rows * 4 + columns)
    dial.results(80, False, 0)
    assert seen["positions"] is None


def test_a_model_that_is_told_positions_does_not_notice(shuffle):
    told, ordered = shuffle.results(100, True, 0)
    assert (told["name"], told["right"], told["moved"]) == ("Perceiver", 12, 0)
    assert ordered["right"] < 12
    assert ordered["moved"] > 1
    assert shuffle.results(100, False, 0)[0]["moved"] == ordered["moved"]


def test_the_answer_has_both_pictures_and_all_models(shuffle, ask):
    reply, pictures = ask(shuffle, {"what": "shuffle", "strength": 40, "along": False, "example": 2})
    assert [model["name"] for model in reply["models"]] == ["Perceiver", "ConvNet"]
    assert all(len(model["probabilities"]) == CLASSES for model in reply["models"])
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)


def test_a_page_has_the_dial_in_steps_of_ten(shuffle):
    shuffle.strength = 33
    state, answers = shuffle.export()
    assert (state["strength"], state["facts"]["step"]) == (30, 10)
    kept = {key_of(ask) for ask, _ in answers}
    assert len(kept) == 3 * 11 * 2
    assert key_of({"what": "shuffle", "strength": 30, "along": True, "example": 2}) in kept


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((2, 4, 4))}, r"\(B, H, W, channels\)"),
        ({"labels": [0]}, "one label each"),
        ({"predict": {}}, "no model to ask"),
        ({"predict": {"flat": lambda images, positions: np.zeros(3)}}, "'flat' must give logits"),
        ({"class_names": ["a", "b"]}, "2 class names do not fit"),
        ({"labels": [0, 7]}, "do not fit"),
    ],
)
def test_arguments_that_do_not_fit(unchecked, change, message):
    arguments = {"images": np.zeros((2, 4, 4, 1)), "labels": [0, 1], "predict": {"a": in_order}, **change}
    with pytest.raises(ValueError, match=message):
        ShuffleDial(**arguments)


@pytest.mark.parametrize(("trait", "value"), [("example", 3), ("strength", 101), ("strength", -1)])
def test_state_that_does_not_exist(shuffle, trait, value):
    with pytest.raises(ValueError, match=f"{trait}={value} is out of range"):
        setattr(shuffle, trait, value)
