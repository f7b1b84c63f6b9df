"""How long a training step of every recipe takes, and a whole training: python benchmarks/recipe_steps.py [NAME ...]

Steps of mode full, with its batch, for all recipes whose data ship: the median after the first ones, from the
pipeline's next batch to the step's end, as a training does it. Minutes are that times the number of steps: evaluation,
checkpoints and compiling come on top. What a training really took stands in the JSON file beside its weights, but not
what else the machine did at that time.
"""

import argparse
import itertools
import json
import os
import statistics
import time
from pathlib import Path

import jax

from perceiver_lab import datasets, recipes
from perceiver_lab.recipes.fingerprints import versions
from perceiver_lab.recipes.starting import initial_model
from perceiver_lab.training import make_train_step
from perceiver_lab.training.forward import split_records

RESULTS = Path(__file__).parent / "results" / "recipe_steps.json"
WARM_UP, SECONDS, FEWEST, MOST = 2, 6.0, 3, 30  # steps that do not count, how long to go on, and how many steps


def measure(recipe, mode="full", seconds=SECONDS):
    """Milliseconds of a step, and what a training of that mode comes to."""
    budget = recipe.budget(mode)
    step = make_train_step(initial_model(recipe, 0), recipe.optimizer.make(budget.steps), recipe.loss)
    batches, state, key, times = recipe.train_batches(mode, 0), step.init(), jax.random.key(0), []
    for number in itertools.count():
        began = time.perf_counter()
        batch, _ = split_records(next(batches))
        *state, _ = jax.block_until_ready(step(*state, batch, jax.random.fold_in(key, number)))
        times.append(time.perf_counter() - began)
        counted = times[WARM_UP:]
        if len(counted) >= MOST or (len(counted) >= FEWEST and sum(counted) > seconds):
            break
    median = statistics.median(counted)
    return {
        "milliseconds": round(1e3 * median, 1),
        "steps": budget.steps,
        "batch_size": budget.batch_size,
        "minutes": round(median * budget.steps / 60, 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of recipes; by default all whose data ship")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    names = options.names or [name for name in recipes.names() if recipes.get(name).data.name in datasets.names()]
    # What is not measured now keeps its numbers.
    result = json.loads(options.output.read_text()) if options.output.exists() else {}
    for name in names:
        found = result.setdefault("recipes", {})[name] = measure(recipes.get(name))
        told = f"{found['steps']:6,} steps of {found['milliseconds']:8.1f} ms: {found['minutes']:6.1f} minutes"
        print(f"{name:28s}{told}", flush=True)
        jax.clear_caches()
        result |= {"device": jax.devices()[0].device_kind, "cores": len(os.sched_getaffinity(0)), **versions()}
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
