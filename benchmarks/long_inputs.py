"""How time and memory grow with very many inputs: python benchmarks/long_inputs.py

Forward and backward pass of one cross-attention of 256 latents, in the form that `ops.cross_attend` chooses by itself,
with gradients of all parameters and of the latents. Memory is what the compiler reserves beside the arguments:
temporaries and outputs. Seconds are the median of the runs after the first, or the first alone where it takes long.
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import jax
import numpy as np
from attention import SLOPE, make, run

from perceiver_lab.introspect import cost

RESULTS = Path(__file__).parent / "results" / "long_inputs.json"
INPUTS = (65_536, 262_144, 1_048_576, 4_194_304)
SIZES = {"c": 64, "n": 256, "d": 256, "b": 1}
QUICK, QUICK_SIZES = (1_024, 4_096), {"c": 16, "n": 8, "d": 32, "b": 1}
SHARE, SPARE = 0.25, 64 * 2**20  # of the inputs' bytes, and beside them


def measure(m, sizes, patience):
    """One length; `patience` in seconds ends the repetitions."""
    arguments = make(m=m, **sizes)
    read = str(cost(lambda *given: run(*given, form="auto"), *arguments).reads[0])
    program = jax.jit(run, static_argnames="form").lower(*arguments, form="auto").compile()
    memory = program.memory_analysis()
    seconds = []
    while len(seconds) < 4 and sum(seconds) < patience:
        began = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        seconds.append(time.perf_counter() - began)
    return {
        "seconds": round(statistics.median(seconds[1:] or seconds), 4),
        "runs": len(seconds[1:]) or 1,
        "input_bytes": arguments[2].nbytes,
        "temporary_bytes": memory.temp_size_in_bytes,
        "output_bytes": memory.output_size_in_bytes,
        "read": read,
    }


def slope(cases):
    """Of log time over log inputs."""
    seconds = [math.log(case["seconds"]) for case in cases.values()]
    return float(np.polyfit([math.log(m) for m in cases], seconds, 1)[0])


def targets(cases):
    """What is to be met: description -> whether it is."""
    met = {f"slope of time over inputs {slope(cases):.3f}, at most {SLOPE}": slope(cases) <= SLOPE}
    for m, case in cases.items():
        used, limit = case["temporary_bytes"] + case["output_bytes"], SHARE * case["input_bytes"] + SPARE
        text = f"{m:,} inputs: {used / 2**20:.0f} MiB of temporaries and outputs, at most {limit / 2**20:.0f}"
        met[text] = used <= limit
    return met


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short inputs, to see that it runs")
    parser.add_argument("--longest", type=int, default=INPUTS[-1], help="where memory does not permit the longest")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    lengths, sizes = (QUICK, QUICK_SIZES) if options.quick else (INPUTS, SIZES)
    cases = {}
    print(f"{'inputs':>10}{'seconds':>10}{'runs':>6}{'inputs MiB':>12}{'temporaries MiB':>17}{'outputs MiB':>13}")
    for m in lengths:
        if m <= options.longest:
            case = cases[m] = measure(m, sizes, patience=15)
            mebibytes = (case[f"{kind}_bytes"] / 2**20 for kind in ("input", "temporary", "output"))
            print(
                f"{m:>10,}{case['seconds']:>10.3f}{case['runs']:>6}" + "{:>12.1f}{:>17.1f}{:>13.1f}".format(*mebibytes)
            )
            print(f"{'':>10}  {case['read']}", flush=True)
    met = targets(cases)
    for target, reached in met.items():
        print(f"{'met   ' if reached else 'missed'} {target}")
    result = {"sizes": sizes, "cases": cases, "slope": round(slope(cases), 4), "targets": met}
    result |= {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
