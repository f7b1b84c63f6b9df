"""Saved pages of the lessons' explorers, for the reading edition.

Each is made by the lesson's own lines (see book_slices.py) and must describe itself as the stored lesson does. What a
lesson has just trained is not trained again: such an explorer keeps its picture.
"""

import contextlib
import hashlib
import io
import os
import pathlib
import re
import shutil

import nbformat

from book_slices import slice_of

ROOT = pathlib.Path(__file__).resolve().parents[1]
TRAINS = re.compile(r"\bre?train\b\s*[(=]|\btrain\(")
ALT = re.compile(r'<img alt="([^"]*)"')


def explorers(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """The explorers of an executed lesson: id of the cell -> the statements that make it."""
    from perceiver_lab import explorers as room

    code, found = [], {}
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells[1:]:  # the first one finds the library, which is here
        code.append(cell.source)
        said = "".join(cell.outputs[-1].get("data", {}).get("text/plain", "")) if cell.outputs else ""
        kind = getattr(room, (re.match(r"\w*", said)[0]), None)
        if isinstance(kind, type) and issubclass(kind, room.Explorer):
            found[cell.id] = slice_of("\n".join(code))
    return found


def library_hash() -> str:
    """Changes with the library and with the weights that ship."""
    digest = hashlib.sha256()
    for path in sorted([*ROOT.glob("perceiver_lab/**/*.*"), *ROOT.glob("data/weights/*.json")]):
        if path.suffix in (".py", ".js", ".css", ".html", ".json"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def make(code: str):
    """Run the statements of a slice and return the explorer at their end."""
    *lines, last = code.split("\n")
    names: dict = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile("\n".join(lines), "lesson", "exec"), names)
        return eval(last, names)


def compare(explorer, cell: nbformat.NotebookNode) -> None:
    """Raise where a page would show something else than the stored lesson.

    Raises:
      ValueError: the explorer names itself, or describes its first picture, otherwise.
    """
    data = cell.outputs[-1].data
    pairs = [("".join(data["text/plain"]), repr(explorer))]
    pairs.append((ALT.search("".join(data["text/html"]))[1], ALT.search(explorer.first_frame().html())[1]))
    for stored, made in pairs:
        if stored != made:
            raise ValueError(
                f"The lesson's cell {cell.id} stores the explorer {stored!r}, and its lines now make {made!r}. Execute "
                "the lesson again: make notebooks."
            )


def save_pages(path: pathlib.Path, folder: pathlib.Path, cache: pathlib.Path) -> dict[str, str | None]:
    """Save the pages of a lesson's explorers.

    Args:
      path: of the executed notebook.
      folder: where the pages go, as NN-ID.html.
      cache: where pages are kept from one build to the next, by what they were made of.

    Returns:
      For each explorer, by the id of its cell: the name of its page, None for one that a lesson trains first.
    """
    os.environ.update(LAB_MODE="lab", JAX_PLATFORMS="cpu", TQDM_DISABLE="1")
    notebook, saved, library = nbformat.read(path, as_version=4), {}, library_hash()
    for identifier, code in explorers(notebook).items():
        if TRAINS.search(code):
            saved[identifier] = None
            continue
        key = hashlib.sha256(f"{library}\n{code}".encode()).hexdigest()[:16]
        kept = cache / f"{key}.html"
        if not kept.exists():
            print(f"saving the explorer of {path.name}, cell {identifier}", flush=True)
            explorer = make(code)
            compare(explorer, next(cell for cell in notebook.cells if cell.id == identifier))
            cache.mkdir(parents=True, exist_ok=True)
            explorer.export_html(cache / f"{key}.part")
            os.replace(cache / f"{key}.part", kept)
        folder.mkdir(parents=True, exist_ok=True)
        saved[identifier] = f"{path.name[:2]}-{identifier}.html"
        shutil.copy(kept, folder / saved[identifier])
    return saved
