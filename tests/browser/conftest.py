"""One JupyterLab for all tests: the server takes seconds to start, a check takes none."""

import dataclasses
import pathlib

import pytest
from playwright.sync_api import Page

import lab_server

NOTEBOOKS = pathlib.Path(__file__).resolve().parents[2] / "notebooks"


@dataclasses.dataclass(frozen=True)
class OpenLesson:
    """A lesson in the page, run from top to bottom, and what the page said and asked for on the way."""

    page: Page
    errors: list[str]
    foreign_requests: list[str]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """JupyterLab on a copy of the notebooks."""
    work = tmp_path_factory.mktemp("work")
    lab_server.copy_notebooks(NOTEBOOKS.glob("*.ipynb"), work)
    with lab_server.jupyter_lab(work, tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def open_lesson(browser, server):
    """`open_lesson("01")` opens lesson 01 and runs it."""
    pages = []

    def open_and_run(number: str, seconds: float = 600) -> OpenLesson:
        [notebook] = NOTEBOOKS.glob(f"{number}_*.ipynb")
        page = browser.new_page(viewport={"width": 1280, "height": 1400}, reduced_motion="reduce")
        pages.append(page)
        page.set_default_timeout(60_000)
        errors, foreign = [], []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)

        def stop(route):
            foreign.append(route.request.url)
            route.abort()

        page.route(lambda url: not url.startswith((server.url, "data:", "blob:")), stop)
        lab_server.open_notebook(page, server, notebook.name)
        lab_server.run_all_cells(page, seconds)
        return OpenLesson(page, errors, foreign)

    yield open_and_run
    for page in pages:
        page.close()
