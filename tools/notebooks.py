"""Lessons: percent text in notebooks/source/, executed notebooks beside it.

    python tools/notebooks.py build            # run every lesson in LAB_MODE=lab and write notebooks/NN_title.ipynb
    python tools/notebooks.py build 04 05      # these only
    python tools/notebooks.py check            # run nothing: pairs agree, and nothing is stored that should not be
    python tools/notebooks.py cell             # put the first cell, with the repository's address, into every lesson

The same source gives the same file: no times, no random ids, no widget state; a cell's id follows its text.
"""

import argparse
import hashlib
import os
import pathlib
import re
import sys
import tomllib
from collections import Counter

import jupytext
import nbformat
from nbclient import NotebookClient

from notebook_lint import complaints

ROOT = pathlib.Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
FIRST_CELL = ROOT / "perceiver_lab" / "course" / "first_cell.txt"
FIRST_CELL_OF_A_SOURCE = re.compile(r"(?ms)^(# %%(?! \[markdown\])[^\n]*\n)(.*?)(?=\n+# %%)")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KERNEL_ENVIRONMENT = {
    "LAB_MODE": "lab",
    "JAX_PLATFORMS": "cpu",
    "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, whatever lies in the user's folder
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "PYTHONHASHSEED": "0",
    "TQDM_DISABLE": "1",  # a progress bar is made of clock times
}


def read_source(path: pathlib.Path) -> nbformat.NotebookNode:
    """The notebook that a percent text stands for, not executed."""
    notebook = jupytext.read(path, fmt="py:percent")
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        cell["id"] = f"{digest}-{seen[digest]}" if seen[digest] else digest
        seen[digest] += 1
        cell.metadata = nbformat.from_dict({"tags": cell.metadata["tags"]} if "tags" in cell.metadata else {})
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def join_streams(outputs: list) -> list:
    """One stream output per name: how often the kernel flushed is chance."""
    joined, by_name = [], {}
    for output in outputs:
        if output.output_type != "stream":
            joined.append(output)
        elif output.name in by_name:
            by_name[output.name].text += output.text
        else:
            by_name[output.name] = output
            joined.append(output)
    return joined


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop, in place, what differs from run to run. Of a widget its static first frame stays."""
    notebook.metadata = nbformat.from_dict(METADATA)  # the state of widgets is kept there
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            output.get("data", {}).pop(WIDGET_VIEW, None)  # a random model id, dead without its kernel
        cell.outputs = join_streams(cell.outputs)
    return notebook


def execute(notebook: nbformat.NotebookNode, folder: pathlib.Path, seconds_per_cell: int) -> None:
    """Run all cells in a fresh kernel that starts in `folder`; the first error is raised."""
    os.environ.update(KERNEL_ENVIRONMENT)
    NotebookClient(
        notebook,
        timeout=seconds_per_cell,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    ).execute()


def build(source: pathlib.Path, target: pathlib.Path, seconds_per_cell: int = 1800) -> None:
    """Execute a percent text and write the notebook."""
    notebook = read_source(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    execute(notebook, target.parent, seconds_per_cell)
    nbformat.validate(clean(notebook))
    nbformat.write(notebook, target)


def pair_complaints(source: pathlib.Path, target: pathlib.Path) -> list[str]:
    """Where an executed notebook is not the one its source stands for."""
    if not target.exists():
        return [f"{target.name} is missing: python tools/notebooks.py build {source.stem[:2]}"]
    wanted, found = read_source(source), nbformat.read(target, as_version=4)
    keys = ("cell_type", "source", "id", "metadata")
    wanted_cells, found_cells = ([[cell.get(key) for key in keys] for cell in n.cells] for n in (wanted, found))
    for number, (one, other) in enumerate(zip(wanted_cells, found_cells, strict=False)):
        if one != other:
            return [f"cell {number} differs from {source.name}: build it again, or `jupytext --sync` an edit back"]
    if len(wanted_cells) != len(found_cells):
        return [f"{len(found_cells)} cells, but {source.name} has {len(wanted_cells)}"]
    return []


def check(source: pathlib.Path, target: pathlib.Path) -> list[str]:
    """All complaints about a lesson."""
    return pair_complaints(source, target) or complaints(target)


def first_cell(project: pathlib.Path = ROOT / "pyproject.toml") -> str:
    """The text of every lesson's first cell, with the repository's address where pyproject.toml has one."""
    address = tomllib.loads(project.read_text("utf-8"))["project"].get("urls", {}).get("Repository", "")
    return FIRST_CELL.read_text("utf-8").strip().replace('repository = ""', f'repository = "{address}"')


def put_first_cell(source: pathlib.Path, target: pathlib.Path, cell: str) -> None:
    """Replace the first code cell of a lesson's text, and of its executed notebook, whose outputs stay."""
    text = source.read_text("utf-8")
    source.write_text(FIRST_CELL_OF_A_SOURCE.sub(lambda found: found[1] + cell, text, count=1), "utf-8")
    if not target.exists():
        return
    notebook = nbformat.read(target, as_version=4)
    number = next(number for number, one in enumerate(notebook.cells) if one.cell_type == "code")
    wanted = read_source(source).cells[number]
    notebook.cells[number].source, notebook.cells[number]["id"] = wanted.source, wanted["id"]
    nbformat.write(notebook, target)


def lessons(numbers: list[str]) -> list[pathlib.Path]:
    """The sources of the lessons asked for; of all lessons when none is."""
    sources = sorted((NOTEBOOKS / "source").glob("[0-9][0-9]_*.py"))
    chosen = [path for path in sources if not numbers or path.name[:2] in numbers]
    missing = set(numbers) - {path.name[:2] for path in chosen}
    if missing:
        raise SystemExit(f"No lesson {', '.join(sorted(missing))} in {NOTEBOOKS / 'source'}.")
    return chosen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["build", "check", "cell"])
    parser.add_argument("lessons", nargs="*", metavar="NN")
    parser.add_argument("--out", type=pathlib.Path, default=NOTEBOOKS, help="folder of the executed notebooks")
    options = parser.parse_args()
    failed = False
    for source in lessons(options.lessons):
        target = options.out.resolve() / f"{source.stem}.ipynb"
        if options.action == "build":
            print("running", source.name, flush=True)
            build(source, target)
        elif options.action == "cell":
            put_first_cell(source, target, first_cell())
        for complaint in check(source, target):
            failed = True
            print(f"{target.name}: {complaint}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
