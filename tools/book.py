"""Builds the reading edition, a site that needs no Python: build/book/index.html

    .venv/bin/python tools/book.py

Lessons as they are stored, nothing executed but the few lines that make their explorers; the library's reference from
its docstrings; a glossary. Opens from the file system, asks for nothing outside.
"""

import importlib
import multiprocessing
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

import nbformat

import book_check
import book_lessons
import book_pages

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BUILD = ROOT / "build"
WORKERS = 2  # an explorer's page is computed on little more than one core
REFERENCE = """\
# {room}

```{{eval-rst}}
.. automodule:: perceiver_lab.{room}
   :members:
```
"""


def write_reference(folder: pathlib.Path, rooms: Sequence[str]) -> None:
    """A page for each room of the library, and one that lists them."""
    folder.mkdir(parents=True)
    rows = []
    for room in rooms:
        (folder / f"{room}.md").write_text(REFERENCE.format(room=room), "utf-8")
        said = importlib.import_module(f"perceiver_lab.{room}").__doc__.split("\n")[0]
        rows.append(f"| [{room}]({room}.md) | {said} |")
    text = ["# All rooms", "", "| room | what is in it |", "|---|---|", *rows, ""]
    (folder / "index.md").write_text("\n".join(text), "utf-8")


def write_sources(
    lessons: Sequence[pathlib.Path], rooms: Sequence[str], work: pathlib.Path, site: pathlib.Path
) -> None:
    """All that Sphinx reads, into `work`; the explorers' pages into the site."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "lessons").mkdir(parents=True)
    table, folders = book_lessons.terms(), (site / "pages", BUILD / "pages")
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        saved = pool.starmap(book_pages.save_pages, [(path, *folders) for path in lessons], chunksize=1)
    for path, pages in zip(lessons, saved, strict=True):
        nbformat.write(book_lessons.lesson(path, pages, table), work / "lessons" / path.name)
    names = {path.name[:2]: path.stem for path in lessons}
    (work / "glossary.md").write_text(book_lessons.glossary_page(table, names), "utf-8")
    write_reference(work / "reference", rooms)
    shutil.copy(DOCS / "index.md", work)
    shutil.copytree(ROOT / "notebooks" / "pictures", work / "pictures")


def build(lessons: Sequence[pathlib.Path], rooms: Sequence[str], site: pathlib.Path) -> list[str]:
    """Build a site of these lessons and these rooms; returns what is wrong with it, which should be nothing."""
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    work = site.parent / f"{site.name}-source"
    write_sources(lessons, rooms, work, site)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-c", str(DOCS)]
    done = subprocess.run([*command, "-d", str(work / ".doctrees"), str(work), str(site)], cwd=ROOT, check=False)
    found = ["Sphinx complained; see above"] if done.returncode else []
    return found + book_check.complaints(site)


def main() -> int:
    import perceiver_lab

    start = time.monotonic()
    site = BUILD / "book"
    lessons = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    found = build(lessons, perceiver_lab.ROOMS, site)
    for complaint in found:
        print(complaint, file=sys.stderr)
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    print(f"{site / 'index.html'}: {size / 1e6:.1f} MB in {time.monotonic() - start:.0f} s")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
