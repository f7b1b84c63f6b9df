"""The builder and the lint of lessons, and the rule by which executed lessons are compared."""

import os
import pathlib
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import notebook_lint
import notebooks

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = """\
# %% [markdown]
# # A lesson

# %% tags=["setup"]
import os
print("mode", os.environ["LAB_MODE"])
print("LAB two and two:", 2 + 2)

# %%
class Widget:
    def _repr_mimebundle_(self, **options):
        view = {"model_id": os.urandom(4).hex()}
        html = '<img alt="a dot" src="data:image/png;base64,AAAA">'
        return {"text/plain": "Widget()", "text/html": html, "application/vnd.jupyter.widget-view+json": view}
Widget()

# %%
print("one", flush=True)
print("two", flush=True)
"""
PICTURE = "<img src='data:image/png;base64,AAAA' alt='a dot'>"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "99_lesson.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.notebook
def test_a_lesson_is_built_from_its_text_and_twice_the_same(source, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", os.environ.copy())
    target = tmp_path / "executed" / "99_lesson.ipynb"
    notebooks.build(source, target)
    first = target.read_bytes()
    notebooks.build(source, target)
    assert target.read_bytes() == first
    assert notebooks.check(source, target) == []
    cells = nbformat.read(target, as_version=4).cells
    assert cells[1].metadata == {"tags": ["setup"]}
    assert cells[1].outputs[0].text == "mode lab\nLAB two and two: 4\n"
    assert set(cells[2].outputs[0].data) == {"text/plain", "text/html"}
    assert [output.text for output in cells[3].outputs] == ["one\ntwo\n"]

    source.write_text(SOURCE.replace("2 + 2", "2 + 3"))
    assert "cell 1 differs from 99_lesson.py" in notebooks.check(source, target)[0]
    source.write_text(SOURCE + "\n# %%\n1\n")
    assert "4 cells, but 99_lesson.py has 5" in notebooks.check(source, target)[0]


def test_a_missing_notebook_is_named_with_the_command_that_makes_it(source, tmp_path):
    assert "build 99" in notebooks.check(source, tmp_path / "99_lesson.ipynb")[0]


def test_an_unknown_lesson_is_an_error():
    with pytest.raises(SystemExit, match="No lesson 97"):
        notebooks.lessons(["97"])


def test_the_id_of_a_cell_follows_its_text(source):
    before = [cell.id for cell in notebooks.read_source(source).cells]
    source.write_text("# %%\n0\n\n# %%\n0\n\n" + SOURCE)
    after = [cell.id for cell in notebooks.read_source(source).cells]
    assert after[2:] == before
    assert after[1] == f"{after[0]}-1"


def test_the_first_cell_carries_the_address_and_keeps_the_outputs(source, tmp_path):
    project = tmp_path / "pyproject.toml"
    project.write_text("[project]\n[project.urls]\n")
    assert 'repository = ""' in notebooks.first_cell(project)
    project.write_text('[project]\n[project.urls]\nRepository = "https://example.org/course"\n')
    cell = notebooks.first_cell(project)
    assert 'repository = "https://example.org/course"' in cell

    target = tmp_path / "99_lesson.ipynb"
    stored = notebooks.read_source(source)
    for count, one in enumerate((one for one in stored.cells if one.cell_type == "code"), 1):
        one.execution_count, one.outputs = count, [new_output("stream", name="stdout", text=f"{count}\n")]
    nbformat.write(stored, target)
    notebooks.put_first_cell(source, target, cell)
    assert notebooks.check(source, target) == []
    changed = nbformat.read(target, as_version=4)
    assert [one.source == cell for one in changed.cells] == [False, True, False, False]
    assert [one.outputs for one in changed.cells[1:]] == [one.outputs for one in stored.cells[1:]]


def written(tmp_path, *cells, **metadata) -> pathlib.Path:
    path = tmp_path / "lesson.ipynb"
    nbformat.write(new_notebook(cells=list(cells), metadata=metadata), path)
    return path


def ran(text="1", *outputs, count=1):
    return new_code_cell(text, execution_count=count, outputs=list(outputs))


def shown(**data):
    return new_output("display_data", data={key.replace("_", "/"): value for key, value in data.items()})


def test_a_clean_notebook_has_no_complaints(tmp_path):
    path = written(
        tmp_path,
        new_markdown_cell("![a digit](four.png) in ~/.cache/perceiver_lab, and/or n/a"),
        ran("1", shown(text_plain="a dot", text_html=PICTURE), new_output("stream", name="stdout", text="fine\n")),
    )
    assert notebook_lint.complaints(path) == []


@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        (ran(count=2), "not one fresh run"),
        (ran(count=None), "not one fresh run"),
        (ran("plot();"), "ends in `;`"),
        (ran("1", new_output("stream", name="stderr", text="oh\n")), "wrote to stderr: oh"),
        (ran("1", new_output("stream", name="stdout", text="x.py:1: UserWarning: no\n")), "shows a warning"),
        (ran("1", new_output("stream", name="stdout", text="see /home/ann/data\n")), "/home/ann"),
        (ran("1", shown(text_plain="<Figure at 0x7f12ab34cd56>")), "0x7f12ab34cd56"),
        (
            ran("1", new_output("error", ename="ValueError", evalue="no", traceback=[])),
            "stored an error: ValueError: no",
        ),
        (ran("1", shown(image_png="AAAA", text_plain="<Figure>")), "picture without alt text"),
        (ran("1", shown(text_html="<img src='a.png'>")), "<img> without alt text"),
        (ran("1", shown(text_html="<img alt='' src='a.png'>")), "<img> without alt text"),
        (new_markdown_cell("![](a.png)"), "image without alt text"),
        (new_markdown_cell("<img src='a.png'>"), "image without alt text"),
    ],
)
def test_each_complaint(tmp_path, cell, complaint):
    assert any(complaint in text for text in notebook_lint.complaints(written(tmp_path, cell)))


def test_complaints_about_the_whole(tmp_path):
    too_many = [ran(count=number) for number in range(1, 42)]
    found = notebook_lint.complaints(written(tmp_path, *too_many, ran("#" * 300_000, count=42), widgets={}))
    assert found[0] == "42 code cells; at most 40"
    assert found[1].endswith("at most 300000")
    assert found[2] == "the state of widgets is stored"


@pytest.mark.notebook
def test_only_lab_lines_are_compared_and_they_are(tmp_path):
    stored = {
        "free": ("print('now')\nprint('more')\nprint('LAB 1')", "then\nLAB 1\nthis\nand that\n"),
        "strict": ("print('LAB 2')", "LAB 3\n"),
    }
    for name, (text, output) in stored.items():
        cell = ran(text, new_output("stream", name="stdout", text=output))
        nbformat.write(new_notebook(cells=[cell]), tmp_path / f"{name}.ipynb")
    sanitize = ROOT / "tests" / "notebooks" / "sanitize.cfg"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "--color=no",
        "--nbval",
        "--nbval-current-env",
        "-c",
        os.devnull,
    ]
    command += [f"--nbval-sanitize-with={sanitize}", f"--rootdir={tmp_path}", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "PASSED free.ipynb::Cell 0" in done.stdout, done.stdout + done.stderr
    assert "FAILED strict.ipynb::Cell 0" in done.stdout, done.stdout + done.stderr
