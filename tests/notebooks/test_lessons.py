"""The lessons as they are stored. That they run is proven by executing them (nbval)."""

import pathlib

import pytest

import notebooks

LESSONS = notebooks.lessons([])
pytestmark = pytest.mark.notebook


@pytest.mark.parametrize("source", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_its_source_executed_and_nothing_else(source):
    assert notebooks.check(source, notebooks.NOTEBOOKS / f"{source.stem}.ipynb") == []


@pytest.mark.parametrize("source", LESSONS, ids=lambda path: path.stem)
def test_the_first_cell_is_the_same_in_every_lesson(source):
    cells = notebooks.read_source(source).cells
    assert next(cell.source for cell in cells if cell.cell_type == "code") == notebooks.first_cell()


def test_every_notebook_has_a_source():
    executed = {path.stem for path in pathlib.Path(notebooks.NOTEBOOKS).glob("*.ipynb")}
    assert executed == {path.stem for path in LESSONS}
    assert executed


def test_lessons_are_numbered_once():
    numbers = [path.name[:2] for path in LESSONS]
    assert len(numbers) == len(set(numbers))
