"""What all explorers share: the stored first frame, questions, saved pages."""

import json
import re

import numpy as np
import pytest

from perceiver_lab.explorers import BudgetPlanner, FourierBandwidth, ShapeTracer
from perceiver_lab.explorers.base import EXPORT_LINE, STATIC, key_of, quantise

from .dots import make_dots
from .rulers import make_ruler

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def all_explorers(attention, shuffle, flow_playground, painter, mixer):
    small = [ShapeTracer(), FourierBandwidth(signal=np.sin(np.arange(40))), make_dots(), BudgetPlanner(), make_ruler()]
    return [attention, shuffle, flow_playground, painter, mixer, *small]


def test_a_notebook_stores_a_described_first_frame_on_one_line(all_explorers):
    for explorer in all_explorers:
        data, _ = explorer._repr_mimebundle_()
        assert set(data) == {VIEW, "text/html", "text/plain"}
        assert re.fullmatch(r'<img alt="[^"]{20,}" [^\n]*>', data["text/html"])
        assert data["text/plain"] == repr(explorer)
        assert explorer._ipython_display_ is None


def test_texts_are_the_same_in_every_run(all_explorers):
    for explorer in all_explorers:
        assert re.fullmatch(rf"{type(explorer).__name__}\([^\n]*\)", repr(explorer))
        assert "0x" not in repr(explorer)


def test_front_ends_are_modules_without_imports(all_explorers):
    for explorer in all_explorers:
        assert explorer._esm.count(EXPORT_LINE) == 1
        assert not re.search(r"^\s*import\b|https?://(?!www\.w3\.org/2000/svg)", explorer._esm + explorer._css, re.M)


def test_own_style_sheets_touch_no_other_explorer():
    sheets = [sheet for sheet in STATIC.glob("*.css") if sheet.stem != "base"]
    assert len(sheets) >= 6
    for sheet in sheets:
        for line in sheet.read_text().splitlines():
            assert all(part.strip().startswith(f".pl-{sheet.stem} ") for part in line.split("{")[0].split(","))


def test_pages_are_whole(all_explorers, tmp_path):
    for explorer in all_explorers:
        path = explorer.export_html(tmp_path / "page.html")
        text = path.read_text("utf-8")
        assert "{{" not in text.split("<script")[0]
        assert not re.search(r'(src|href)="(?!data:)', text)
        stored = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))
        assert "first_answers" not in stored["state"]
        assert set(stored) == {"state", "answers"}


def test_a_page_needs_a_folder(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        ShapeTracer().export_html(tmp_path / "nowhere" / "page.html")


def test_an_unknown_question_is_answered_with_an_error(attention, monkeypatch):
    sent = []
    monkeypatch.setattr(attention, "send", lambda content, buffers=None: sent.append(content))
    with pytest.raises(ValueError, match="no answer to 'colour'"):
        attention._receive(attention, {"id": "1", "ask": {"what": "colour"}}, [])
    assert sent == [{"id": "1", "error": "ValueError: Attention explorer has no answer to 'colour'."}]


def test_other_messages_are_left_alone(attention, monkeypatch):
    monkeypatch.setattr(attention, "send", lambda *_: pytest.fail("answered"))
    attention._receive(attention, {"event": "click"}, [])
    attention._receive(attention, "text", [])


def test_first_answers_come_along(attention, shuffle):
    keys = [json.loads(key)["what"] for key, _, _ in attention.first_answers]
    assert keys == ["picture", "predict", "sheet"]
    assert [json.loads(key)["what"] for key, _, _ in shuffle.first_answers] == ["shuffle"]


def test_key_is_independent_of_order():
    assert key_of({"b": [1, 2], "a": "é"}) == key_of({"a": "é", "b": [1, 2]}) == '{"a":"é","b":[1,2]}'


def test_quantise():
    tiles, peaks = quantise(np.array([[0.0, 0.5, 1.0], [0.0, 0.0, 0.0], [0.1, 0.2, 0.05]]))
    assert tiles.tolist() == [[0, 128, 255], [0, 0, 0], [128, 255, 64]]
    assert np.allclose(peaks, [1, 0, 0.2])
