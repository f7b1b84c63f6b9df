"""A training step of the largest Hierarchical Perceiver on a million pixels: python benchmarks/hip.py

1,024 x 1,024 colour pixels are 256 groups of 4,096; HiP-256 reads them, gives them back, and the gradients of the
squared error reach all of its parameters. Random weights, one image, float32. The peak is the highest resident size of
the process while weights are made, the program is compiled and it runs, less what the process had before.

Beside it the flat Perceiver IO of the same release: FLOPs of a step, counted from shapes; what the compiler needs for a
forward pass and for a step beside weights and results; and seconds of a forward pass of both. The flat model's step is
compiled only: it needs more than 40 GiB.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.introspect import cost
from perceiver_lab.models import HiP
from perceiver_lab.presets.hip import VARIANTS

RESULTS = Path(__file__).parent / "results" / "hip.json"
SIDE = 1024
GIBIBYTES = 8.0


def resident_gibibytes():
    """The highest so far, of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def error(model, x):
    """The mean squared error of the reconstruction."""
    return jnp.mean((model(x)["image"] - x["image"]) ** 2)


def make(config, side):
    """A model with random weights, as graphdef and parameters, and one picture of random pixels."""
    graphdef, params = nnx.split(HiP(config, {"image": (side * side, 3)}, rngs=nnx.Rngs(0)))
    pixels = np.random.default_rng(0).uniform(-1, 1, (1, side * side, 3)).astype(np.float32)
    return graphdef, params, {"image": jnp.asarray(pixels)}


def measure(config, side):
    """Seconds of the second step, and the memory of both."""
    jax.jit(lambda x: x @ x)(jnp.ones((64, 64))).block_until_ready()  # what JAX itself takes comes before
    before = resident_gibibytes()
    graphdef, params, x = make(config, side)
    step = jax.value_and_grad(lambda params, x: error(nnx.merge(graphdef, params), x))
    program = jax.jit(step).lower(params, x).compile()
    temporary = program.memory_analysis().temp_size_in_bytes
    loss, _ = jax.block_until_ready(program(params, x))
    began = time.perf_counter()
    jax.block_until_ready(program(params, x))
    return {
        "inputs": side * side,
        "loss": round(float(loss), 4),
        "seconds": round(time.perf_counter() - began, 1),
        "gibibytes": round(resident_gibibytes() - before, 2),
        "temporary_gibibytes": round(temporary / 2**30, 2),
    }


def beside(config, side):
    """A forward pass by the clock, the second one, and what the compiler reserves for it and for a step."""
    graphdef, params, x = make(config, side)

    def forward(params, x):
        return error(nnx.merge(graphdef, params), x)

    step = jax.jit(jax.value_and_grad(forward)).lower(params, x).compile()
    program = jax.jit(forward).lower(params, x).compile()
    jax.block_until_ready(program(params, x))
    began = time.perf_counter()
    jax.block_until_ready(program(params, x))
    return {
        "forward_seconds": round(time.perf_counter() - began, 1),
        "forward_temporary_gibibytes": round(program.memory_analysis().temp_size_in_bytes / 2**30, 2),
        "step_temporary_gibibytes": round(step.memory_analysis().temp_size_in_bytes / 2**30, 2),
    }


def count(configs, side):
    """Parameters and FLOPs of a step of each model, forward and backward; nothing is computed."""
    x = {"image": jax.ShapeDtypeStruct((1, side * side, 3), jnp.float32)}
    counted = {}
    for name, config in configs.items():

        def untouched(config=config):
            return HiP(config, {"image": (side * side, 3)}, rngs=nnx.Rngs(0))

        found = cost(nnx.value_and_grad(error), nnx.eval_shape(untouched), x)
        counted[name] = {"parameters": found.parameters, "flops": found.flops}
    return counted


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    compared = {name: VARIANTS[name] for name in ("hip_256", "hip_flat_50m")}
    result = measure(VARIANTS["hip_256"], SIDE)
    result["step"] = count(compared, SIDE)
    print(f"{result['inputs']:,} inputs, {result['seconds']} s a step, {result['gibibytes']} GiB at the peak")
    for name, counted in result["step"].items():
        print(f"{name}: {counted['parameters']:,} parameters, {counted['flops'] / 1e9:,.0f} GFLOPs a step")
    print(f"{'met   ' if result['gibibytes'] <= GIBIBYTES else 'missed'} at most {GIBIBYTES:g} GiB", flush=True)
    result["beside"] = {name: beside(config, SIDE) for name, config in compared.items()}
    for name, found in result["beside"].items():
        print(f"{name}: {', '.join(f'{key} {value}' for key, value in found.items())}")
    result |= {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
