"""Lessons as Colab runs them, under strict nbval:

    .venv-colab/bin/python tools/colab_lessons.py        # all of them
    .venv-colab/bin/python tools/colab_lessons.py 00 01  # these

The library comes from a wheel that is built here, the notebooks lie outside this checkout, and a stand-in for Colab's
module is there, so that the first cell takes Colab's way.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

import lab_environment
import prove

# anywidget looks for the address of the manager that has been turned on.
OUTPUT = """
class _widgets:
    _installed_url = None

def enable_custom_widget_manager():
    _widgets._installed_url = "stand-in"
"""
STAND_IN = {
    "google/colab/__init__.py": "",
    "google/colab/output.py": OUTPUT,
    "sitecustomize.py": "import google.colab\n",  # Colab's kernel has it loaded before the first cell
}


def build_wheel(folder: pathlib.Path) -> pathlib.Path:
    """Build this checkout's wheel into a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=prove.ROOT, check=True, stdout=subprocess.DEVNULL)
    [wheel] = folder.glob("perceiver_lab-*.whl")
    return wheel


def unpack(wheel: pathlib.Path, site: pathlib.Path) -> None:
    """What installing a wheel of pure Python comes to, and the stand-in for Colab's module beside it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name, text in STAND_IN.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)


def main(numbers: list[str]) -> int:
    lessons = sorted((prove.ROOT / "notebooks").glob("*.ipynb"))
    lessons = [path for path in lessons if not numbers or path.name[:2] in numbers]
    if not lessons:
        raise SystemExit(f"No lesson {', '.join(numbers)} in {prove.ROOT / 'notebooks'}.")
    lab_environment.apply()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        unpack(build_wheel(folder), folder / "site")
        (folder / "content").mkdir()
        for lesson in lessons:
            shutil.copy(lesson, folder / "content")
        os.environ["PYTHONPATH"] = str(folder / "site")
        sanitize = f"--nbval-sanitize-with={prove.ROOT / 'tests' / 'notebooks' / 'sanitize.cfg'}"
        options = [sanitize if option.startswith("--nbval-sanitize-with") else option for option in prove.NBVAL]
        command = [*prove.PYTEST, *prove.TWO_WORKERS, *options, "-c", str(prove.ROOT / "pyproject.toml")]
        return subprocess.call([*command, f"--rootdir={folder}", str(folder / "content")], cwd=folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
