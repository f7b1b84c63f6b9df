"""Lessons as the reading edition shows them: living explorers, linked terms, the set-up cell folded."""

import html
import pathlib
import re
import tomllib
from collections.abc import Iterable, Mapping

import nbformat

ROOT = pathlib.Path(__file__).resolve().parents[1]
GLOSSARY = ROOT / "docs" / "glossary.toml"
STILL = "*A picture of the explorer, which needs its kernel: run the lesson to use it.*"
# What is no running text: code, links and pictures, formulas, tags, and what stands in a heading or a table.
NO_TEXT = re.compile(r"`+[^`]*`+|!?\[[^\]]*\]\([^)]*\)|\$[^$]+\$|<[^>]+>")
NO_LINE = re.compile(r"^(#|\||\s*```|\s{4,}\S)")


def terms(path: pathlib.Path = GLOSSARY) -> list[dict]:
    """The table of terms, in the order of the alphabet."""
    return sorted(tomllib.loads(path.read_text("utf-8"))["term"], key=lambda term: term["term"].lower())


def glossary_page(table: Iterable[Mapping], lessons: Mapping[str, str]) -> str:
    """The glossary as MyST text; `lessons` is number -> name without ending, of those that are there."""
    lines = ["# Glossary", "", "The terms are the papers'. Names in `code` are the library's.", "", ":::{glossary}"]
    for term in table:
        more = [term["meaning"]]
        if "symbol" in term:
            more.append(f"Symbol: {term['symbol']}.")
        if "name" in term:
            more.append(f"In the library: `{term['name']}`.")
        if term["lesson"] in lessons:
            more.append(f"Lesson [{term['lesson']}](lessons/{lessons[term['lesson']]}.ipynb).")
        lines += [term["term"], f"  {' '.join(more)}", ""]
    return "\n".join([*lines, ":::", ""])


def forms_of(term: Mapping) -> list[str]:
    """The forms in which a term is linked."""
    return term.get("linked", [term["term"], *term.get("also", ())])


class Links:
    """Links the first use of each term in one lesson, in running text only."""

    def __init__(self, table: Iterable[Mapping]):
        """All terms are still to be met; a longer form goes before a shorter one that stands in it."""
        self.forms = {form.lower(): term["term"] for term in table for form in forms_of(term)}
        longest_first = sorted(self.forms, key=len, reverse=True)
        self.any_form = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, longest_first))})(?![\w-])", re.IGNORECASE)
        self.met: set[str] = set()

    def link(self, text: str) -> str:
        """A Markdown cell with links to the glossary."""
        lines, fenced = text.split("\n"), False
        # A paragraph at a time: code and links may go over the end of a line.
        done: list[str] = []
        paragraph: list[str] = []
        for line in lines:
            fence = line.lstrip().startswith("```")
            if fenced or fence or NO_LINE.match(line) or not line.strip():
                done += [*self._paragraph(paragraph), line]
                paragraph = []
            else:
                paragraph.append(line)
            fenced ^= fence
        return "\n".join([*done, *self._paragraph(paragraph)])

    def _paragraph(self, lines):
        if not lines:
            return []
        text, parts, start = "\n".join(lines), [], 0
        for found in NO_TEXT.finditer(text):
            parts += [self.any_form.sub(self._first, text[start : found.start()]), found[0]]
            start = found.end()
        return "".join([*parts, self.any_form.sub(self._first, text[start:])]).split("\n")

    def _first(self, found):
        term = self.forms[found[0].lower()]
        if term in self.met:
            return found[0]
        self.met.add(term)
        return f"{{term}}`{found[0]} <{term}>`"


def frame(page: str, title: str) -> str:
    """A saved explorer in the page of its lesson. Without scripts it shows the explorer's still picture."""
    return f'<iframe class="explorer" src="../pages/{page}" title="{html.escape(title)}" loading="lazy"></iframe>'


def lesson(path: pathlib.Path, pages: Mapping[str, str | None], table: Iterable[Mapping]) -> nbformat.NotebookNode:
    """An executed notebook, made ready to be read.

    Args:
      path: of the notebook; it is not changed.
      pages: for each explorer, by the id of its cell: the file name of its saved page, None where a picture must do.
      table: the glossary's terms.
    """
    notebook, links, cells = nbformat.read(path, as_version=4), Links(table), []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "markdown":
            cell.source = links.link(cell.source)
        elif cell.id in pages:
            page = pages[cell.id]
            if page:
                name = re.match(r"\w+", "".join(cell.outputs[-1].data["text/plain"]))[0]
                cell.outputs = cell.outputs[:-1]
            cells.append(nbformat.v4.new_markdown_cell(frame(page, f"Explorer {name}") if page else STILL))
    first = next(cell for cell in cells if cell.cell_type == "code")
    first.metadata["tags"] = [*first.metadata.get("tags", []), "hide-input"]
    notebook.cells = cells
    return notebook
