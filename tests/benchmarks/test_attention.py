import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "attention.py"


@pytest.mark.slow
def test_the_comparison_runs_and_its_forms_agree(tmp_path):
    output = tmp_path / "results" / "attention.json"
    command = [sys.executable, str(SCRIPT), "--quick", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(output.read_text())
    assert len(result["cases"]) == 2
    for case in result["cases"].values():
        assert set(case["forms"]) == {"plain", "chunked", "folded", "folded_chunked"}
        assert case["chosen"] in case["forms"]
        for form in case["forms"].values():
            assert form["seconds"] > 0
            assert form["mebibytes"] > 0
            assert form["output_difference"] <= 1e-5
            assert form["gradient_difference"] <= 1e-4
    lines = done.stdout.splitlines()
    assert lines[0].split()[0] == "case"
    assert sum(line.startswith(("met", "missed")) for line in lines) == len(result["targets"])
