"""From how many scores on attention goes faster in chunks: python benchmarks/self_attention.py

`attend` by its definition and in chunks, forward and backward (gradients of queries, keys and values) and forward
alone, one after the other in one process: the median of the runs after the first. Cases are those of the models here,
by batch, queries, keys, heads and channels of a head. `attend` takes the one marked with a star.
"""

import argparse
import functools
import json
import statistics
import time
from pathlib import Path

import jax

from perceiver_lab.ops import attend
from perceiver_lab.ops.attention import choose_implementation

RESULTS = Path(__file__).parent / "results" / "self_attention.json"
FORMS = ("einsum", "chunked")
CASES = [
    (64, 64, 64, 4, 16),
    (16, 144, 144, 4, 16),
    (32, 49, 196, 4, 16),
    (4, 256, 256, 8, 32),
    (16, 256, 256, 4, 16),
    (4, 576, 576, 4, 16),
    (4, 1024, 1024, 4, 16),
    (1, 2048, 2048, 8, 32),
    (4, 512, 512, 8, 64),
    (2, 256, 2048, 8, 64),
    (1, 512, 4096, 8, 64),
    (8, 256, 256, 8, 160),
    (4, 512, 512, 8, 128),
    (1, 2048, 2048, 8, 128),
]


@functools.partial(jax.jit, static_argnames="impl")
def forward(q, k, v, *, impl):
    return attend(q, k, v, impl=impl)


@functools.partial(jax.jit, static_argnames="impl")
def train(q, k, v, *, impl):
    return jax.grad(lambda arrays: (attend(*arrays, impl=impl) ** 2).sum())((q, k, v))


def milliseconds(program, arrays, impl, seconds):
    times, began = [], time.perf_counter()
    while len(times) < 4 or (time.perf_counter() - began < seconds and len(times) < 60):
        start = time.perf_counter()
        jax.block_until_ready(program(*arrays, impl=impl))
        times.append(1e3 * (time.perf_counter() - start))
    return round(statistics.median(times[1:]), 2)


def measure(b, n, m, h, d, seconds=1.0):
    keys = jax.random.split(jax.random.key(0), 3)
    shapes = ((b, n, h, d), (b, m, h, d), (b, m, h, d))
    arrays = [jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)]
    return {
        "sizes": {"batch": b, "queries": n, "keys": m, "heads": h, "head channels": d, "scores": b * n * m * h},
        "chosen": choose_implementation(*arrays, platform=jax.default_backend()),
        "train": {impl: milliseconds(train, arrays, impl, seconds) for impl in FORMS},
        "forward": {impl: milliseconds(forward, arrays, impl, seconds) for impl in FORMS},
    }


def line(case):
    """A row of the table: both forms, the chosen one with a star, and how much faster the loop is."""
    cells = ["x".join(str(size) for size in list(case["sizes"].values())[:-1]).ljust(20)]
    cells.append(f"{case['sizes']['scores'] / 2**20:9.2f}")
    for kind in ("train", "forward"):
        times = case[kind]
        cells += [f"{times[impl]:9.1f}{'*' if impl == case['chosen'] else ' '}" for impl in FORMS]
        cells.append(f"{times['einsum'] / times['chunked']:7.2f}")
    return " ".join(cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the first case alone, to see that it runs")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    print("b x n x m x h x d    2^20 scores | train: einsum, chunked, ratio | forward: einsum, chunked, ratio (ms)")
    cases = []
    for sizes in CASES[:1] if options.quick else CASES:
        cases.append(measure(*sizes, seconds=0.1 if options.quick else 1.0))
        print(line(cases[-1]), flush=True)
    result = {"cases": cases, "device": jax.devices()[0].device_kind, "jax": jax.__version__}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
