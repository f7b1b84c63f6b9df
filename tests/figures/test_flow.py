"""Flow in colours: the published wheel, one scale for all, and words for those who cannot see it."""

import numpy as np
import pytest

from perceiver_lab.figures.flow import colour_wheel, flow_grid, flow_to_rgb, wheel_rgb

RNG = np.random.default_rng(0)
FLOW = RNG.normal(size=(12, 16, 2))
FRAMES = RNG.integers(0, 256, (2, 12, 16, 3), dtype=np.uint8)


def test_the_wheel_is_the_published_one():
    """55 hues; the six corners lie 15, 6, 4, 11, 13 and 6 apart."""
    wheel = colour_wheel()
    assert wheel.shape == (55, 3)
    corners = {0: (1, 0, 0), 15: (1, 1, 0), 21: (0, 1, 0), 25: (0, 1, 1), 36: (0, 0, 1), 49: (1, 0, 1)}
    for place, colour in corners.items():
        assert wheel[place].tolist() == list(colour)
    assert wheel[5] == pytest.approx([1, 1 / 3, 0])
    assert wheel[54] == pytest.approx([1, 0, 1 / 6])


@pytest.mark.parametrize(
    ("vector", "place"),
    [((1, 0), 0.0), ((0, 1), 13.5), ((-1, 1e-12), 27.0), ((0, -1), 40.5)],
)
def test_hue_is_direction(vector, place):
    """Right is the wheel's first colour; then it turns clockwise on the screen, down first."""
    wheel = colour_wheel()
    lower = int(place)
    expected = (wheel[lower] + wheel[lower + 1]) / 2 if place % 1 else wheel[lower]
    found = flow_to_rgb(np.array([[vector]], float))[0, 0]
    np.testing.assert_allclose(found, 255 * expected, atol=1)


def test_length_is_saturation():
    flow = np.array([[[0, 0], [1, 0], [2, 0], [3, 0]]], float)
    assert flow_to_rgb(flow, longest=2).tolist() == [[[255] * 3, [255, 128, 128], [255, 0, 0], [191, 0, 0]]]
    assert flow_to_rgb(flow)[0, 3].tolist() == [255, 0, 0]
    assert (flow_to_rgb(np.zeros((2, 2, 2))) == 255).all()


def test_unknown_flow_is_black():
    flow = np.array([[[np.nan, 0], [1, 0]]])
    assert flow_to_rgb(flow)[0].tolist() == [[0, 0, 0], [255, 0, 0]]


def test_the_legend():
    wheel = wheel_rgb(51)
    assert wheel[25, 25].tolist() == [255] * 3
    assert wheel[25, 50].tolist() == flow_to_rgb(np.array([[[1.0, 0.0]]]))[0, 0].tolist()
    assert wheel[0, 0].tolist() == [255] * 3


def test_same_bytes_and_a_description():
    def make():
        return flow_grid({"ours": FLOW + 0.5, "zero": FLOW * 0}, frames=FRAMES, truth=FLOW)

    assert make().webp() == make().webp()
    longest = np.hypot(FLOW[..., 0], FLOW[..., 1]).max()
    assert f"full colour at {longest:.1f} pixels: frame 1, frame 2, true flow, ours 0.71 px off" in make().alt
    assert flow_grid({"ours": FLOW}).alt.endswith("pixels: ours.")
    assert flow_grid({"ours": FLOW}, alt="The shape moves left.").alt == "The shape moves left."


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: flow_to_rgb(np.zeros((2, 3, 3))), r"\(2, 3, 3\)"),
        (lambda: flow_to_rgb(FLOW, longest=0), "longest=0"),
        (lambda: wheel_rgb(3), "3 pixels"),
        (lambda: flow_grid({}), "at least one flow field"),
        (lambda: flow_grid({"a": FLOW, "b": FLOW[1:]}), "all of one shape"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
