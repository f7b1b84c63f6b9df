"""A training step and a forward pass of Perceiver IO here and in Hugging Face's PyTorch: python benchmarks/peers.py

Two processes hold the same model with the same weights, moved by `perceiver_lab.convert`; their outputs are compared
first. Then they take turns on the same cores, one waiting while the other works, and the medians and their ratio are
reported. PyTorch is no dependency of the course; the peer runs in an environment of its own:

    python3.11 -m venv .venv-peers
    .venv-peers/bin/pip install "torch==2.13.0" transformers safetensors numpy
    python benchmarks/peers.py --peer .venv-peers/bin/python
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent
RESULTS = HERE / "results" / "peers.json"
# What is promised for each case: the peer's seconds per training step over ours.
CASES = {"imagenet_fourier": 3.0, "mlm": 1.2}
WORKERS = {"ours": HERE / "workers" / "ours.py", "peer": HERE / "workers" / "huggingface.py"}
LARGEST_DIFFERENCE = 3e-5  # of outputs up to 1; of larger ones in proportion


class Worker:
    """A process that does one thing at a time: a request as a line of JSON in, an answer as a line of JSON out."""

    def __init__(self, python: str, script: Path, case: str, folder: Path, threads: int):
        command = [python, str(script), case, str(folder), str(threads)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{' '.join(self.process.args[:2])} ended; what it said stands above.")
        return json.loads(answer)

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)


def measure(case, peer_python, *, turns, threads):
    """Medians in seconds of both sides, and of the ratio within each pair of turns."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        sides = {}
        for side, python in (("ours", sys.executable), ("peer", peer_python)):
            # Ours comes first: it writes the weights and the batch that the other reads.
            sides[side] = Worker(python, WORKERS[side], case, folder, threads)
            stack.callback(sides[side].end)
            sides[side].ask(do="ready")
        difference = compare(folder, sides)
        seconds = {work: {side: [] for side in sides} for work in ("forward", "step")}
        for work in seconds:
            for side in sides.values():
                side.ask(do=work)  # compiles, or fills caches
            for number in range(turns):
                for side in list(sides)[:: 1 if number % 2 else -1]:
                    seconds[work][side].append(sides[side].ask(do=work)["seconds"])
        about = {side: worker.ask(do="about") for side, worker in sides.items()}
    result = {"largest_difference_of_outputs": difference, "about": about, "turns": turns, "threads": threads}
    for work, measured in seconds.items():
        ratios = [peer / ours for peer, ours in zip(measured["peer"], measured["ours"], strict=True)]
        result[work] = {f"seconds_{side}": round(statistics.median(times), 4) for side, times in measured.items()}
        result[work]["ratio"] = round(statistics.median(ratios), 3)
    return result


def compare(folder, sides):
    """The largest difference between the outputs of the two, whose weights are the same, over the largest output."""
    outputs = {}
    for side, worker in sides.items():
        worker.ask(do="outputs", path=str(folder / f"{side}.npy"))
        outputs[side] = np.load(folder / f"{side}.npy")
    scale = max(1.0, float(np.abs(outputs["peer"]).max()))
    return float(np.abs(outputs["ours"] - outputs["peer"]).max()) / scale


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", default=str(ROOT / ".venv-peers" / "bin" / "python"), help="Python with PyTorch")
    parser.add_argument("--case", choices=CASES, action="append", help="by default all")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    if not Path(options.peer).exists():
        print(
            f"No measurement: {options.peer} is not there. How to make it stands at the top of {Path(__file__).name}."
        )
        return
    results = {}
    for case in options.case or CASES:
        results[case] = measured = measure(case, options.peer, turns=options.turns, threads=options.threads)
        for work in ("forward", "step"):
            one = measured[work]
            print(
                f"{case:17s} {work:8s} ours {one['seconds_ours']:7.3f} s, Hugging Face {one['seconds_peer']:7.3f} s, "
                f"ratio {one['ratio']:5.2f}",
                flush=True,
            )
        met = "met   " if measured["step"]["ratio"] >= CASES[case] else "missed"
        print(f"{met} {case}: a step at least {CASES[case]} times as fast")
        difference = measured["largest_difference_of_outputs"]
        met = "met   " if difference <= LARGEST_DIFFERENCE else "missed"
        print(f"{met} {case}: outputs differ by {difference:.1e}, at most {LARGEST_DIFFERENCE:.0e}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
