"""`import perceiver_lab` is cheap, and so is the core of the library: nothing heavy comes with it unasked."""

import json
import statistics
import subprocess
import sys

import pytest

HEAVY = {"grain", "orbax", "tensorflow", "tensorflow_datasets", "matplotlib", "ipywidgets", "anywidget", "IPython"}
CORE = "import perceiver_lab.ops, perceiver_lab.layers, perceiver_lab.adapters, perceiver_lab.models"
RUNS, ALLOWED_SECONDS = 3, 0.3


def loaded_after(statement: str) -> set[str]:
    """The top-level modules in a fresh interpreter after a statement."""
    code = f"{statement}\nimport json, sys; print(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    return set(json.loads(subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()[-1]))


def seconds(statement: str) -> float:
    """What a statement costs in a fresh interpreter that has imported Flax: CPU time, which neighbours leave alone."""
    code = f"import flax, time; start = time.process_time(); {statement}; print(time.process_time() - start)"
    return float(subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()[-1])


@pytest.mark.parametrize("statement", ["import perceiver_lab", CORE], ids=["package", "core"])
def test_nothing_heavy_is_imported(statement):
    # What Flax itself brings, in this version or that, is not the library's doing.
    assert (loaded_after(statement) - loaded_after("import flax.nnx")) & HEAVY == set()


def test_the_import_costs_little_more_than_flax():
    assert statistics.median(seconds("import perceiver_lab") for _ in range(RUNS)) <= ALLOWED_SECONDS
