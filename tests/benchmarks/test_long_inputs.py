import json
import pathlib
import subprocess
import sys

import pytest

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"


def run(script, tmp_path, *options):
    output = tmp_path / "results" / "found.json"
    command = [sys.executable, str(BENCHMARKS / script), *options, "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(output.read_text())
    told = sum(line.startswith(("met", "missed")) for line in done.stdout.splitlines())
    assert told == len(result.get("targets", ()))
    return result


@pytest.mark.slow
def test_long_inputs_are_measured_with_the_form_that_they_take(tmp_path):
    result = run("long_inputs.py", tmp_path, "--quick")
    assert set(result["cases"]) == {"1024", "4096"}
    for m, case in result["cases"].items():
        assert case["seconds"] > 0
        assert case["input_bytes"] == int(m) * 16 * 4
        assert case["output_bytes"] > 0
        assert f"read {int(m):,} inputs" in case["read"]


@pytest.mark.slow
def test_start_up_is_measured(tmp_path):
    result = run("start_up.py", tmp_path, "--quick")
    (step,) = result["first_step"].values()
    assert 0 < step["cached"] < step["cold"]


@pytest.mark.slow
def test_a_plan_is_arithmetic_on_what_a_step_costs(tmp_path):
    machine = "mine,4,1e12,1e9,1e11,1e10"
    result = run("plan.py", tmp_path, "imagenet_conv_io", "--machine", machine, "--share", "0.5")
    counted, plan = result["counted"], result["plans"]["mine"]
    assert plan["seconds_computing"] == pytest.approx(counted["flops"] / (4 * 1e12 * 0.5))
    assert plan["seconds_exchanging"]["data"] == pytest.approx(2 * 3 / 4 * 4 * counted["parameters"] / 1e10)
    # Float32 parameters, gradients and LAMB's two moments, and its counter.
    assert counted["state_bytes"] == pytest.approx(16 * counted["parameters"], abs=1e3)
    assert plan["state_fits"] == {"data": True, "fsdp": True}
