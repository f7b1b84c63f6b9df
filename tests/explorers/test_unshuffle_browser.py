"""The unshuffler's page in Chromium: what it says is what Python counts, in both themes and without a network."""

import numpy as np
import pytest
from playwright.sync_api import expect

from perceiver_lab.introspect import turn_cells, upright

from .pages import painted, says, violations
from .unshufflers import PERMUTATION, SIDE, make_unshuffler

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_scrub_turn_and_find_out(open_page):
    explorer = make_unshuffler()
    shots = explorer.facts["runs"]["photos"]
    page = open_page(explorer)
    says(page, rf"^photos, step 0: {100 * shots[0]['precision']:.0f}\s% of the nearest positions are neighbours")
    done = page.locator(".pl-done")
    slider = page.get_by_label("Training step")
    slider.focus()
    slider.press("End")
    says(page, r"^photos, step 400: 100\s%.*From which step on are three in ten .* photos: from step \d+ on")
    cells = np.array(shots[-1]["cells"])
    _, (turns, mirrored) = upright(cells, PERMUTATION, SIDE)
    if mirrored:
        page.get_by_role("button", name="Mirror left to right").click()
    for _ in range(turns):
        page.get_by_role("button", name="Turn a quarter to the left").click()
    says(page, rf"{SIDE**2} of {SIDE**2} cells lie where they belong\..*in no other way more than \d+\.")
    page.get_by_role("button", name="Turn a quarter to the left").click()
    right = int((turn_cells(cells, SIDE, turns=(turns + 1) % 4, mirror=mirrored) == PERMUTATION).sum())
    says(page, rf"{right} of {SIDE**2} cells lie where they belong\.")
    page.get_by_role("button", name="Mirror left to right").click()
    turned = turn_cells(turn_cells(cells, SIDE, turns=(turns + 1) % 4, mirror=mirrored), SIDE, turns=0, mirror=True)
    says(page, rf"{int((turned == PERMUTATION).sum())} of {SIDE**2} cells lie where they belong\.")
    expect(done).to_have_count(2)
    page.get_by_label("Trained on").select_option("white noise")
    last = explorer.facts["runs"]["white noise"][-1]["precision"]
    says(page, rf"^white noise, step 400: {100 * last:.0f}\s%")
    assert violations(page) == []


def test_a_cell_is_followed_by_keys(open_page):
    page = open_page(make_unshuffler(place=3))
    boards = [page.locator("canvas").nth(number) for number in range(3)]
    assert all(painted(board) > SIDE for board in boards)
    picture = page.locator("canvas[tabindex]")
    before = boards[0].evaluate("c => c.toDataURL()")
    picture.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        picture.press(key)
    cells = make_unshuffler().facts["runs"]["photos"][-1]["cells"]
    element = cells.index(SIDE + 1)
    row, column = divmod(int(PERMUTATION[element]), SIDE)
    says(page, rf"At row 2, column 2 lies element {element}; it belongs to row {row + 1}, column {column + 1}\.")
    assert boards[0].evaluate("c => c.toDataURL()") != before
    page.get_by_label("Picture", exact=True).select_option("1")
    page.get_by_label("Join true neighbours").press(" ")
    picture.press("Escape")
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
