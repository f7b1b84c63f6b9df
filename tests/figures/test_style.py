"""The helper behind all figures: alt text, determinism, how a notebook shows them."""

import base64
import io
import re

import matplotlib
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image
from traitlets.config import Config

from perceiver_lab.figures import COLOURS, MARKERS, figure, series, signed_limits

ALT = "A line that rises from 0 to 1."


def line():
    made, axes = figure(alt=ALT)
    axes[0, 0].plot([0, 1], [0, 1])
    return made


@pytest.mark.parametrize("alt", ["", "  ", "figure", None])
def test_alt_text_is_demanded(alt):
    with pytest.raises(ValueError, match="does not describe the figure"):
        figure(alt=alt)


def test_alt_text_cannot_be_left_out():
    with pytest.raises(TypeError, match="alt"):
        figure(1, 1)


def test_a_grid_needs_axes():
    with pytest.raises(ValueError, match="0 x 2"):
        figure(0, 2, alt=ALT)


def test_axes_have_the_shape_that_was_asked_for():
    assert figure(2, 3, alt=ALT)[1].shape == (2, 3)
    assert figure(alt=ALT)[1].shape == (1, 1)


def test_same_bytes_each_time_and_under_other_settings():
    first = line()
    assert first.webp() == first.webp() == line().webp()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "pink", "savefig.dpi": 30}):
        assert line().webp() == first.webp()


def test_background_is_opaque_white():
    corner = Image.open(io.BytesIO(line().webp())).convert("RGBA").getpixel((0, 0))
    assert corner == (255, 255, 255, 255)


def test_html_is_one_line_with_escaped_alt():
    made, _ = figure(alt='Loss < 1,\n "small" & falling')
    html = made.html()
    assert "\n" not in html
    assert 'alt="Loss &lt; 1, &quot;small&quot; &amp; falling"' in html
    data = re.search(r"base64,([^\"]+)", html).group(1)
    assert base64.b64decode(data) == made.webp()


def test_a_notebook_shows_it_once_with_alt_text(monkeypatch):
    published = []
    # Without a history: its database would stay open behind the test.
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    monkeypatch.setattr(shell.display_pub, "publish", lambda data, **_: published.append(data))
    try:
        data, _ = shell.display_formatter.format(line())
    finally:
        InteractiveShell.clear_instance()
    assert data == {}
    [shown] = published
    assert set(shown) == {"text/html", "text/plain"}
    assert shown["text/plain"] == ALT
    assert repr(line()) == ALT


def test_lines_differ_in_more_than_colour():
    looks = [series(number, points=100) for number in range(len(COLOURS))]
    assert len({look["marker"] for look in looks}) == len(MARKERS)
    assert len({str(look["linestyle"]) for look in looks}) == len(looks)


def test_signed_limits_are_symmetric():
    limits = signed_limits(np.array([-3.0, 1.0]))
    assert (limits["vmin"], limits["vmax"]) == (-3, 3)
    assert signed_limits(np.zeros(2))["vmax"] == 1
