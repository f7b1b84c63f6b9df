"""Screenshots of a notebook as JupyterLab shows it, freshly run.

    python tools/screenshot.py notebooks/04_the_perceiver.ipynb shots                       # all of it, page by page
    python tools/screenshot.py notebooks/04_the_perceiver.ipynb shots --find AttentionExplorer --dark
    python tools/screenshot.py notebooks/04_the_perceiver.ipynb shots --cells 3 7-9 --no-run

Cells are numbered from 0, text and code alike. LAB_MODE is `ci` unless --mode says otherwise.
"""

import argparse
import math
import os
import pathlib
import sys
import tempfile

import nbformat
from playwright.sync_api import sync_playwright

import lab_server

NOTEBOOK = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer"
CELLS = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell"


def chosen_cells(notebook: pathlib.Path, ranges: list[str], find: list[str]) -> list[int]:
    """Numbers of the cells asked for by number (`3`, `7-9`) or by a text in their source."""
    cells = nbformat.read(notebook, as_version=4).cells
    wanted = {i for i, cell in enumerate(cells) if any(text in cell.source for text in find)}
    for item in ranges:
        first, _, last = item.partition("-")
        wanted |= set(range(int(first), int(last or first) + 1))
    if find and not wanted:
        raise SystemExit(f"No cell of {notebook} holds any of {find}.")
    if wanted and max(wanted) >= len(cells):
        raise SystemExit(f"{notebook} has cells 0 to {len(cells) - 1}; {max(wanted)} was asked for.")
    return sorted(wanted)


def save_cells(page, cells: list[int], folder: pathlib.Path, stem: str) -> None:
    """One PNG per cell."""
    for number in cells:
        cell = page.locator(CELLS).nth(number)
        cell.scroll_into_view_if_needed()
        page.wait_for_timeout(300)
        path = folder / f"{stem}-cell-{number:02d}.png"
        cell.screenshot(path=path)
        print(path)


def save_pages(page, folder: pathlib.Path, stem: str) -> None:
    """The whole notebook, one screen after the other."""
    panel = page.locator(NOTEBOOK).first
    # JupyterLab lets the last cell scroll to the top: below it there is nothing to see.
    total, step = panel.evaluate(
        "e => [e.scrollTop + [...e.querySelectorAll('.jp-Cell')].at(-1).getBoundingClientRect().bottom"
        " - e.getBoundingClientRect().top, e.clientHeight]"
    )
    for number, top in enumerate(range(0, math.ceil(total), step)):
        panel.evaluate("(e, top) => e.scrollTo(0, top)", top)
        page.wait_for_timeout(300)
        path = folder / f"{stem}-page-{number:02d}.png"
        panel.screenshot(path=path)
        print(path)


def take(options: argparse.Namespace) -> int:
    """Open, run, save; the number of cells that ended in an error."""
    cells = chosen_cells(options.notebook, options.cells, options.find)
    options.folder.mkdir(parents=True, exist_ok=True)
    os.environ["LAB_MODE"] = options.mode
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    with tempfile.TemporaryDirectory() as scratch:
        work, home = pathlib.Path(scratch, "work"), pathlib.Path(scratch, "home")
        lab_server.copy_notebooks([options.notebook], work)
        with lab_server.jupyter_lab(work, home, dark=options.dark) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=lab_server.find_chromium(), args=list(lab_server.CHROMIUM_FLAGS)
            )
            page = browser.new_page(
                viewport={"width": options.width, "height": 1400},
                color_scheme="dark" if options.dark else "light",
                reduced_motion="reduce",
            )
            page.set_default_timeout(90_000)
            lab_server.open_notebook(page, server, options.notebook.name)
            page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
            if options.run:
                lab_server.run_all_cells(page, seconds=options.timeout)
            page.wait_for_timeout(1500)  # pictures and widgets are drawn after the kernel has answered
            if cells:
                save_cells(page, cells, options.folder, options.notebook.stem)
            else:
                save_pages(page, options.folder, options.notebook.stem)
            errors = lab_server.error_texts(page)
            browser.close()
    for text in errors:
        print(text, file=sys.stderr)
    return len(errors)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path, help="where the PNGs go")
    parser.add_argument("--cells", nargs="*", default=[], metavar="N[-M]", help="these cells only")
    parser.add_argument("--find", nargs="*", default=[], metavar="TEXT", help="cells whose source holds the text")
    parser.add_argument("--no-run", dest="run", action="store_false", help="show the stored outputs")
    parser.add_argument("--mode", choices=["ci", "lab", "full"], default="ci")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--timeout", type=float, default=900, help="seconds for all cells together")
    return 1 if take(parser.parse_args()) else 0


if __name__ == "__main__":
    sys.exit(main())
