"""The reading edition in Chromium, from the file system and without a network: two short lessons and one room."""

import re

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import expect

import book
import notebooks

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

TRACER = "from perceiver_lab.explorers import ShapeTracer\nShapeTracer(num_inputs=100, num_queries=16, channels=32)"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site."""
    from perceiver_lab.explorers import ShapeTracer

    folder, explorer = tmp_path_factory.mktemp("book"), ShapeTracer(num_inputs=100, num_queries=16, channels=32)
    data = {"text/plain": repr(explorer), "text/html": explorer.first_frame().html()}
    first = [
        new_markdown_cell("# 00 · One\n\nA query asks, over $\\sqrt d$. Next: lesson [01](01_two.ipynb)."),
        new_code_cell("setup()", execution_count=1, outputs=[new_output("stream", name="stdout", text="mode lab\n")]),
        new_markdown_cell("## To try"),
        new_code_cell(TRACER, execution_count=2, outputs=[new_output("display_data", data=data)]),
    ]
    second = [new_markdown_cell("# 01 · Two\n\nA wombat reads."), new_code_cell("1", execution_count=1)]
    paths = [folder / "00_one.ipynb", folder / "01_two.ipynb"]
    for path, cells in zip(paths, (first, second), strict=True):
        nbformat.write(new_notebook(cells=cells, metadata=notebooks.METADATA), path)
    assert book.build(paths, ["generation"], folder / "site") == []
    return folder / "site"


@pytest.fixture
def open_at(browser, site):
    """`open_at("index.html", width, scheme)`; at the end: nothing was asked for from outside, no error was logged."""
    pages, outside, errors = [], [], []

    def open_page(name, width=1280, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
        pages.append(page)
        page.on("request", lambda one: outside.append(one.url) if not one.url.startswith(("file:", "data:")) else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{site.as_uri()}/{name}")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert outside == []
    assert errors == []


def serious(page):
    found = Axe().run(page).response["violations"]
    wanted = [one for one in found if one["impact"] in ("serious", "critical")]
    return [(one["id"], one["help"], [node["html"][:200] for node in one["nodes"]]) for one in wanted]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
@pytest.mark.parametrize("name", ["index.html", "lessons/00_one.html", "glossary.html", "reference/generation.html"])
def test_pages_fit_and_are_accessible_in_both_themes(open_at, name, width, scheme):
    page = open_at(name, width, scheme)
    assert page.locator("html").get_attribute("data-theme") == scheme
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert serious(page) == []


def test_an_explorer_lives_in_its_lesson_and_takes_the_theme(open_at):
    page = open_at("lessons/00_one.html", scheme="dark")
    assert page.locator("math").count() == 1
    frame = page.frame_locator("iframe.explorer")
    slider = frame.get_by_label("Inputs M")
    slider.scroll_into_view_if_needed()
    slider.focus()
    slider.press("End")
    expect(frame.locator("[role=status]")).to_have_text(re.compile("Inputs 100 → 1.048.576: the output stays 16 × 32"))
    body = frame.locator("body")
    assert body.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(22, 24, 27)"
    assert body.evaluate("e => e.scrollHeight <= window.innerHeight")


def test_a_reader_gets_around(open_at):
    page = open_at("index.html")
    page.get_by_role("link", name="00 · One").first.click()
    page.get_by_role("link", name="01", exact=True).click()
    assert page.locator("h1").first.inner_text().startswith("01 · Two")
    page.goto(page.url.replace("lessons/01_two.html", "search.html?q=wombat"))
    page.locator("#search-results a").first.wait_for()
    assert "01_two.html" in page.locator("#search-results a").first.get_attribute("href")
    page = open_at("lessons/00_one.html")
    page.locator("a", has_text=re.compile("^query$")).click()
    assert "glossary.html#term-query" in page.url
