"""One letter, one meaning, and one name for one size, in all lessons and in the library."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks" / "source").glob("*.py"))
SOURCES = sorted((ROOT / "perceiver_lab").rglob("*.py"))
LETTERS = {"latents": "N", "inputs": "M", "queries": "O"}
# How other codebases call what is called num_latents, num_heads, latent_channels, dropout_rate, ... here.
OTHER_NAMES = re.compile(
    r"(n|nb|no|number_of)_(latents|inputs|queries|heads|blocks|groups|layers)|num_(latent|head|block|group|query)"
    r"|(d|dim)_(model|latents?|inputs?|queries|query|head|heads)|(embed|embedding|hidden|latent|latents|input|query)_dim"
    r"|hidden_size|mlp_ratio|dropout_p|p_dropout|attn_mask|key_padding_mask"
)


def letters(text):
    """(letter, noun) wherever a capital stands beside what it counts: "N latents", "inputs M", "latents (N)"."""
    nouns = "|".join(LETTERS)
    before = re.findall(rf"(?<![\w.'-])[`$]?([A-Z])[`$]? ({nouns})\b", text)
    after = re.findall(rf"\b({nouns}) \(?[`$]?([A-Z])[`$]?(?![\w',])", text)
    return before + [(letter, noun) for noun, letter in after]


def names(code):
    """Every name that a program gives: of variables, arguments, keywords, attributes, functions and classes."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        for field in ("id", "arg", "attr", "name"):
            found.add(getattr(node, field, None))
    return {name for name in found if isinstance(name, str)}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem[:2])
def test_a_letter_counts_the_same_in_every_lesson(path):
    text = re.sub(r"\n# ?", "\n", path.read_text())
    assert [pair for pair in letters(text) if LETTERS[pair[1]] != pair[0]] == []


@pytest.mark.parametrize("path", LESSONS + SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_size_has_one_name(path):
    assert sorted(name for name in names(path.read_text()) if OTHER_NAMES.fullmatch(name)) == []


def test_other_letters_and_names_are_seen():
    assert letters("K latents read $M$ inputs, inputs `N`; queries (Q)") == [
        ("K", "latents"), ("M", "inputs"), ("N", "inputs"), ("Q", "queries"),
    ]  # fmt: skip
    assert letters("an A. Queries; these queries. Then D; what's O's latents") == []
    assert (
        OTHER_NAMES.fullmatch("d_model") and OTHER_NAMES.fullmatch("n_heads") and not OTHER_NAMES.fullmatch("num_heads")
    )
    assert names("def f(x, *, n_heads=1):\n    return g(d_model=x.dim_head)") == {
        "f",
        "x",
        "n_heads",
        "g",
        "d_model",
        "dim_head",
    }
