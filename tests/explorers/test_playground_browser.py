"""The query playground's page in Chromium: pointing, zooming, blending, in both themes and without a network."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from .pages import painted, says, violations
from .playgrounds import make_playground, scenes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def said_at(playground, row, column):
    """A pattern for what is said at a point of the first example."""
    [found] = playground.answers.at(0, np.array([[row, column]], np.float64))
    texts = [re.escape(answer["text"]) for answer in found["answers"]]
    return rf"class: {texts[0]} .*colour: {texts[1]}, .*mask: {texts[2]} "


def test_pointing_and_zooming(open_page, playground):
    page = open_page(playground, examples=[0, 1])
    says(page, r"^Example 0, row 3\.63, column 5\.13 \(between the pixels\)\. class: .* looks most at latents")
    picture, drawn, plain, latents, blended, line = page.locator("canvas").all()
    assert min(painted(canvas) for canvas in (picture, drawn, plain, latents, blended, line)) > 4
    picture.focus()
    picture.press("ArrowDown")
    picture.press("ArrowRight")
    says(page, r"row 4\.38, column 5\.88.*" + said_at(playground, 4.375, 5.875))
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] * 0.1, "y": box["height"] * 0.9})
    says(page, r"row 10\.38, column 0\.63")
    zoom = page.get_by_label("Zoom")
    zoom.focus()
    zoom.press("End")
    says(page, r"^Drawn: colour at 64 × 64 points, 21 queries along each pixel\.")
    expect(page.get_by_text("The same 3 × 3 pixels, enlarged")).to_be_visible()
    page.get_by_role("button", name="mask").click()
    expect(page.get_by_text("“mask” asked at 64 × 64 points")).to_be_visible()
    expect(page.get_by_text("Answer to “mask”, line")).to_have_count(0)
    page.get_by_role("button", name="class").click()
    says(page, "“class” looks most at latents")
    expect(page.get_by_text("“mask” asked at 64 × 64 points")).to_be_visible()
    page.get_by_label("Picture", exact=True).select_option("1")
    says(page, r"Example 1, row 10\.38")
    assert violations(page) == []


def test_what_there_is_to_find_out(open_page, playground):
    first, last = (playground.answers.at(i, np.array([playground.point]))[0]["answers"][0] for i in (0, 2))
    assert first["text"] == first["true"] and last["text"] != last["true"]
    page = open_page(playground, examples=[0, 2])
    done = page.locator(".pl-done")
    says(page, "^Example 0")
    expect(done).to_have_count(0)
    page.get_by_label("Zoom").press("End")
    page.get_by_role("button", name="mask").click()
    says(page, r"Is it sharper than the enlarged pixels\? You have seen “colour” and “mask”\.$")
    expect(done).to_have_count(1)
    texts = playground.answers.path(0, playground.first, playground.second)[0]["texts"]
    assert texts[0] != texts[-1]
    page.get_by_role("slider", name="from A to B").press("End")
    says(page, rf"100 % of the way, “{re.escape(texts[0])}” has become “{re.escape(texts[-1])}”\.$")
    expect(done).to_have_count(2)
    page.get_by_label("Picture", exact=True).select_option("2")
    says(page, rf"class at .* of example 2: “{last['text']}”, in truth “{last['true']}”\.$")
    expect(done).to_have_count(3)


def test_blending(open_page, playground):
    playground.second = ["class", 0, 0]
    strips = playground.answers.path(0, playground.first, playground.second)
    page = open_page(playground, examples=[0])
    way = page.get_by_label("from A to B")
    way.focus()
    way.press("End")
    says(
        page,
        r"^100\s% of the way from A \(colour at row 2\.75, column 2\.75\) to B \(class\): Blended, read as colour: "
        rf"{re.escape(strips[0]['texts'][-1])}; Blended, read as class: {strips[1]['texts'][-1]} \(",
    )
    expect(page.get_by_role("button", name=":=")).to_have_count(0)
    assert violations(page) == []


def picture_of(canvas):
    """(height, width, 3) uint8, as it is drawn."""
    url = canvas.evaluate("c => c.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))


def test_windows_show_the_model_s_answers_beside_interpolated_pixels(open_page):
    playground = make_playground(point=[9.375, 9.375])
    page = open_page(playground, examples=[0])
    says(page, "Example 0")
    drawn, plain = (picture_of(canvas) for canvas in page.locator("canvas").all()[1:3])
    window = playground.answers.window(0, "colour", [5.5, 5.5], 1)
    larger = np.asarray(Image.fromarray(scenes()[0][0]).resize((64, 64), Image.Resampling.BILINEAR))
    # The middles of cells, above the mark.
    places = [(row, column) for row in range(40) for column in range(64)]
    for canvas, expected in ((drawn, window), (plain, larger)):
        scale = np.array(canvas.shape[:2]) / 64
        shown = [canvas[tuple(((np.array(place) + 0.5) * scale).astype(int))] for place in places]
        wanted = [expected[place] for place in places]
        assert np.abs(np.subtract(shown, wanted, dtype=np.int32)).max() <= 2


def test_between_pixels_with_a_kernel_behind(open_page, monkeypatch):
    """As in a notebook, where any point can be asked: the state is not reduced, and what will be asked is there."""
    playground = make_playground(point=[4.0, 5.0], zoom=4)
    step = 3 / 64  # a query of the window; points lie on 64ths
    points = [[4, 5], [4, 5 + step], [4, 5 + 2 * step], [5, 5 + 2 * step]]
    playground.first = ["mask", 4, 5]
    asks = [*playground.asks(), *({"what": "point", "example": 0, "point": point} for point in points)]
    asks.append({**playground.asks()[-1], "first": ["colour", *points[-1]]})
    answers = [(ask, playground.answer(ask)) for ask in asks]
    monkeypatch.setattr(playground, "export", lambda: (playground.state(), answers))
    page = open_page(playground)
    says(page, r"^Example 0, row 4, column 5\. class")
    _, drawn = page.locator("canvas").all()[:2]
    drawn.focus()
    drawn.press("ArrowRight")
    drawn.press("ArrowRight")
    says(page, r"row 4, column 5\.09 \(between the pixels\)\. class")
    drawn.press("Shift+ArrowDown")
    says(page, r"row 5, column 5\.09 \(between")
    page.get_by_role("button", name="A := the question here").click()
    expect(page.get_by_text("colour at row 5, column 5.09")).to_be_visible()
    expect(page.get_by_text("Asked on the line from A to B: colour")).to_be_visible()
    assert violations(page) == []


def test_a_flow(open_page, flow_playground):
    page = open_page(flow_playground)
    says(page, r"Example 0, row 2\.\d+, column 3\.\d+\. flow: \d\.\d px \w+, \d\.\d px \w+, in truth 1\.5 px right")
    expect(page.get_by_text("“flow”, one answer for each cell")).to_be_visible()
    expect(page.get_by_alt_text("Colours of all directions")).to_be_visible()
    picture = page.locator("canvas").first
    before = picture.evaluate("c => c.toDataURL()")
    page.get_by_label("Frame").select_option(label="2")
    expect(page.get_by_label("Frame")).to_have_value("1")
    page.wait_for_function("before => document.querySelector('canvas').toDataURL() !== before", arg=before)
    zoom = page.get_by_label("Zoom")
    zoom.focus()
    zoom.press("End")
    says(page, "^Drawn: flow, one answer for each cell; this model has no queries between them")
    assert violations(page) == []


def test_a_narrow_page_does_not_scroll_sideways(open_page, flow_playground):
    page = open_page(flow_playground)
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
