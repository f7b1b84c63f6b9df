"""What one waits for before anything is learned: python benchmarks/start_up.py

Two waits, each in processes of its own. Importing `perceiver_lab`, and then the rooms that a model is made from, over
importing Flax, which is there in any case; they take turns, and the median of the differences counts. And the first
training step of a recipe: traced, compiled and run, with an empty persistent cache and then with what that left in it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax

RESULTS = Path(__file__).parent / "results" / "start_up.json"
RECIPES = ("digits_perceiver", "canvas_perceiver", "bytes_perceiver_io", "scenes_perceiver_io", "text_ar")
IMPORT, COLD, CACHED = 0.3, 5.0, 1.0
FLAX = "from flax import nnx"
LIBRARY = {
    "perceiver_lab": f"{FLAX}; import perceiver_lab",  # which loads no room before it is named
    "its rooms up to models": f"{FLAX}; from perceiver_lab import adapters, layers, models, ops",
}


def seconds_to_import(statement):
    """Inside a fresh process, whose own start does not count."""
    timed = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def first_step(name):
    """In this process: seconds from the call of a recipe's training step to its result."""
    from flax import nnx

    from perceiver_lab import recipes
    from perceiver_lab.training import make_train_step
    from perceiver_lab.training.forward import split_records

    recipe = recipes.get(name)
    step = make_train_step(recipe.make_model(nnx.Rngs(0)), recipe.optimizer.make(100), recipe.loss)
    batch, _ = split_records(next(recipe.train_batches("ci")))
    arguments = (*step.init(), batch, jax.random.key(0))
    began = time.perf_counter()
    jax.block_until_ready(step(*arguments))
    return time.perf_counter() - began


def cold_and_cached(name):
    """Two processes that share one cache, which is empty at first."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }  # fmt: skip
        command = [sys.executable, __file__, "--one", name]
        runs = [
            subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
            for _ in range(2)
        ]
    cold, cached = (round(float(run.splitlines()[-1]), 3) for run in runs)
    return {"cold": cold, "cached": cached}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one recipe and one import, to see that it runs")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(first_step(options.one))
        return
    turns = 1 if options.quick else 5
    imports, met = {}, {}
    for what, statement in list(LIBRARY.items())[-1 if options.quick else 0 :]:
        over = [seconds_to_import(statement) - seconds_to_import(FLAX) for _ in range(turns)]
        imports[what] = round(statistics.median(over), 3)
        met[f"importing {what} takes {imports[what]:.2f} s over Flax, at most {IMPORT}"] = imports[what] <= IMPORT
    steps = {}
    for name in RECIPES[:1] if options.quick else RECIPES:
        steps[name] = cold_and_cached(name)
        for kind, limit in (("cold", COLD), ("cached", CACHED)):
            seconds = steps[name][kind]
            met[f"{name}: first step {kind} {seconds:.2f} s, at most {limit:g}"] = seconds <= limit
    for target, reached in met.items():
        print(f"{'met   ' if reached else 'missed'} {target}")
    result = {"import_over_flax": imports, "first_step": steps, "targets": met}
    result |= {"device": jax.devices()[0].device_kind, "cores": os.cpu_count(), "jax": jax.__version__}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
