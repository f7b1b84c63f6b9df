"""What training a published model on many devices would take, from shapes alone: python benchmarks/plan.py

Nothing is computed and nothing allocated: `introspect.cost` counts one training step of the recipe as it is written,
loss and gradients. The plan is arithmetic on these counts and on four figures of the machine, which are the makers' own
(cloud.google.com/tpu/docs/v5e; the data sheet of the H100 SXM) and can be replaced. What part of the peak a run reaches
(--share) is an assumption until it is measured. Not in the plan: reading and augmenting records, and evaluation.

    python benchmarks/plan.py imagenet_fourier_io --share 0.5
    python benchmarks/plan.py --machine mine,16,312e12,40e9,1.5e12,300e9
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.introspect import cost

RESULTS = Path(__file__).parent / "results" / "plan.json"
SIDE, CLASSES = 224, 1000


class Machine(NamedTuple):
    """So many devices; each with operations a second in bfloat16, bytes of memory, bytes a second to it and outside."""

    name: str
    devices: int
    flops: float
    memory: float
    bandwidth: float
    links: float


MACHINES = (
    Machine("TPU v5e-64", 64, 197e12, 16e9, 819e9, 200e9),
    Machine("8 x H100 SXM", 8, 989e12, 80e9, 3.35e12, 450e9),
)


def machine(text):
    name, devices, *figures = text.split(",")
    return Machine(name, int(devices), *map(float, figures))


def count(recipe, batch_size):
    """One step of a batch: FLOPs, bytes of parameters with gradients and optimiser state, and what XLA counts."""
    model = nnx.eval_shape(lambda: recipe.make_model(nnx.Rngs(0)))
    batch = {
        "image": jax.ShapeDtypeStruct((batch_size, SIDE, SIDE, 3), jnp.float32),
        "label": jax.ShapeDtypeStruct((batch_size, CLASSES), jnp.float32),
    }

    def gradients(model, batch):
        graphdef, params, state = nnx.split(model, nnx.Param, ...)

        def loss(params):
            model = nnx.merge(
                graphdef, params, jax.tree.map(lambda leaf: leaf, state)
            )  # new variables, as in TrainStep
            return recipe.loss(model, batch, nnx.Rngs(0))[0]

        return jax.grad(loss)(params)

    counted = cost(gradients, model, batch)
    params = nnx.state(model, nnx.Param)
    optimizer = jax.eval_shape(recipe.optimizer.make(recipe.budget("full").steps).init, params)
    state = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(optimizer))
    return {
        "flops": counted.flops,
        "parameters": counted.parameters,
        "parameter_bytes": counted.parameter_bytes,
        "state_bytes": 2 * counted.parameter_bytes + state,  # parameters, their gradients, the optimiser's moments
        "reads": sorted({str(read) for read in counted.reads}),
    }


def plan(one, counted, steps, batch_size, share):
    """Arithmetic: seconds of a step from its operations and from its gradients on the way; hours of the run."""
    n = one.devices
    computing = counted["flops"] / (n * one.flops * share)
    # A ring passes each byte on twice, in parts of 1 / n; with fsdp three times, and each device keeps 1 / n.
    exchanging = {axis: passes * (n - 1) / n * counted["parameter_bytes"] / one.links for axis, passes in AXES.items()}
    kept = {"data": counted["state_bytes"], "fsdp": counted["state_bytes"] / n}
    return {
        "records_per_device": batch_size / n,
        "seconds_computing": computing,
        "seconds_exchanging": exchanging,
        "state_gigabytes_per_device": {axis: size / 1e9 for axis, size in kept.items()},
        "state_fits": {axis: size < one.memory for axis, size in kept.items()},
        # The state is read and written once a step, whatever else is.
        "seconds_updating": {axis: 2 * size / one.bandwidth for axis, size in kept.items()},
        "hours": steps * max(computing, exchanging["data"]) / 3600,
        "device_hours": n * steps * max(computing, exchanging["data"]) / 3600,
    }


AXES = {"data": 2, "fsdp": 3}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", nargs="?", default="imagenet_fourier_io", help="one of ImageNet's")
    parser.add_argument("--machine", type=machine, action="append", help="name,devices,flops,memory,bandwidth,links")
    parser.add_argument("--share", type=float, default=0.4, help="of the peak that is reached (an assumption)")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    recipe = recipes.get(options.recipe)
    budget = recipe.budget("full")
    counted = count(recipe, budget.batch_size)
    print(
        f"{recipe.name}: {counted['parameters']:,} parameters, {counted['flops']:.3e} FLOPs a step of "
        f"{budget.batch_size} records, {budget.steps:,} steps"
    )
    for read in counted["reads"]:
        print(f"  {read}")
    plans = {}
    for one in options.machine or MACHINES:
        made = plans[one.name] = plan(one, counted, budget.steps, budget.batch_size, options.share)
        print(
            f"{one.name}: {made['hours']:.1f} hours at {options.share:.0%} of {one.flops / 1e12:g} TFLOP/s a device; a "
            f"step computes {made['seconds_computing']:.3f} s and exchanges {made['seconds_exchanging']['data']:.4f} s "
            f"(data) or {made['seconds_exchanging']['fsdp']:.4f} s (fsdp); a device keeps "
            f"{made['state_gigabytes_per_device']['data']:.2f} GB of state (data) or "
            f"{made['state_gigabytes_per_device']['fsdp']:.3f} GB (fsdp) of {one.memory / 1e9:g}"
        )
    result = {"recipe": recipe.name, "share": options.share, "counted": counted, "plans": plans}
    result |= {"device": "none: counted from shapes", "jax": jax.__version__}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
