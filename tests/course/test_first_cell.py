"""The first cell of every lesson, here and in Colab: what it finds, fetches, installs, and says."""

import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import types
import zipfile

import pytest

from perceiver_lab import colab
from perceiver_lab.course import measured

ROOT = pathlib.Path(__file__).parents[2]
CELL = (ROOT / "perceiver_lab" / "course" / "first_cell.txt").read_text().strip()
# In Colab's place: its module, pip (which unpacks a wheel into `site` and notes what it was asked), and nothing else.
COLAB = """
import importlib.metadata, pathlib, sys, types
sys.path[:] = [path for path in sys.path if not (pathlib.Path(path or ".") / "perceiver_lab").exists()]
sys.path[:0] = [{site!r}, {pip!r}]
output = types.ModuleType("google.colab.output")
output.enable_custom_widget_manager = lambda: print("widgets allowed")
sys.modules["google.colab"] = types.ModuleType("google.colab")
sys.modules["google.colab"].output = sys.modules["google.colab.output"] = output
real = importlib.metadata.version
importlib.metadata.version = lambda name: missing(name) if name in {missing!r} else real(name)
def missing(name):
    raise importlib.metadata.PackageNotFoundError(name)
"""
PIP = """
import sys, zipfile
with open({log!r}, "a") as file:
    print(*sys.argv[1:], file=file)
for name in sys.argv[1:]:
    if name.endswith(".whl"):
        zipfile.ZipFile(name).extractall({site!r})
"""
METADATA = """\
Metadata-Version: 2.4
Name: perceiver-lab
Version: 0.1.0
Provides-Extra: music
Provides-Extra: tfds
Requires-Dist: jax>=0.7.2
Requires-Dist: flax>=0.11.2
Requires-Dist: safetensors>=0.5
Requires-Dist: mido>=1.3; extra == 'music'
Requires-Dist: tensorflow>=2.18; extra == "tfds"
"""


@pytest.fixture
def desk(tmp_path):
    """Colab's folder of files, empty; a stand-in for pip; a checkout with the library's shape and little in it."""
    for folder in ("content", "site", "pip/pip", "course/perceiver_lab/course"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pip" / "pip" / "__main__.py").write_text(
        PIP.format(log=str(tmp_path / "pip.log"), site=str(tmp_path / "site"))
    )
    package = tmp_path / "course" / "perceiver_lab"
    (package / "__init__.py").write_text("")
    (package / "course" / "__init__.py").write_text("def setup():\n    print('set up')\n")
    shutil.copy(ROOT / "perceiver_lab" / "colab.py", package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "course")
    return tmp_path


def run(desk, cell=CELL, missing=(), where="content"):
    """The cell in a fresh interpreter that stands for Colab's kernel."""
    head = COLAB.format(site=str(desk / "site"), pip=str(desk / "pip"), missing=set(missing))
    environment = {**os.environ, "PYTHONPATH": str(desk / "pip")}
    code = f"import sys; sys.path += {sys.path!r}\n{head}\n{cell}"
    command = [sys.executable, "-S", "-c", code]
    return subprocess.run(command, cwd=desk / where, env=environment, capture_output=True, text=True, check=False)


def put_wheel(desk):
    path = desk / "content" / "perceiver_lab-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for module in (desk / "course").rglob("*.py"):
            wheel.write(module, module.relative_to(desk / "course"))
        wheel.writestr("perceiver_lab-0.1.0.dist-info/METADATA", METADATA)
    return path


def asked_of_pip(desk):
    log = desk / "pip.log"
    return log.read_text().splitlines() if log.exists() else []


def test_without_wheel_and_address_it_explains_how_to_upload(desk):
    done = run(desk)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "The library perceiver_lab is not here" in done.stderr
    for words in ("uv build --wheel", "pip wheel --no-deps -w dist .", "upload", "run this cell again"):
        assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert asked_of_pip(desk) == []


def test_an_uploaded_wheel_is_installed_with_what_is_missing_once(desk):
    wheel = put_wheel(desk)
    first = run(desk, missing={"mido", "safetensors"})
    assert first.returncode == 0, first.stderr
    found, missing, widgets, last = first.stdout.splitlines()
    assert f"jax {importlib.metadata.version('jax')}, flax {importlib.metadata.version('flax')}" in found
    assert found.endswith(f"the library is in {desk / 'site' / 'perceiver_lab'}.")
    assert missing == "Installing what is missing: safetensors>=0.5, mido>=1.3."
    assert (widgets, last) == ("widgets allowed", "set up")
    install = "install -q --no-deps"
    assert asked_of_pip(desk) == [f"{install} {wheel}", f"{install} safetensors>=0.5 mido>=1.3"]

    again = run(desk)
    assert again.stdout.splitlines()[1:] == ["Nothing is missing.", "widgets allowed", "set up"]
    assert len(asked_of_pip(desk)) == 2


def test_an_address_is_cloned_once(desk):
    course = desk / "course"
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=course, check=True)
    cell = CELL.replace('repository = ""', f'repository = "{course.as_uri()}"')
    for _ in range(2):
        done = run(desk, cell)
        assert done.returncode == 0, done.stderr
        assert f"the library is in {desk / 'content' / 'perceiver-lab' / 'perceiver_lab'}." in done.stdout
        assert done.stdout.splitlines()[-1] == "set up"
    assert asked_of_pip(desk) == []


def test_an_address_that_cannot_be_reached_leaves_git_s_reason_and_the_other_way(desk):
    done = run(desk, CELL.replace('repository = ""', f'repository = "{(desk / "nowhere").as_uri()}"'))
    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert "upload the file dist/perceiver_lab-*.whl" in done.stderr


def test_a_checkout_is_found_from_any_folder_in_it_and_comes_before_what_is_installed(desk):
    zipfile.ZipFile(put_wheel(desk)).extractall(desk / "site")
    (desk / "course" / "notebooks").mkdir()
    done = run(desk, where="course/notebooks")
    assert f"the library is in {desk / 'course' / 'perceiver_lab'}." in done.stdout
    assert asked_of_pip(desk) == []


@pytest.fixture
def in_colab(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    return monkeypatch


def test_what_is_too_old_is_named_and_left_alone(in_colab):
    def never(*command, **options):
        raise AssertionError(command)

    in_colab.setattr(subprocess, "run", never)
    in_colab.setattr(colab, "_installed", lambda name: {"jax": "0.6.2", "mido": None}.get(name, "99"))
    with pytest.raises(
        SystemExit, match=r"Too old here: jax 0\.6\.2; nothing was changed.*'jax>=0\.7\.2'.*restart once"
    ):
        colab.prepare()


def test_a_pip_that_fails_is_said(in_colab):
    in_colab.setattr(subprocess, "run", lambda *command, **options: types.SimpleNamespace(returncode=1))
    in_colab.setattr(colab, "_installed", lambda name: None if name == "mido" else "99")
    with pytest.raises(SystemExit, match=r"pip could not install them.*run this cell again"):
        colab.prepare()


def test_outside_colab_nothing_is_said_or_done(capsys):
    colab.prepare()
    assert capsys.readouterr().out == ""


def test_what_colab_lacks_by_the_list_of_its_versions_is_asked_for():
    text = (ROOT / "requirements-colab.in").read_text()
    lacking = set(re.search(r"# Not preinstalled.*?\n(.*?)#", text, re.DOTALL)[1].split())
    wanted = colab.requirements()
    assert lacking | {"wadler-lindig", "jax", "flax", "music21"} <= set(wanted)
    assert not {"tensorflow", "jupyterlab"} & set(wanted)
    assert wanted["jax"] == "0.7.2"


def test_stored_measurements_are_found_by_name():
    assert "cases" in measured("attention")
    with pytest.raises(FileNotFoundError, match=r"No measurement 'weather'.*Clone the repository again"):
        measured("weather")
