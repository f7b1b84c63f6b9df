"""Other versions are tried in environments of their own."""

import subprocess

import pytest

import bootstrap
import try_versions


@pytest.mark.parametrize("given", [[], ["oldest"], ["lowest", "newest"]])
def test_what_else_is_asked_for_is_refused(given):
    with pytest.raises(SystemExit, match="Give one of lowest, newest, not"):
        try_versions.main(given)


def test_without_uv_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr(bootstrap, "find_uv", lambda folder: None)
    with pytest.raises(SystemExit, match="uv is missing from .venv: run `make setup` again"):
        try_versions.main(["lowest"])


@pytest.mark.parametrize("interpreter", ["/somewhere/python3.11", "3.11"])
def test_the_oldest_versions_are_asked_for_and_test_tools_come_after(monkeypatch, tmp_path, interpreter):
    commands = []
    here = interpreter if interpreter != "3.11" else None  # there is none, and uv is to fetch one
    monkeypatch.setattr(bootstrap, "find_python", lambda versions: here if versions == [(3, 11)] else "another")
    monkeypatch.setattr(try_versions, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "find_uv", lambda folder: "uv")
    monkeypatch.setattr(bootstrap, "add_to_path", lambda python: commands.append(("path", python)))
    monkeypatch.setattr(subprocess, "run", lambda command, **options: commands.append(command))
    monkeypatch.setattr(subprocess, "call", lambda command, **options: commands.append(command) or 3)
    assert try_versions.main(["lowest"]) == 3
    python = str(tmp_path / ".venv-lowest" / "bin" / "python")
    assert interpreter in commands[0] and commands[0][-1] == str(tmp_path / ".venv-lowest")
    assert commands[1][commands[1].index("--resolution") + 1] == "lowest-direct" and "pyproject.toml" in commands[1]
    assert "--resolution" not in commands[2] and "nbval" in commands[2]
    assert commands[3] == ("path", python)
    assert commands[-1] == (python, "tools/prove.py", "version-tests", "version-notebooks")
