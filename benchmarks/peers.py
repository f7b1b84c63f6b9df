"""A training step and a forward pass here and in other implementations: python benchmarks/peers.py

Hugging Face's Perceiver holds the same weights, moved by `perceiver_lab.convert`, and its outputs are compared first;
lucidrains' Perceiver and Perceiver AR have no weights that would fit, nor has the rewrite with Flax's own parts
(`workers/newcomer.py`). Each peer is a process, and so is ours: they take turns on the same cores, one waiting while
the other works, and the medians and their ratio are reported. All get their memory in large pages, as the course's
JupyterLab does. PyTorch is no dependency of the course; it lives in an environment of its own:

    python3.11 -m venv .venv-peers
    .venv-peers/bin/pip install torch==2.13.0 transformers safetensors numpy perceiver-pytorch perceiver-ar-pytorch
    python benchmarks/peers.py --peer .venv-peers/bin/python

krasserm's perceiver-io is left out: what pip finds, 0.6.0, pins a PyTorch below 1.13, which no Python from 3.11 on has.
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
# What is promised for each case, the peer's seconds per training step over ours, and who is measured.
CASES = {
    "imagenet_fourier": (3.0, ("huggingface", "lucidrains", "newcomer")),
    "mlm": (1.2, ("huggingface", "newcomer")),
    "perceiver_ar": (1.2, ("lucidrains", "newcomer")),
}
SAME_WEIGHTS = ("huggingface",)
JAX = ("ours", "newcomer")  # run in our own environment
LARGEST_DIFFERENCE = 3e-5  # of outputs up to 1; of larger ones in proportion


class Worker:
    """A process that does one thing at a time: a request as a line of JSON in, an answer as a line of JSON out."""

    def __init__(self, python: str, script: Path, case: str, folder: Path, threads: int):
        command = [python, str(script), case, str(folder), str(threads)]
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "false",
            "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # as tools/lab.py starts JupyterLab
        }
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


def measure(case, peer, peer_python, *, turns, threads):
    """Medians in seconds of both sides, and of the ratio within each pair of turns."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        sides = {}
        for side, name in (("ours", "ours"), ("peer", peer)):
            # Ours comes first: it writes the weights and the batch that the other reads.
            python = sys.executable if name in JAX else peer_python
            sides[side] = Worker(python, HERE / "workers" / f"{name}.py", case, folder, threads)
            stack.callback(sides[side].end)
            sides[side].ask(do="ready")
        difference = compare(folder, sides) if peer in SAME_WEIGHTS else None
        seconds = {work: {side: [] for side in sides} for work in ("forward", "step")}
        for work in seconds:
            for side in sides.values():
                side.ask(do=work)  # compiles, or fills caches
            for number in range(turns):
                for side in list(sides)[:: 1 if number % 2 else -1]:
                    seconds[work][side].append(sides[side].ask(do=work)["seconds"])
        about = {side: worker.ask(do="about") for side, worker in sides.items()}
    result = {"about": about, "turns": turns, "threads": threads}
    result |= {} if difference is None else {"largest_difference_of_outputs": difference}
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
    # What is not measured now keeps its numbers.
    results = json.loads(options.output.read_text()) if options.output.exists() else {}
    for case in options.case or CASES:
        goal, peers = CASES[case]
        for peer in peers:
            settings = {"turns": options.turns, "threads": options.threads}
            results.setdefault(case, {})[peer] = measured = measure(case, peer, options.peer, **settings)
            show(case, peer, goal, measured)
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(results, indent=1) + "\n")


def show(case, peer, goal, measured):
    """The seconds, and whether what was promised is met."""
    for work in ("forward", "step"):
        one = measured[work]
        print(
            f"{case:17s} {work:8s} ours {one['seconds_ours']:7.3f} s, {peer:12s} {one['seconds_peer']:7.3f} s, "
            f"ratio {one['ratio']:5.2f}",
            flush=True,
        )
    met = "met   " if measured["step"]["ratio"] >= goal else "missed"
    print(f"{met} {case}: a step at least {goal} times as fast")
    difference = measured.get("largest_difference_of_outputs")
    if difference is not None:
        met = "met   " if difference <= LARGEST_DIFFERENCE else "missed"
        print(f"{met} {case}: outputs differ by {difference:.1e}, at most {LARGEST_DIFFERENCE:.0e}")


if __name__ == "__main__":
    main()
