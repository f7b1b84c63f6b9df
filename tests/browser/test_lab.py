"""Lesson 01 as a learner meets it: JupyterLab in Chromium, every cell run, the explorers alive."""

import pytest
from axe_playwright_python.sync_playwright import Axe

import lab_server

EXPLORER = ".jp-OutputArea .pl"

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def lesson(open_lesson):
    return open_lesson("01")


def test_every_cell_runs_without_an_error(lesson):
    assert lab_server.error_texts(lesson.page) == []
    prompts = lesson.page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
    assert prompts == [f"[{number}]:" for number in range(1, len(prompts) + 1)]


def test_explorers_are_drawn(lesson):
    explorers = lesson.page.locator(EXPLORER)
    explorers.first.wait_for()
    for number in range(explorers.count()):
        box = explorers.nth(number).bounding_box()
        assert box["width"] > 300
        assert box["height"] > 150


def test_an_explorer_answers_the_keyboard(lesson):
    explorer = lesson.page.locator(EXPLORER).first
    slider = explorer.locator("input[type=range]").first
    slider.scroll_into_view_if_needed()
    before = slider.input_value(), explorer.locator("[role=status]").first.inner_text()
    slider.focus()
    slider.press("ArrowRight")
    assert slider.input_value() != before[0]
    status = explorer.locator("[role=status]").first
    lesson.page.wait_for_function(
        "([e, old]) => e.textContent && e.textContent !== old", arg=[status.element_handle(), before[1]]
    )


def test_explorers_have_no_accessibility_violations(lesson):
    found = Axe().run(lesson.page, context=EXPLORER).response["violations"]
    assert [(one["id"], one["help"], [node["html"][:200] for node in one["nodes"]]) for one in found] == []


def test_pictures_have_alt_text_in_the_page(lesson):
    pictures = lesson.page.locator(".jp-OutputArea img")
    assert pictures.count() > 0
    for number in range(pictures.count()):
        assert (pictures.nth(number).get_attribute("alt") or "").strip()


def test_the_page_is_quiet_and_asks_no_other_host(lesson):
    assert lesson.errors == []
    assert lesson.foreign_requests == []
