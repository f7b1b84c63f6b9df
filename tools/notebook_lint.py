"""What must not be stored in a lesson. `complaints(path)` says it in plain words; an empty list is a clean notebook."""

import pathlib
import re
from collections.abc import Iterator

import nbformat

MAX_CODE_CELLS = 40
MAX_BYTES = 300_000
# `~/` and relative paths are fine; these name one person's machine, one process or one run.
MACHINE = re.compile(
    r"(?<![\w.])/(?:home|root|tmp|Users|work|mnt|opt|private|content|var/folders)/[\w.-]+|[A-Z]:\\Users|\b0x[0-9a-f]{8,}"
)
WARNING = re.compile(r"\w*Warning:")
IMAGE_TAG = re.compile(r"<img\b[^>]*>", re.IGNORECASE | re.DOTALL)
ALT_TEXT = re.compile(r"""\balt\s*=\s*(?:"\s*[^"\s]|'\s*[^'\s])""", re.IGNORECASE)
MARKDOWN_IMAGE_WITHOUT_ALT = re.compile(r"!\[\s*\]\(")


def complaints(path: pathlib.Path) -> list[str]:
    """Everything wrong with the notebook in `path`, one sentence each."""
    notebook = nbformat.read(path, as_version=4)
    found = list(_whole(notebook, path.stat().st_size))
    for number, cell in enumerate(notebook.cells):
        found += [f"cell {number}: {text}" for text in _cell(cell)]
    return found


def _whole(notebook: nbformat.NotebookNode, size: int) -> Iterator[str]:
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    if counts != list(range(1, len(counts) + 1)):
        # nbval compares nothing in a cell that was never run.
        yield f"execution counts {counts}: not one fresh run from top to bottom"
    if len(counts) > MAX_CODE_CELLS:
        yield f"{len(counts)} code cells; at most {MAX_CODE_CELLS}"
    if size > MAX_BYTES:
        yield f"{size} bytes; at most {MAX_BYTES}"
    if "widgets" in notebook.metadata:
        yield "the state of widgets is stored"


def _cell(cell: nbformat.NotebookNode) -> Iterator[str]:
    if cell.cell_type == "markdown":
        if MARKDOWN_IMAGE_WITHOUT_ALT.search(cell.source) or _tags_without_alt(cell.source):
            yield "an image without alt text"
        return
    if cell.cell_type != "code":
        return
    if re.search(r";\s*$", cell.source):
        yield "ends in `;`, which hides an output in Jupyter but not in nbval"
    for output in cell.outputs:
        yield from _output(output)


def _output(output: nbformat.NotebookNode) -> Iterator[str]:
    if output.output_type == "error":
        yield f"stored an error: {output.ename}: {output.evalue}"
    if output.output_type == "stream" and output.name == "stderr":
        yield f"wrote to stderr: {output.text.strip()[:200]}"
    for text in _texts(output):
        if match := WARNING.search(text):
            yield f"shows a warning: {text[match.start() :][:200]}"
        if match := MACHINE.search(text):
            yield f"names this machine or this run: {match[0]}"
    data = output.get("data", {})
    markup = "".join(data.get("text/html", ""))
    if _tags_without_alt(markup):
        yield "an <img> without alt text"
    if any(kind.startswith("image/") for kind in data) and not IMAGE_TAG.search(markup):
        yield "a picture without alt text: JupyterLab keeps it in an <img alt=...> only"


def _texts(output: nbformat.NotebookNode) -> Iterator[str]:
    """What a reader sees as text: not the bytes of pictures within."""
    if output.output_type == "stream":
        yield output.text
    for kind, value in output.get("data", {}).items():
        if kind.startswith("text/"):
            yield re.sub(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=\s]+", "", "".join(value))


def _tags_without_alt(markup: str) -> bool:
    return any(not ALT_TEXT.search(tag) for tag in IMAGE_TAG.findall(markup))
