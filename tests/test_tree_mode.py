"""The tests of modules pass as well with NNX in tree mode, whose settings Flax announces as a later default."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
TREE_MODE = {"NNX_GRAPH_MODE": "false", "NNX_GRAPH_UPDATES": "false"}
# What the mode can break first: stacks, recording, training steps and files. All tests of all models run in it as well,
# where Colab's versions are tried, which know no other mode.
TESTS = (
    *(f"tests/layers/test_{part}.py" for part in ("stack", "recording")),
    *(f"tests/training/test_{part}.py" for part in ("step", "freezing", "weights")),
)


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | TREE_MODE, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_modules_work_in_tree_mode():
    done = run("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow", *TESTS)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_the_settings_reach_nnx():
    # Flax 0.11 has the tree mode only and no setting for it.
    names = "nnx_graph_mode", "nnx_graph_updates"
    done = run("-c", f"from flax import config; print([getattr(config, name, False) for name in {names}])")
    assert done.stdout.strip() == "[False, False]", done.stderr
