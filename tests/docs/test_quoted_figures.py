"""Every figure that a lesson quotes from a paper's table is in one list, with the paper and the table it stands in.

The list was compared with the papers and the released code by hand. What the tests keep is that nothing is quoted that
is not in it, and that nothing in it has been left behind.
"""

import csv
import pathlib
import re

import pytest

HERE = pathlib.Path(__file__).resolve().parent
LESSONS = {path.name[:2]: path for path in sorted((HERE.parents[1] / "notebooks" / "source").glob("*.py"))}
LIST = (HERE / "quoted_figures.tsv").read_text("utf-8")
ROWS = list(csv.DictReader(LIST.splitlines(), delimiter="\t"))
TABLE = re.compile(r"\b[Tt]ables? \d")
PLACES = re.compile(r"\d{4}\.\d{5}|\b[Tt]ables? \d+(?:,? (?:and )?\d+)*|\b[Ss]ections? \d+(?:\.\d+)*|\blesson \d+")
FIGURE = re.compile(
    r"(?<![\w.,/-])(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+\.\d+(?!\d|\.\d)|\d+(?= ?%|M\b| GFLOPs)|\d{3}(?!\d|[,.]\d))"
)


def words(lesson: str) -> list[str]:
    """The paragraphs of a lesson's text, without its list of sources."""
    blocks = re.split(r"^# %%.*$", LESSONS[lesson].read_text("utf-8"), flags=re.MULTILINE)[1:]
    texts = [re.sub(r"^# ?", "", block.strip(), flags=re.MULTILINE) for block in blocks if block.lstrip()[:1] == "#"]
    return [part for text in texts for part in re.split(r"\n\s*\n|\n- ", text.split("## Sources")[0])]


def quoting(paragraphs: list[str]) -> list[str]:
    """Those that name a table of a paper, each with the table of its own that it announces."""
    found = []
    for paragraph, following in zip(paragraphs, [*paragraphs[1:], ""], strict=True):
        if TABLE.search(paragraph):
            announced = following if paragraph.rstrip().endswith(":") else ""
            found.append(PLACES.sub("", f"{paragraph}\n{announced}"))
    return found


@pytest.mark.parametrize("lesson", LESSONS)
def test_what_is_quoted_is_listed(lesson):
    listed = {figure for row in ROWS if row["lesson"] == lesson for figure in row["figures"].split()}
    quoted = {figure for paragraph in quoting(words(lesson)) for figure in FIGURE.findall(paragraph)}
    assert not quoted - listed, f"lesson {lesson} quotes {sorted(quoted - listed)}: name the paper and the table"


def test_what_is_listed_is_quoted():
    for row in ROWS:
        text = "\n".join(words(row["lesson"]))
        gone = [one for one in row["figures"].split() if not re.search(rf"(?<![\d.,]){re.escape(one)}(?!\d)", text)]
        assert not gone, f"lesson {row['lesson']} no longer says {gone}"
        assert row["what they are"] and row["where"] and re.fullmatch(r"\d{4}\.\d{5}|code|ours", row["paper"])


def test_a_figure_is_seen_in_every_form():
    said = "78.0 % of 50,176 inputs (table 1), 44.9M parameters, 707 GFLOPs, 30 % and 512; see lesson 04, section 4.1."
    (part,) = quoting([said])
    assert FIGURE.findall(part) == ["78.0", "50,176", "44.9", "707", "30", "512"]
