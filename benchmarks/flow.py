"""One forward pass of the published optical-flow model at its full size: python benchmarks/flow.py

Two frames of 368 x 496 become 182,528 inputs, which 2,048 latents read, and 182,528 queries. Random weights, one pair
of frames, float32. The peak is the highest resident size of the process while weights are made, the program is compiled
and it runs, less what the process had before.
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

from perceiver_lab import presets

RESULTS = Path(__file__).parent / "results" / "flow.json"
GIBIBYTES = 6.0


def resident_gibibytes():
    """The highest so far, of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(make_model):
    """Seconds of the second pass, and the peak of both; `make_model` takes rngs."""
    jax.jit(lambda x: x @ x)(jnp.ones((64, 64))).block_until_ready()  # what JAX itself takes comes before
    before = resident_gibibytes()
    model = make_model(rngs=nnx.Rngs(0))
    graphdef, state = nnx.split(model)
    shape = (1, *model.input_adapter.feature_layer.shape)
    frames = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32))
    program = jax.jit(lambda state, frames: nnx.merge(graphdef, state)(frames)).lower(state, frames).compile()
    flow = jax.block_until_ready(program(state, frames))
    began = time.perf_counter()
    jax.block_until_ready(program(state, frames))
    seconds = time.perf_counter() - began
    peak = resident_gibibytes() - before
    return {
        "flow": list(flow.shape),
        "seconds": round(seconds, 1),
        "gibibytes": round(peak, 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    result = measure(presets.get("optical_flow_io"))
    print(f"flow {result['flow']}, {result['seconds']} s, {result['gibibytes']} GiB at the peak")
    print(f"{'met   ' if result['gibibytes'] <= GIBIBYTES else 'missed'} at most {GIBIBYTES:g} GiB")
    result |= {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
