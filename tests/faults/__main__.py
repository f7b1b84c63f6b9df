"""Faults of checkpoints: never a wrong resume, never a lost good checkpoint, always a message that names the file.

`python -m tests.faults` tries all of them and prints a table; `python -m tests.faults sample` tries some of each, which
is what `tests/test_faults.py` does.
"""

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults import disks, files, kills


def faults(much: bool, seed: int) -> dict[str, Callable[[Path], dict[str, int]]]:
    """All of them by name."""
    rng = random.Random(seed)
    return {
        "killed at random moments": lambda folder: kills.random_kills(folder, 100 if much else 4, rng),
        "killed at each operation": lambda folder: kills.kills_at_each_operation(folder, 1 if much else 11),
        "disk full at each operation": lambda folder: disks.full_disk(folder, 1 if much else 5),
        "writes that fail": lambda folder: disks.no_room_to_grow(folder, 1 if much else 8),
        "read-only": disks.read_only,
        "damaged files": lambda folder: files.damaged(folder, 4 if much else 512, rng),
        "two runs, other recipes": files.strangers,
        "clock": files.clock,
    }


def main() -> None:
    """Try them and print a table."""
    much = sys.argv[1:] != ["sample"]
    seed = int(os.environ.get("PERCEIVER_LAB_FAULT_SEED", time.time_ns() % 2**32))
    print(f"PERCEIVER_LAB_FAULT_SEED={seed}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        for number, (label, fault) in enumerate(faults(much, seed).items()):
            began = time.perf_counter()
            folder = Path(name) / str(number)
            folder.mkdir()
            told_of = ", ".join(f"{what} {count}" for what, count in fault(folder).items())
            print(f"{label:<28} {told_of:<60} {time.perf_counter() - began:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
