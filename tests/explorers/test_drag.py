"""Drag a query: its state in Python."""

import numpy as np
import pytest

from perceiver_lab.explorers import DragQuery

from .dots import COLOURS, PLACES, make_dots


def test_weights_are_the_softmax_of_the_scores():
    found = make_dots(temperature=0.5).weights()
    powers = np.exp(PLACES @ [1.2, 0.6] / 0.5)
    np.testing.assert_allclose(found, powers / powers.sum(), rtol=1e-12)
    assert found.argmax() == 2


def test_lifted_the_nearest_dot_gets_most():
    for place in PLACES:
        assert PLACES[make_dots(query=place, lifted=True).weights().argmax()].tolist() == place.tolist()
    assert make_dots(query=PLACES[3]).weights().argmax() != 3


def test_state_and_first_frame():
    dots = make_dots()
    assert dots.state()["query"] == [1.2, 0.6]
    assert dots.state()["kept"] == []
    assert "weights: C 48%, B 25%, E 13%, D 10%, A 3%, F 2%" in dots.first_frame().alt
    assert repr(make_dots(lifted=True)) == "DragQuery(6 dots, query=(1.2, 0.6), temperature=1, lifted)"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((PLACES[:1], COLOURS[:1]), {}, "2 to 26 dots"),
        ((PLACES[:, :1], COLOURS), {}, r"places must be \(m, 2\)"),
        ((3 * PLACES, COLOURS), {}, "outside the plane, which goes from -2 to 2"),
        ((PLACES, 255 * COLOURS), {}, "Divide bytes by 255"),
        ((PLACES, COLOURS), {"query": (0.0, 3.0)}, r"query=\[0.0, 3.0\] must be two numbers from -2 to 2"),
        ((PLACES, COLOURS), {"temperature": 0.0}, "temperature=0 is out of range"),
    ],
)
def test_what_cannot_be_shown_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        DragQuery(*arguments, **options)
