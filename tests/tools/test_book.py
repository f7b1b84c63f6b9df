"""What the reading edition is made of: linked terms, saved explorers, and the check of a built site."""

import re
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import book
import book_check
import book_lessons
import book_pages
import notebooks

TABLE = [
    {"term": "read", "linked": ["reads"], "meaning": "One look.", "lesson": "04", "name": "num_reads"},
    {"term": "latents", "also": ["latent array"], "meaning": "Few rows.", "lesson": "99", "symbol": "N × D"},
]
DRAG = """\
import numpy as np
from perceiver_lab.explorers import DragQuery
DragQuery(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), query=[0.5, 0.5])"""


def test_the_first_use_of_a_term_in_running_text_is_linked():
    text = (
        "# Reads\n\nIn `reads` and [reads](a.ipynb) and $reads$, already\n`a read\nb` of all.\n\n"
        "```\nread\n```\n| read | x |\n\nThe latent array reads, and\nreads; latents re-read; bread."
    )
    links = book_lessons.Links(TABLE)
    linked = links.link(text)
    assert linked.endswith(
        "The {term}`latent array <latents>` {term}`reads <read>`, and\nreads; latents re-read; bread."
    )
    assert linked.split("The ")[0] == text.split("The ")[0]
    assert links.link("A latent array.") == "A latent array."


def test_the_glossary_names_what_there_is():
    page = book_lessons.glossary_page(TABLE, {"04": "04_the_perceiver"})
    assert "latents\n  Few rows. Symbol: N × D.\n" in page
    assert "One look. In the library: `num_reads`. Lesson [04](lessons/04_the_perceiver.ipynb)." in page


def test_the_table_of_terms_has_each_form_once_and_known_lessons():
    table = book_lessons.terms()
    forms = [form.lower() for term in table for form in book_lessons.forms_of(term)]
    assert len(forms) == len(set(forms)) > 60
    assert len({term["term"] for term in table}) == len(table) > 40
    for term in table:
        assert set(term) <= {"term", "also", "linked", "meaning", "lesson", "symbol", "name"}, term
        assert re.fullmatch(r"0\d|1[0-3]", term["lesson"]), term
        assert term["meaning"].endswith("."), term
    there = {path.name[:2]: path.read_text("utf-8") for path in notebooks.lessons([])}
    for term in table:
        said = there.get(term["lesson"], term["term"]).lower()
        assert any(form.lower() in said for form in (term["term"], *book_lessons.forms_of(term))), (
            f"lesson {term['lesson']} does not say {term['term']}"
        )


@pytest.fixture
def lesson(tmp_path):
    """A lesson of four cells: the set-up, an explorer, one that is trained first, and text."""
    explorer = book_pages.make(DRAG)
    data = {"text/plain": repr(explorer), "text/html": explorer.first_frame().html()}
    cells = [
        new_markdown_cell("# A lesson", id="title"),
        new_code_cell("setup()", id="first", execution_count=1),
        new_code_cell(DRAG, id="drag", outputs=[new_output("display_data", data=data)]),
        new_code_cell(
            f"from x import train\nquery = train()\n{DRAG.replace('[0.5, 0.5]', 'query')}",
            id="trained",
            outputs=[new_output("display_data", data=data)],
        ),
        new_code_cell("1", id="one", outputs=[new_output("display_data", data={"text/plain": "read(1)"})]),
    ]
    path = tmp_path / "04_a_lesson.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_an_explorer_is_saved_by_the_lessons_own_lines_once(lesson, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(book_pages.os, "environ", dict(book_pages.os.environ))
    site, cache = tmp_path / "site", tmp_path / "cache"
    saved = book_pages.save_pages(lesson, site, cache)
    assert saved == {"drag": "04-drag.html", "trained": None}
    assert "PageModel" in (site / "04-drag.html").read_text()
    assert "saving the explorer of 04_a_lesson.ipynb, cell drag" in capsys.readouterr().out
    assert book_pages.save_pages(lesson, tmp_path / "again", cache) == saved
    assert capsys.readouterr().out == ""

    made = book_lessons.lesson(lesson, saved, TABLE)
    assert made.cells[1].metadata["tags"] == ["hide-input"]
    kinds = [(cell.cell_type, len(cell.get("outputs", []))) for cell in made.cells[2:6]]
    assert kinds == [("code", 0), ("markdown", 0), ("code", 1), ("markdown", 0)]
    assert 'src="../pages/04-drag.html" title="Explorer DragQuery"' in made.cells[3].source
    assert made.cells[5].source == book_lessons.STILL


def test_an_explorer_that_shows_something_else_is_not_saved(lesson, tmp_path, monkeypatch):
    monkeypatch.setattr(book_pages.os, "environ", dict(book_pages.os.environ))
    lesson.write_text(lesson.read_text().replace("query=[0.5, 0.5]", "query=[0.25, 0.5]"))
    with pytest.raises(ValueError, match=r"cell drag stores the explorer .*0\.5.*now make .*0\.25.*make notebooks"):
        book_pages.save_pages(lesson, tmp_path, tmp_path / "cache")


def test_a_site_is_checked_for_what_it_asks_for_and_where_it_leads(tmp_path):
    site = tmp_path / "site"
    (site / "_static").mkdir(parents=True)
    (site / "_static" / "template.html").write_text("<a href='{{ nowhere }}'>")
    (site / "good.html").write_text("<p id='here'><a href='https://example.org'>x</a><a href='#here'>y</a>")
    assert book_check.complaints(site) == []
    (site / "_static" / "a.css").write_text(
        "@import 'https://fonts.example/a.css'; p { background: url(//x.example/b) }"
    )
    (site / "bad.html").write_text(
        "<script src='//cdn.example/a.js'></script><link rel='Stylesheet' href='http://b.example/c.css'>"
        "<style>p { background: url('https://d.example/e.png') }</style><img src='gone.png'>"
        "<a href='good.html#there'>x</a><a href='good.html?q=1#here'>y</a><a href='../site/none.html'>z</a>"
    )
    assert sorted(book_check.complaints(site)) == [
        "_static/a.css asks for //x.example/b from outside",
        "_static/a.css asks for https://fonts.example/a.css from outside",
        "bad.html asks for //cdn.example/a.js from outside",
        "bad.html asks for http://b.example/c.css from outside",
        "bad.html asks for https://d.example/e.png from outside",
        "bad.html links to ../site/none.html: there is no such file",
        "bad.html links to gone.png: there is no such file",
        "bad.html links to good.html#there: there is no such place in it",
    ]


def test_the_reference_has_a_page_for_each_room(tmp_path):
    book.write_reference(tmp_path / "reference", ["ops", "generation"])
    index = (tmp_path / "reference" / "index.md").read_text()
    assert "| [ops](ops.md) | Pure functions on arrays: " in index
    assert "automodule:: perceiver_lab.generation" in (tmp_path / "reference" / "generation.md").read_text()


def test_docstrings_are_plain_text_with_code_in_them(monkeypatch):
    monkeypatch.syspath_prepend(book.DOCS)
    import docstrings

    lines = [
        "|x| of *all*, test_ and `a*b_`:",
        "",
        "    take(*rest)",
        "",
        "Text:",
        "  *flat*",
        ">>> f(*x)",
        "",
        "a_b * c",
    ]
    docstrings.escape(None, "function", "f", None, None, lines)
    assert lines[0] == r"\|x\| of \*all\*, test\_ and `a*b_`::"
    assert lines[2:] == ["    take(*rest)", "", "Text:", r"  \*flat\*", ">>> f(*x)", "", r"a_b \* c"]
    lines = ["What it is.", "", "Create new instance of Pair(a, b)"]
    docstrings.escape(None, "class", "Pair", None, None, lines)
    assert lines == ["What it is.", ""]
    sys.modules.pop("docstrings")
