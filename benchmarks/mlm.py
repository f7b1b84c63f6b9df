"""One forward pass of the published language model at its full size: python benchmarks/mlm.py

2,048 bytes, 256 latents of 1,280 channels, 26 layers, 201,108,230 parameters, which are 0.75 GiB in float32. Random
weights, one text. The peak is the highest resident size of the process while weights are made, the program is compiled
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
from perceiver_lab.datasets.bytes import FIRST_BYTE, VOCABULARY

RESULTS = Path(__file__).parent / "results" / "mlm.json"
GIBIBYTES = 3.0


def resident_gibibytes():
    """The highest so far, of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(make_model):
    """Seconds of the second pass, and the peak of both; `make_model` takes rngs."""
    jax.jit(lambda x: x @ x)(jnp.ones((64, 64))).block_until_ready()  # what JAX itself takes comes before
    before = resident_gibibytes()
    model = make_model(rngs=nnx.Rngs(0))
    graphdef, state = nnx.split(model)
    shape = (1, *model.input_adapter.positions.shape)
    ids = jnp.asarray(np.random.default_rng(0).integers(FIRST_BYTE, VOCABULARY, shape), jnp.int32)
    mask = jnp.ones(shape, bool)

    def forward(state, ids, mask):
        return nnx.merge(graphdef, state)(ids, mask=mask, query_mask=mask)

    program = jax.jit(forward).lower(state, ids, mask).compile()
    logits = jax.block_until_ready(program(state, ids, mask))
    began = time.perf_counter()
    jax.block_until_ready(program(state, ids, mask))
    seconds = time.perf_counter() - began
    return {
        "logits": list(logits.shape),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(state)),
        "seconds": round(seconds, 2),
        "gibibytes": round(resident_gibibytes() - before, 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    result = measure(presets.get("mlm_bytes_io"))
    print(f"logits {result['logits']}, {result['seconds']} s, {result['gibibytes']} GiB at the peak")
    print(f"{'met   ' if result['gibibytes'] <= GIBIBYTES else 'missed'} at most {GIBIBYTES:g} GiB")
    result |= {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
