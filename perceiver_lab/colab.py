"""What a lesson's first cell does in Colab before the rest of the library can be imported: standard library only."""

import importlib
import importlib.metadata
import pathlib
import re
import subprocess
import sys
import tomllib

# Needed by jaxtyping, which is installed without what it needs itself.
_ALSO = "wadler-lindig>=0.1"


def prepare() -> None:
    """In Colab: say what is there, install what is missing, and allow widgets. Anywhere else: nothing.

    What Colab has is never replaced: only missing packages are installed, each without its own dependencies.

    Raises:
      SystemExit: a package is older than the lower bound in pyproject.toml, or pip failed; the message says what to do.
    """
    if "google.colab" not in sys.modules:
        return
    wanted = requirements()
    found = {name: _installed(name) for name in wanted}
    python, package = sys.version.split()[0], pathlib.Path(__file__).resolve().parent
    print(f"Colab, Python {python}, jax {found['jax']}, flax {found['flax']}; the library is in {package}.")
    old = [name for name, version in found.items() if version and _numbers(version) < _numbers(wanted[name])]
    if old:
        raise SystemExit(
            f"Too old here: {', '.join(f'{name} {found[name]}' for name in old)}; nothing was changed. Run "
            f"`%pip install {' '.join(repr(f'{name}>={wanted[name]}') for name in old)}` in a cell of its own, restart "
            "once (Runtime, Restart session), and run this cell again."
        )
    _install([f"{name}>={wanted[name]}" for name, version in found.items() if version is None])
    from google.colab import output

    output.enable_custom_widget_manager()


def requirements() -> dict[str, str]:
    """What the course needs in Colab: name -> lower bound, from the installed wheel or the clone's pyproject.toml."""
    try:
        lines = importlib.metadata.requires("perceiver-lab")
        lines = [line for line in lines if "extra ==" not in line or re.search(r"extra == .music.", line)]
    except importlib.metadata.PackageNotFoundError:
        project = pathlib.Path(__file__).resolve().parents[1] / "pyproject.toml"
        table = tomllib.loads(project.read_text("utf-8"))["project"]
        lines = [*table["dependencies"], *table["optional-dependencies"]["music"]]
    return dict(re.match(r"([\w.-]+)\s*>=\s*([\d.]+)", line).groups() for line in [*lines, _ALSO])


def _installed(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version):
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def _install(missing):
    if not missing:
        print("Nothing is missing.")
        return
    print(f"Installing what is missing: {', '.join(missing)}.")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", *missing]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit(
            "pip could not install them; its reason stands above. Mostly the network was away: run this cell again."
        )
    importlib.invalidate_caches()
