"""The first cell, modes and predictions."""

import os
import pathlib
import subprocess
import sys

import pytest

from perceiver_lab import course
from perceiver_lab.course import modes, notebook

ROOT = pathlib.Path(__file__).parents[2]
FIRST_CELL = (ROOT / "perceiver_lab" / "course" / "first_cell.txt").read_text().strip()


@pytest.fixture
def fresh(monkeypatch):
    """No mode decided yet, no variable set."""
    for name in ("LAB_MODE", "CI"):
        monkeypatch.delenv(name, raising=False)
    modes.mode.cache_clear()
    monkeypatch.setattr(notebook, "_predictions", {})
    yield monkeypatch
    modes.mode.cache_clear()


def test_the_first_cell_runs_in_any_folder_below_the_course(tmp_path):
    """Without the library installed: it finds the folder above, and prints the mode."""
    below = tmp_path / "course" / "notebooks" / "deep"
    below.mkdir(parents=True)
    (tmp_path / "course" / "perceiver_lab").symlink_to(ROOT / "perceiver_lab")
    environment = {**os.environ, "LAB_MODE": "ci", "PYTHONPATH": ""}
    command = [sys.executable, "-S", "-c", f"import sys; sys.path += {sys.path!r}\n{FIRST_CELL}\nprint(sys.path[0])"]
    done = subprocess.run(command, cwd=below, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert first.startswith("mode ci: ")
    assert last == str(tmp_path / "course")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LAB_MODE": "full"}, "full"),
        ({"LAB_MODE": " LAB "}, "lab"),
        ({"LAB_MODE": "lab", "CI": "true"}, "lab"),
        ({"CI": "true"}, "ci"),
        ({"CI": "1"}, "ci"),
        ({"CI": "false"}, "lab"),
        ({}, "lab"),
    ],
)
def test_the_mode_follows_the_environment(fresh, variables, expected):
    for name, value in variables.items():
        fresh.setenv(name, value)
    assert course.mode() == expected


def test_an_accelerator_means_full(fresh):
    fresh.setattr("jax.default_backend", lambda: "gpu")
    assert course.mode() == "full"


def test_another_mode_is_refused(fresh):
    fresh.setenv("LAB_MODE", "fast")
    with pytest.raises(ValueError, match=r"LAB_MODE is 'fast'; expected one of ci, lab, full"):
        course.mode()


@pytest.mark.parametrize(("mode", "expected"), [("ci", 1), ("lab", 2), ("full", 3)])
def test_budgets(fresh, mode, expected):
    fresh.setenv("LAB_MODE", mode)
    assert course.budget(ci=1, lab=2, full=3) == expected
    assert course.budget(ci=1, lab=2) == min(expected, 2)


def test_setup_prints_the_mode_once(fresh, capsys):
    fresh.setenv("LAB_MODE", "lab")
    course.setup()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("mode lab: ")
    assert "Set LAB_MODE to ci or full" in line


@pytest.mark.parametrize(("variable", "shown"), [("1", False), ("", True), ("0", True)])
def test_bars_obey_tqdm_disable(fresh, variable, shown):
    import tqdm
    import tqdm.auto

    fresh.setattr(tqdm.auto, "tqdm", str)
    fresh.setenv("TQDM_DISABLE", variable)
    fresh.setenv("LAB_MODE", "ci")
    course.setup()
    assert (tqdm.auto.tqdm is str) == shown
    assert shown or tqdm.auto.tqdm is tqdm.tqdm


def test_predictions_and_what_became_of_them(fresh, capsys):
    options = ["it grows", "it stays"]
    course.predict("01", options)
    course.reveal("01", "B", "so it is.")
    course.predict("01", options, choice="x")
    course.predict("01", options, choice=" a ")
    course.reveal("01", "B", "so it is.")
    course.predict("01", {"A": "it grows", "B": "it stays"}, choice="B")
    course.reveal("01", "B", "so it is.")
    assert capsys.readouterr().out.splitlines() == [
        "Prediction 01: none yet. Put A or B, in quotes, in place of the dots; being wrong costs nothing.",
        "Prediction 01: you made none. It is B: so it is.",
        "Prediction 01: 'x' is none of A or B.",
        "Prediction 01: A, it grows. Noted: you will meet it again.",
        "Prediction 01: you said A, but it is B: so it is.",
        "Prediction 01: B, it stays. Noted: you will meet it again.",
        "Prediction 01: you said B, and B it is: so it is.",
    ]


def test_trained_is_the_function_whatever_was_imported_before():
    code = "import perceiver_lab.course.trained\nfrom perceiver_lab.course import trained\nassert callable(trained)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
