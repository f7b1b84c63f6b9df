"""What can be proven, and what is refused before anything runs."""

import subprocess
import sys

import pytest

import prove


@pytest.mark.parametrize("given", [[], ["lint", "everything"]])
def test_an_unknown_stage_is_named_with_those_that_there_are(given):
    with pytest.raises(SystemExit, match=r"Unknown stage (everything|\(none given\)): choose from lint, data, tests"):
        prove.main(given)


def test_lines_are_counted_by_a_python_that_can(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 11, 7))
    with pytest.raises(SystemExit, match="rm -r .venv && make setup PY=python3.12"):
        prove.main(["coverage"])


def test_the_suite_is_shuffled_three_times_and_a_failure_ends_nothing_early(monkeypatch, capsys):
    commands, results = [], iter([0, 1, 0])
    monkeypatch.setattr(subprocess, "call", lambda command, **options: commands.append(command) or next(results))
    assert prove.main(["shuffled"]) == 1
    assert [command[-1] for command in commands] == ["1", "2", "3"] and len({command[:-1] for command in commands}) == 1
    assert "shuffled        FAILED" in capsys.readouterr().out
