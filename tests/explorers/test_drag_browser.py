"""The page of drag a query in Chromium: pointer, keys, finding out, in both themes and without a network."""

import pytest
from playwright.sync_api import expect

from perceiver_lab.explorers import DragQuery

from .dots import COLOURS, PLACES, make_dots
from .pages import painted, says, violations

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def shares(dots):
    """The read-out's weights, as a pattern."""
    numbers = [100 * weight for weight in dots.weights()]
    texts = [f"{n:.0f}" if n >= 9.95 else f"{n:.1f}" if n >= 0.095 else f"{n:.0g}" for n in numbers]
    return ", ".join(rf"{letter} {text}\s%" for letter, text in zip("ABCDEF", texts, strict=True))


def test_keys_move_the_query_and_everything_follows(open_page):
    page = open_page(make_dots())
    plane = page.locator("canvas")
    says(
        page,
        rf"^Query at \(1\.20, 0\.60\), temperature 1\.00\. C gets most: {shares(make_dots())}\. Blend: red 0\.36",
    )
    plane.focus()
    plane.press("ArrowLeft")
    plane.press("Shift+ArrowDown")
    says(page, rf"^Query at \(1\.10, 0\.10\).* C gets most: {shares(make_dots(query=(1.1, 0.1)))}\.")
    plane.press("f")
    says(page, r"^Query at \(−0\.30, −0\.90\).* F gets most")
    heat = page.get_by_role("slider", name="Temperature")
    heat.focus()
    for _ in range(4):
        heat.press("ArrowRight")
    says(page, rf"temperature 2\.00\. F gets most: {shares(make_dots(query=PLACES[5], temperature=2.0))}\.")
    heat.press("Home")
    says(page, r"temperature 0\.022\. F gets most: .*F 100\s%")
    page.get_by_label("Paint what is read").press(" ")
    assert painted(plane) > 200
    assert violations(page) == []


def test_the_pointer_drags_and_snaps_to_what_it_means(open_page):
    page = open_page(make_dots())
    plane = page.locator("canvas")
    box = plane.bounding_box()

    def spot(x, y):
        return box["x"] + box["width"] * (x + 2) / 4, box["y"] + box["height"] * (2 - y) / 4

    page.mouse.move(*spot(-1.5, -1.5))
    page.mouse.down()
    page.mouse.move(*spot(0.0, 1.0), steps=4)
    says(page, r"^Query at \(−?0\.0\d, 1\.0\d|^Query at \(−?0\.0\d, 0\.99")
    page.mouse.move(*spot(0.42, 0.21), steps=4)
    says(page, r"^Query at \(0\.40, 0\.20\).* C gets most")
    page.mouse.move(*spot(0.02, -0.02), steps=2)
    says(page, r"^Query at \(0\.00, 0\.00\).* All get the same: A 17")
    page.mouse.up()
    page.mouse.move(*spot(1.0, 1.0))
    says(page, r"^Query at \(0\.00, 0\.00\)")


def test_what_there_is_to_find_out(open_page):
    page = open_page(make_dots())
    plane, done = page.locator("canvas"), page.locator(".pl-done")
    expect(done).to_have_count(0)
    plane.focus()
    plane.press("Home")
    says(page, r"Found out: Where are all weights equal.*every score is zero\.$")
    plane.press("d")
    says(page, "C gets most")
    page.get_by_role("button", name="Keep these weights").click()
    expect(page.get_by_text("Kept, as marks: query (0.40, 0.20), temperature 1.00.")).to_be_visible()
    plane.focus()
    for key in ("ArrowRight",) * 4 + ("ArrowUp",) * 2:
        plane.press(key)
    heat = page.get_by_role("slider", name="Temperature")
    heat.focus()
    for _ in range(4):
        heat.press("ArrowRight")
    says(page, r"2\.0 times as far out, 2\.0 times as hot: only the ratio counts\.$")
    plane.focus()
    plane.press("D")
    expect(done).to_have_count(2)
    page.get_by_label("Scores").select_option("1")
    share = 100 * make_dots(query=PLACES[3], temperature=2.0, lifted=True).weights()[3]
    says(page, rf"With dot products never, wherever the query stands; .* gets {share:.0f}\s% here, the most\.$")
    expect(done).to_have_count(3)
    assert violations(page) == []


def test_dots_that_can_all_be_found_leave_one_question_less(open_page):
    page = open_page(DragQuery(PLACES[[0, 1, 2]], COLOURS[:3]))
    says(page, "All get the same")
    expect(page.locator(".pl-finds li")).to_have_count(2)
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
