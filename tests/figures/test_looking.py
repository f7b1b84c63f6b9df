"""Dots, answers all over the plane, scores as areas, prices as lines."""

import io

import numpy as np
import pytest
from PIL import Image

from perceiver_lab.figures import looking

PLACES = np.array([[0.0, 1.0], [1.0, -1.0]])
COLOURS = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
WEIGHTS = np.array([0.25, 0.75])
RAMP = np.linspace(0, 1, 300).reshape(10, 10, 3)

MAKERS = {
    "dots_reading": lambda: looking.dots_reading(PLACES, COLOURS, np.array([0.5, 0.0]), WEIGHTS),
    "answer_maps": lambda: looking.answer_maps(PLACES, COLOURS, {"cold": RAMP}, alt="Colours all over the plane."),
    "score_areas": lambda: looking.score_areas(1024, 64),
    "price_lines": lambda: looking.price_lines(
        [10, 100], {"square": [100, 10_000], "line": [10, np.nan]}, ylabel="scores", marks={"a page": 50},
        limit=("all there is", 5000), alt="Scores over inputs: the square rises twice as steeply.",
    ),
    "budget_bars": lambda: looking.budget_bars(
        {"small": {"flops": 2 * 10**9, "memory": 2**29, "parameters": 10**6},
         "large": {"flops": 10**15, "memory": 2**34, "parameters": 3 * 10**6}}, 64, memory=2**33,
    ),
}  # fmt: skip


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_same_bytes_and_a_description(make):
    assert make().webp() == make().webp()
    assert len(make().alt) > 25


def test_descriptions_say_what_is_to_be_seen():
    dots = MAKERS["dots_reading"]().alt
    assert "weights: B 75%, A 25%" in dots
    assert "red, green, blue = 0.25, 0.00, 0.75" in dots
    areas = MAKERS["score_areas"]().alt
    assert "a square of 1,024 by 1,024 scores" in areas
    assert "64 high, 16 times smaller" in areas
    budget = MAKERS["budget_bars"]().alt
    assert "of 64 inputs. small: FLOPs 2G, memory 0.5 GiB, parameters 1 M; large: FLOPs 1,000,000G" in budget
    assert budget.endswith("There is memory for 8 GiB.")


def test_a_smooth_picture_keeps_more_than_256_colours():
    def colours(made):
        return len(Image.open(io.BytesIO(made.webp())).convert("RGB").getcolors(2**24))

    made = MAKERS["answer_maps"]()
    assert made.smooth and colours(made) > 256
    made.smooth = False
    assert colours(made) <= 256


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: looking.dots_reading(PLACES, COLOURS[:1], PLACES[0], WEIGHTS), "2 places, 1 colours and 2 weights"),
        (lambda: looking.answer_maps(PLACES, COLOURS, {}, alt="nothing at all"), "no picture to draw"),
        (lambda: looking.budget_bars({}, 4, memory=1), "no price to show"),
        (lambda: looking.score_areas(10, 11), "num_latents=11 must be from 1 to num_inputs=10"),
        (
            lambda: looking.price_lines([1, 2], {"a": [1]}, ylabel="y", alt="a line too short"),
            r"each of the 2 sizes; got \{'a': 1\}",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
