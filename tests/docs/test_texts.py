"""What the texts say holds: links lead somewhere, commands exist, code runs."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

from perceiver_lab import recipes

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("data/**/*.md"), *ROOT.glob("benchmarks/**/*.md")])
MARKDOWN_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")
HTML_LINK = re.compile(r"""(?:src|href)=["']([^"']+)["']""")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Doctests run in an interpreter without the checks of types, which would hide the functions they stand in.
DOCTESTS = """
import doctest, importlib, pathlib, sys
failed = tried = 0
for path in sorted(pathlib.Path("perceiver_lab").rglob("*.py")):
    if ">>>" in path.read_text("utf-8"):
        name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
        failed, tried = failed + result.failed, tried + result.attempted
print(f"{tried} examples tried")
sys.exit(failed > 0 or not tried)
"""


def without_code(text: str) -> str:
    return BLOCK.sub("", text)


def anchors(path: pathlib.Path) -> set[str]:
    """The names that the headings of a text can be linked by."""
    headings = re.findall(r"^#+ (.*)$", without_code(path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def name(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_links_lead_somewhere(path):
    text = without_code(path.read_text("utf-8"))
    for link in [*MARKDOWN_LINK.findall(text), *HTML_LINK.findall(text)]:
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file) if file else path
        assert target.exists(), f"{name(path)} links to {link}: there is no such file"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{name(path)} links to {link}: no such heading"


def test_the_code_of_the_readme_runs():
    blocks = [code for language, code in BLOCK.findall((ROOT / "README.md").read_text("utf-8")) if language == "python"]
    assert blocks
    for code in blocks:
        done = run("-W", "error", "-c", code)
        assert done.returncode == 0, done.stderr
        promised = re.findall(r"print\(.*\)  # (.*)$", code, re.MULTILINE)
        assert done.stdout.splitlines() == promised


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_make_targets_exist(path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    said = set(re.findall(r"(?:^|`)\s*make ([a-z-]+)", path.read_text("utf-8"), re.MULTILINE))
    assert said <= targets, said - targets


def test_examples_in_docstrings_are_true():
    done = run("-W", "error", "-c", DOCTESTS)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


STORIES = sorted([*ROOT.glob("data/weights/*.json"), *ROOT.glob("data/results/*.json")])


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_results_in_the_readme_are_those_that_ship(path):
    rows = [row for row in (ROOT / "README.md").read_text("utf-8").splitlines() if row.startswith(f"| `{path.stem}` |")]
    assert len(rows) == 1, f"{path.stem} has {len(rows)} rows in the table of results"
    metrics, headline = json.loads(path.read_text("utf-8"))["metrics"], recipes.get(path.stem).headline
    for value in (metrics[headline], metrics[f"{headline}_low"], metrics[f"{headline}_high"]):
        text = f"{100 * value:.1f}" if "accuracy" in headline else f"{value:.3g}"
        assert text in rows[0], f"{headline} {value}: {text} is not in the row"
