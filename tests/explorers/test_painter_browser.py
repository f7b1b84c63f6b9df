"""The mask painter's page in Chromium: painting, typing, finding out, in both themes and without a network."""

import re

import pytest
from playwright.sync_api import expect

from .pages import painted, says, violations
from .painters import TEXTS, make_painter

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def told(painter, hidden, text=TEXTS[0]):
    """A pattern for what is said of all that is hidden."""
    found = painter.fill(text, hidden)
    right = sum(guess["rank"] == 1 for guess in found["guesses"])
    return (
        rf"{len(hidden)} hidden, {right} guessed right: {found['bits']:.2f}\sbits per hidden byte, "
        rf"counting {found['counts']:.2f}\sbits\."
    )


def test_painting_with_keys(open_page, painter):
    page = open_page(painter)
    line = page.locator("canvas")
    says(page, r"^Byte 3 of 40: “e”, number 101, hidden\. The model guesses .*" + told(painter, painter.hidden))
    assert painted(line) > 20
    line.focus()
    line.press("Home")
    says(page, r"^Byte 0 of 40: “R”, number 82, seen\.")
    line.press("Space")
    guess = painter.fill(TEXTS[0], [0])["guesses"][0]
    says(page, rf"hidden\. .*its guess number {guess['rank']}: {guess['bits']:.2f}\sbits of surprise\. 1 hidden")
    line.press("ArrowDown")
    says(page, "^Byte 32 of 40")
    line.press("ArrowUp")
    line.press("Shift+ArrowRight")
    line.press("Shift+ArrowRight")
    line.press("Enter")
    says(page, "^Byte 2 of 40.*" + told(painter, [0, 1, 2]))
    line.press("Shift+ArrowLeft")
    line.press("Space")
    says(page, "^Byte 1 of 40: “o”, number 111, seen.*" + told(painter, [0]))
    expect(page.get_by_text("this model")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    says(page, r"Nothing is hidden\.$")
    assert violations(page) == []


def cell(line, place):
    box = line.bounding_box()
    rows = 2
    return {"x": box["width"] * (place % 32 + 0.5) / 32, "y": box["height"] * (place // 32 + 0.5) / rows}


def test_painting_with_the_pointer(open_page, painter):
    page = open_page(painter)
    line = page.locator("canvas")
    line.click(position=cell(line, 34))
    says(page, "^Byte 34 of 40.*" + told(painter, [34]))
    box, start, end = line.bounding_box(), cell(line, 7), cell(line, 13)
    page.mouse.move(box["x"] + start["x"], box["y"] + start["y"])
    page.mouse.down()
    page.mouse.move(box["x"] + end["x"], box["y"] + end["y"], steps=3)
    page.mouse.up()
    says(page, "^Byte 13 of 40.*" + told(painter, list(range(7, 14))))
    line.click(position=cell(line, 13))
    says(page, "^Byte 13 of 40.*seen.*" + told(painter, list(range(7, 13))))


def test_what_there_is_to_find_out(open_page, painter):
    page = open_page(painter)
    line = page.locator("canvas")
    done = page.locator(".pl-done")
    expect(done).to_have_count(0)
    line.click(position=cell(line, 11))
    bits = painter.fill(TEXTS[0], [11])["bits"]
    says(page, rf"1 hidden.* {bits:.2f}\sbits per hidden byte")
    expect(done).to_have_count(0)
    line.click(position=cell(line, 6))
    cost = painter.fill(TEXTS[0], [6])["bits"]
    says(page, rf"Found out: Hide a space\. What does it cost\? {cost:.2f}\sbits\.$")
    line.press("ArrowRight")
    line.press("ArrowRight")
    line.press("ArrowRight")
    page.get_by_role("button", name="Hide this word").click()
    found = painter.fill(TEXTS[0], [9, 10, 11, 12, 13])
    right = sum(guess["rank"] == 1 for guess in found["guesses"])
    says(page, rf"{bits:.2f}\sbits for the letter alone, {found['bits']:.2f}\sbits for each letter of the word\.")
    says(page, rf"Found out: Hide a name in .* {found['bits']:.2f}\sbits for each letter, {right} of 5 right\.$")
    expect(done).to_have_count(3)
    assert violations(page) == []


def test_smudging_goes_round(open_page, painter):
    page = open_page(painter)
    smudge = page.get_by_role("button", name="Smudge")
    for start in (4, 5, 6, 0, 1, 2, 3):
        smudge.click()
        says(page, rf"^Byte {start} of 40.*" + told(painter, list(range(start, 40, 7))))


def test_another_text(open_page, painter):
    page = open_page(painter)
    page.get_by_label("Text", exact=True).select_option(index=1)
    says(page, r"^Byte 3 of 20: byte 195, number 195, hidden\. .*" + told(painter, [3, 10, 17], TEXTS[1]))
    page.locator("canvas").focus()
    page.get_by_role("button", name="Hide this word").click()
    says(page, told(painter, [0, 1, 2, 3, 4], TEXTS[1]))
    expect(page.get_by_text("20 of at most 40 bytes")).to_be_visible()
    assert violations(page) == []


def with_a_kernel(monkeypatch, asked):
    """As in a notebook, where everything can be asked: what will be asked is there."""
    painter = make_painter()
    answers = [
        ({"what": "fill", "text": text, "hidden": hidden}, (painter.fill(text, hidden), [])) for text, hidden in asked
    ]
    monkeypatch.setattr(painter, "export", lambda: (painter.state(), answers))
    return painter


def test_typing(open_page, monkeypatch):
    first, moved = [3, 10, 17, 24, 31, 38], [3, 9, 16, 23, 30, 37]
    shorter = TEXTS[0].replace(",", "")
    painter = with_a_kernel(monkeypatch, [(TEXTS[0], first), (shorter, moved), ("Rome", [3]), ("Rome\n", [3])])
    page = open_page(painter)
    field = page.get_by_label("Type")
    field.fill(shorter)
    says(page, r"^Byte 3 of 39.*" + told(painter, moved, shorter))
    expect(page.get_by_label("Text", exact=True)).to_have_value("2")
    field.fill("x" * 41)
    says(page, r"^This text has 41 bytes; the model reads at most 40\. Delete at least 1\.$")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("This text has 41 bytes").first).to_be_visible()
    field.fill("")
    says(page, "^There is no text")
    field.evaluate("e => { e.value = 'a\\ud83d'; e.dispatchEvent(new Event('input')); }")
    says(page, "^This text has half a character in it, which UTF-8 cannot write")
    field.fill("Rome")
    says(page, r"^Byte 3 of 4.*" + told(painter, [3], "Rome"))
    expect(field).to_have_attribute("aria-invalid", "false")
    field.press("Enter")
    says(page, r"^Byte 3 of 5.*" + told(painter, [3], "Rome\n"))
    assert violations(page) == []


def test_painting_anywhere(open_page, monkeypatch):
    first = [3, 10, 17, 24, 31, 38]
    painter = with_a_kernel(monkeypatch, [(TEXTS[0], first), (TEXTS[0], [*first, 39])])
    page = open_page(painter)
    line = page.locator("canvas")
    line.focus()
    line.press("End")
    line.press("Space")
    says(page, r"^Byte 39 of 40: new line, number 10, hidden.*" + told(painter, [*first, 39]))
    expect(page.get_by_label("Type")).to_be_editable()


def test_a_text_that_looks_like_html_stays_text(open_page):
    evil = "<img src=x onerror=alert(1)></script>"
    page = open_page(make_painter(texts=[evil], hidden=[0]))
    says(page, r"^Byte 0 of 37: “<”")
    expect(page.locator("img")).to_have_count(0)
    assert re.search("onerror", page.get_by_label("It reads").input_value())


def test_a_narrow_page_does_not_scroll_sideways(open_page, painter):
    page = open_page(painter)
    line = page.locator("canvas")
    line.focus()
    line.press("ArrowDown")
    says(page, "^Byte 35 of 40")
    width = line.get_attribute("width")
    page.set_viewport_size({"width": 420, "height": 800})
    # The page is laid out anew in the next frames: a key pressed before would go by the lines of 32.
    expect(line).not_to_have_attribute("width", width)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    # Shorter lines instead of smaller letters.
    line.press("ArrowUp")
    says(page, "^Byte 23 of 40")
