"""The tests of modules pass as well with NNX in tree mode, whose settings Flax announces as a later default."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
TREE_MODE = {"NNX_GRAPH_MODE": "false", "NNX_GRAPH_UPDATES": "false"}
# What the mode can break: stacks, recording, training steps, files, and a model of each family, whole and trained. All
# tests of all models run in it as well, where Colab's versions are tried, which know no other mode.
MODELS = {
    "perceiver": ("test_a_call_is_embed_encode_decode", "test_every_parameter_learns"),
    "perceiver_io": ("test_one_output_per_query", "test_masked_and_dropped_modalities_get_their_random_numbers"),
    "perceiver_ar": ("test_the_call_is_its_steps", "test_a_scanned_stack_predicts_what_a_loop_does"),
    "ar_cache": ("test_a_scanned_stack_remembers_as_a_loop_does",),
    "hip": ("test_the_call_is_its_steps", "test_a_deep_block_is_scanned"),
    "resampler": ("test_it_computes_the_paper_s_formulas",),
    "flamingo": ("test_closed_gates_leave_the_language_model", "test_no_gradient_reaches_what_is_frozen"),
}
TESTS = (
    *(f"tests/layers/test_{part}.py" for part in ("stack", "recording")),
    *(f"tests/training/test_{part}.py" for part in ("step", "freezing", "weights")),
    "tests/adapters/test_multimodal.py",
    *(f"tests/models/test_{family}.py::{test}" for family, tests in MODELS.items() for test in tests),
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
