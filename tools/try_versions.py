"""The library under the oldest versions that pyproject.toml allows, or under the newest there are:

    .venv/bin/python tools/try_versions.py lowest
    .venv/bin/python tools/try_versions.py newest

An environment of its own for each, made anew every time; then the unit tests, parity, and lessons 01 and 04.
"""

import pathlib
import shutil
import subprocess
import sys

import bootstrap

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHONS = {"lowest": (3, 11), "newest": (3, 13)}
# The oldest of what the library names itself; what these need may be newer, as it is for whoever has these.
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
TEST_TOOLS = ("pytest>=8.4", "pytest-xdist", "pytest-timeout", "nbval", "hypothesis", "beartype", "mido")
STAGES = ("version-tests", "version-notebooks")


def install(which: str, uv: str) -> pathlib.Path:
    """Make the environment and give its interpreter."""
    folder = ROOT / f".venv-{which}"
    shutil.rmtree(folder, ignore_errors=True)
    python = folder / bootstrap.BIN / f"python{bootstrap.EXE}"
    into = (uv, "pip", "install", "--quiet", "--python", str(python))
    extras = ("--extra", "lab", "--extra", "music")
    wanted = bootstrap.find_python([PYTHONS[which]]) or "{}.{}".format(*PYTHONS[which])  # uv fetches what is missing
    for command in (
        (uv, "venv", "--quiet", "--python", wanted, str(folder)),
        (*into, "--resolution", RESOLUTIONS[which], "-r", "pyproject.toml", *extras),
        (*into, *TEST_TOOLS),  # newest, and as few of the others as possible change
    ):
        subprocess.run(command, cwd=ROOT, env=bootstrap.CLEAN, check=True)
    bootstrap.add_to_path(str(python))
    subprocess.run((uv, "pip", "list", "--python", str(python)), cwd=ROOT, env=bootstrap.CLEAN, check=True)
    return python


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in PYTHONS:
        raise SystemExit(f"Give one of {', '.join(PYTHONS)}, not {' '.join(arguments) or 'nothing'}.")
    uv = bootstrap.find_uv(str(pathlib.Path(sys.executable).parents[1]))
    if uv is None:
        raise SystemExit("uv is missing from .venv: run `make setup` again.")
    python = install(arguments[0], uv)
    return subprocess.call((str(python), "tools/prove.py", *STAGES), cwd=ROOT, env=bootstrap.CLEAN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
