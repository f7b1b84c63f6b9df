"""Runs the stages named:

    .venv/bin/python tools/prove.py lint data tests notebooks browser

All of them run even if one fails; a table of them comes last.
"""

import pathlib
import subprocess
import sys
import time

import lab_environment

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHON = sys.executable
PYTEST = (PYTHON, "-m", "pytest", "-q", "--durations=10", "--durations-min=5")
# A file stays on one worker: its notebook's kernel, its fixtures and its compiled functions are there. Files come in
# the order that tests/conftest.py puts them in, not by their number of tests. A worker that dies ends the run at once.
TWO_WORKERS = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "--max-worker-restart", "0")
NBVAL = (
    "--nbval",
    "--nbval-current-env",
    "--nbval-sanitize-with=tests/notebooks/sanitize.cfg",
    "--nbval-cell-timeout=900",
    "--nbval-kernel-startup-timeout=180",
    "--timeout=1000",
    # A warning of a lesson shows as an output that was not there; those of Jupyter around it are not ours.
    "--override-ini=filterwarnings=ignore",
)
# What a change to an operation, a layer, an exercise or a text breaks first.
ROOMS = ("ops", "layers", "adapters", "introspect", "figures", "docs", "tools")
FAST = (*(f"tests/{room}" for room in ROOMS), "tests/course/test_exercises.py", "tests/test_rooms.py")
# What a version of JAX or Flax can break. The rest needs tools that the course does not ask for in Colab, or says
# nothing about versions; the lessons run there by `make test-colab-all`.
BY_VERSION = ("ops", "layers", "adapters", "models", "parity", "presets", "training", "generation", "introspect")
TOOLED = ("benchmarks", "docs", "notebooks", "tools")  # what needs the tools of our own environment

SUITE = (*PYTEST, *TWO_WORKERS, "-m", "not browser", "tests")
# All tests among each other; those of one file still run one after the other, on one worker.
SHUFFLED = ("--random-order-bucket=global", "--random-order-seed")

STAGES = {
    "lint": [(PYTHON, "-m", "ruff", "check", "."), (PYTHON, "-m", "ruff", "format", "--check", "--quiet", ".")],
    "data": [(PYTHON, "tools/prepare_sets.py")],
    "tests": [SUITE],
    "shuffled": [(*SUITE, *SHUFFLED, seed) for seed in ("1", "2", "3")],
    "coverage": [(*SUITE, "--cov=perceiver_lab")],
    "fast": [(*PYTEST, *TWO_WORKERS, "-m", "not (browser or slow)", *FAST)],
    "notebooks": [(*PYTEST, *TWO_WORKERS, *NBVAL, "notebooks")],
    "browser": [(*PYTEST, *TWO_WORKERS, "-m", "browser", "tests")],
    "colab-tests": [
        (*PYTEST, *TWO_WORKERS, "-m", "not (notebook or slow or recipe)", *(f"tests/{room}" for room in BY_VERSION)),
    ],
    "colab-notebook": [(*PYTEST, *NBVAL, "notebooks/01_cross_attention.ipynb")],
    "version-tests": [
        (
            *PYTEST,
            *TWO_WORKERS,
            "-m",
            "not (browser or notebook or slow)",
            *(f"--ignore=tests/{room}" for room in (*TOOLED, "browser")),
            "--ignore-glob=*_browser.py",
            "tests",
        ),
    ],
    "version-notebooks": [
        (*PYTEST, *TWO_WORKERS, *NBVAL, "notebooks/01_cross_attention.ipynb", "notebooks/04_the_perceiver.ipynb"),
    ],
}


def prove(stage: str) -> bool:
    """Run one stage; True if everything in it passed."""
    print(f"\n=== {stage}", flush=True)
    # All commands of a stage run: a list, not a generator.
    return all([subprocess.call(command, cwd=ROOT) == 0 for command in STAGES[stage]])  # noqa: C419


def main(stages: list[str]) -> int:
    unknown = [stage for stage in stages if stage not in STAGES]
    if unknown or not stages:
        raise SystemExit(f"Unknown stage {', '.join(unknown) or '(none given)'}: choose from {', '.join(STAGES)}.")
    if "coverage" in stages and sys.version_info < (3, 12):
        raise SystemExit(
            "Before Python 3.12 counting lines can make a thread fail as it starts, and what waits for it hang. Make "
            ".venv with a newer one: rm -r .venv && make setup PY=python3.12"
        )
    lab_environment.apply()
    lines, failed = [], False
    for stage in stages:
        start = time.monotonic()
        passed = prove(stage)
        failed |= not passed
        lines.append(f"{stage:<15} {'passed' if passed else 'FAILED'} {(time.monotonic() - start) / 60:6.1f} min")
    print("\n" + "\n".join(lines), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
