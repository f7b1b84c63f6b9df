"""Setting up: what is done, what is not done twice, and what is said when something is missing."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import bootstrap

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAKE_UV = """#!{shell}
echo "$@" >> {log}
case "$1" in
  venv) exec {python} -m venv --without-pip "${{@: -1}}" ;;
  pip) exit {code} ;;
esac
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with small locks, and a PATH on which only a stand-in for uv lies."""
    folder = tmp_path / "checkout"
    (folder / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "bootstrap.py", folder / "tools")
    for lock in ("requirements.lock", "requirements-dev.lock"):
        (folder / lock).write_text(f"# {lock}\n")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    put_uv(tmp_path, code=0)
    return folder


def put_uv(folder: pathlib.Path, code: int) -> None:
    uv = folder / "bin" / "uv"
    shell = shutil.which("bash", path="/bin:/usr/bin")
    text = FAKE_UV.format(shell=shell, log=folder / "uv.log", python=sys.executable, code=code)
    uv.write_text(text)
    uv.chmod(0o755)


def setup(checkout: pathlib.Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "tools/bootstrap.py", "setup", *options]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


def calls(checkout: pathlib.Path) -> list[str]:
    return (checkout.parent / "uv.log").read_text().splitlines()


def test_set_up_once_and_nothing_the_second_time(checkout):
    done = setup(checkout)
    assert done.returncode == 0, done.stderr
    assert calls(checkout)[-1].startswith("pip sync --quiet --python")
    assert calls(checkout)[-1].endswith("--require-hashes " + str(checkout / "requirements.lock"))
    python = checkout / ".venv" / "bin" / "python"
    paths = json.loads(subprocess.check_output([python, "-c", "import json, sys; print(json.dumps(sys.path))"]))
    assert str(checkout) in paths

    before = calls(checkout)
    again = setup(checkout)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert calls(checkout) == before


def test_a_new_lock_is_installed_into_the_same_environment(checkout):
    setup(checkout)
    marker = checkout / ".venv" / "still-here"
    marker.touch()
    (checkout / "requirements.lock").write_text("# newer\n")
    setup(checkout)
    assert [call.split()[0] for call in calls(checkout) if call != "--version"] == ["venv", "pip", "pip"]
    assert marker.exists()


def test_opening_the_lab_leaves_the_test_tools_where_they_are(checkout):
    setup(checkout, "--dev")
    before = calls(checkout)
    assert setup(checkout).stdout == ""
    assert calls(checkout) == before
    (checkout / "requirements-dev.lock").write_text("# newer\n")
    assert "requirements-dev.lock" in setup(checkout).stdout


def test_an_interrupted_installation_is_not_taken_for_a_finished_one(checkout):
    setup(checkout)
    (checkout / "requirements.lock").write_text("# newer\n")
    put_uv(checkout.parent, code=2)
    done = setup(checkout)
    assert done.returncode != 0
    assert "Installing requirements.lock failed" in done.stderr
    assert "check the network" in done.stderr
    assert "Traceback" not in done.stderr
    (checkout / "requirements.lock").write_text("# requirements.lock\n")  # what was installed before the failure
    assert setup(checkout).returncode != 0
    put_uv(checkout.parent, code=0)
    assert setup(checkout).returncode == 0


def test_without_a_python_that_is_new_enough_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "find_python", lambda versions: None)
    monkeypatch.setattr(bootstrap, "find_uv", lambda folder: None)
    with pytest.raises(SystemExit) as stopped:
        bootstrap.make_venv(str(tmp_path / "venv"), [(3, 11), (3, 12)])
    assert "Python 3.11 or 3.12 is needed" in stopped.value.code
    assert "make setup PY=python3.12" in stopped.value.code


def test_without_venv_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "find_uv", lambda folder: None)
    for name in ("run", "answers"):
        monkeypatch.setattr(bootstrap, name, lambda *command, **options: False)
    with pytest.raises(SystemExit) as stopped:
        bootstrap.make_venv(str(tmp_path / "venv"), [sys.version_info[:2]])
    assert "apt-get install python3-venv" in stopped.value.code
    assert sys.executable in stopped.value.code


def test_without_ensurepip_pip_comes_from_outside(monkeypatch, tmp_path):
    commands = []

    def answers(*command, **options):
        commands.append(command[1:])
        return "--without-pip" in command or "pip" in command

    monkeypatch.setattr(bootstrap, "find_uv", lambda folder: None)
    monkeypatch.setattr(bootstrap, "answers", answers)
    monkeypatch.setattr(bootstrap, "run", answers)
    folder = str(tmp_path / "venv")
    bootstrap.make_venv(folder, [sys.version_info[:2]])
    pip = ("-m", "pip", "--python", bootstrap.venv_python(folder), "install", "--quiet", "pip")
    assert commands == [("-m", "venv", folder), ("-m", "venv", "--without-pip", folder), pip]


def test_this_python_is_taken_when_it_fits_and_another_when_not():
    assert bootstrap.find_python([(3, 11), (3, 12)], this=(3, 12, 1), which=lambda name: None) == sys.executable
    found = bootstrap.find_python([(9, 8), (9, 9)], this=(3, 8, 0), which={"python9.9": sys.executable}.get)
    assert found == sys.executable


def test_uv_is_fetched_by_its_pin_and_hashes():
    for lock in (bootstrap.CORE, bootstrap.DEV):
        text = (ROOT / lock).read_text()
        lines = bootstrap.requirement(text, "uv").splitlines()
        assert lines[0].startswith("uv==")
        assert all(line.strip().startswith("--hash=sha256:") for line in lines[1:])
        assert len(lines) > 2
    assert bootstrap.requirement("uvloop==1 \\\n    --hash=sha256:0\n", "uv") is None


def test_settings_of_another_environment_do_not_leak():
    code = "import bootstrap; print(sorted(set(bootstrap.CLEAN) & {'PYTHONPATH', 'VIRTUAL_ENV'}))"
    foreign = {"PYTHONPATH": str(ROOT / "tools"), "VIRTUAL_ENV": "/nowhere"}
    assert subprocess.check_output([sys.executable, "-c", code], env=os.environ | foreign, text=True) == "[]\n"
