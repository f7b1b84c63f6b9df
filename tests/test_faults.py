"""Some of each fault that `python -m tests.faults` tries, in a process of its own, in which forks are safe."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
KINDS = 8


def test_a_sample_of_all_faults():
    command = [sys.executable, "-m", "tests.faults", "sample"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    seed, *lines = done.stdout.splitlines()
    assert seed.startswith("PERCEIVER_LAB_FAULT_SEED="), seed
    assert len(lines) == KINDS and all("tried" in line and "tried 0" not in line for line in lines), done.stdout
