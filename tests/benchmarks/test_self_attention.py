import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "self_attention.py"


@pytest.mark.slow
def test_both_forms_are_measured_and_the_chosen_one_is_marked(tmp_path):
    output = tmp_path / "results" / "self_attention.json"
    command = [sys.executable, str(SCRIPT), "--quick", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    [case] = json.loads(output.read_text())["cases"]
    assert case["sizes"]["scores"] == 2**20
    assert case["chosen"] == "einsum"
    for kind in ("train", "forward"):
        assert set(case[kind]) == {"einsum", "chunked"}
        assert min(case[kind].values()) > 0
    row = done.stdout.splitlines()[1].split()
    assert row[:2] == ["64x64x64x4x16", "1.00"]
    assert [cell.endswith("*") for cell in row[2:]] == [True, False, False, True, False, False]
