"""Training steps of the published models on one accelerator: python benchmarks/accelerator.py

For each case: milliseconds of a step (loss, gradients, LAMB), in float32 and with products in bfloat16; the memory that
the compiler plans; and what part of the device's peak the step reaches. The FLOPs of that part are those of the model,
three times a forward pass, whatever is computed twice. The peak is measured in the same run: a product of two matrices
of 8,192, in bfloat16. `latent_tower` is the stack of 6 x 8 latent layers of the ImageNet models by itself.

With --peer, Hugging Face's model of the same size takes steps with AdamW in PyTorch, compiled, under bfloat16 autocast,
in a process of its own on the same card, after ours. PyTorch is no dependency of the course; where it is missing, leave
--peer out.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab import presets
from perceiver_lab.introspect import cost
from perceiver_lab.layers import SelfAttentionStack, compute_in
from perceiver_lab.recipes.fingerprints import versions
from perceiver_lab.training import OptimizerConfig, make_train_step

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "accelerator.json"
PRECISIONS = ("float32", "bfloat16")
SIDE = 8192  # of the matrices whose product is the peak
WARM, TURNS, STEPS = 2, 5, 4
TOWER = "latent_tower"
# name of a preset, or the tower -> (shape of one example, its dtype, examples in a batch)
CASES = {
    TOWER: ((512, 1024), "float32", 64),
    "imagenet_fourier_io": ((224, 224, 3), "float32", 32),
    "imagenet_learned_io": ((224, 224, 3), "float32", 32),
    "imagenet_conv_io": ((224, 224, 3), "float32", 64),
    "imagenet_fourier": ((224, 224, 3), "float32", 16),
    "mlm_bytes_io": ((2048,), "int32", 32),
    "optical_flow_io": ((2, 368, 496, 3), "float32", 2),
    "pg19_ar": ((2048,), "int32", 4),
    "hip_16": ((50176, 3), "float32", 8),
}
PEERS = ("imagenet_fourier_io", "mlm_bytes_io")
BOTH = (TOWER, *PEERS)  # in float32 as well; the others only as they would be trained


def outline(name, precision):
    """The published model, or the latent layers alone, without weights."""

    def make():
        if name == TOWER:
            return compute_in(SelfAttentionStack(48, 1024, num_heads=8, rngs=nnx.Rngs(0)), precision)
        return compute_in(presets.get(name)(rngs=nnx.Rngs(0)), precision)

    return nnx.eval_shape(make)


def build(name, precision):
    """The same with weights that NumPy draws: JAX would compile for each."""
    graphdef, params, state = nnx.split(outline(name, precision), nnx.Param, ...)
    draw = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(0.02 * draw.standard_normal(leaf.shape, np.float32)), params)
    return nnx.merge(graphdef, params, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), state))


def inputs(name):
    """Random inputs; HiP takes them by name."""
    shape, dtype, batch_size = CASES[name]
    draw = np.random.default_rng(0)
    if dtype == "int32":
        x = jnp.asarray(draw.integers(6, 262, (batch_size, *shape)), jnp.int32)
    else:
        x = jnp.asarray(draw.normal(size=(batch_size, *shape)), jnp.float32)
    return {"image": x} if name.startswith("hip") else x


def loss_fn(model, batch, rngs):
    """The mean square of all outputs: its gradient costs nothing beside the model's."""
    said = model(batch["x"], train=True, rngs=rngs)
    return sum((leaf.astype(jnp.float32) ** 2).mean() for leaf in jax.tree.leaves(said)), {}


def measure(name, precision):
    """One case in one precision."""
    batch = {"x": inputs(name)}
    counted = cost(outline(name, "float32"), batch["x"])  # products inside cuDNN's attention cannot be counted
    model = build(name, precision)
    optimizer = OptimizerConfig(name="lamb", learning_rate=1e-3, weight_decay=0.1, clip=10.0).make(100)
    step = make_train_step(model, optimizer, loss_fn)
    carry, key = step.init(), jax.random.key(0)
    began = time.perf_counter()
    run = step.compiled.lower(*carry, batch, key).compile()
    planned, compiled_in = run.memory_analysis(), time.perf_counter() - began
    times = []
    for turn in range(WARM + TURNS):
        began = time.perf_counter()
        for _ in range(STEPS):
            *carry, metrics = run(*carry, batch, key)
        loss = float(metrics["loss"])
        if turn >= WARM:
            times.append((time.perf_counter() - began) / STEPS)
    return {
        "batch_size": CASES[name][-1],
        "parameters": counted.parameters,
        "model_flops": 3 * counted.flops,
        "milliseconds": round(1e3 * statistics.median(times), 3),
        "compile_seconds": round(compiled_in, 1),
        "gibibytes": round((planned.temp_size_in_bytes + planned.argument_size_in_bytes) / 2**30, 3),
        "loss": round(loss, 5),
    }


def peak():
    """FLOPs a second of the largest product, and bytes a second of a copy: what bounds everything else."""
    a = jax.random.normal(jax.random.key(0), (SIDE, SIDE), jnp.bfloat16)
    big = jax.random.normal(jax.random.key(1), (2**29,), jnp.float32)
    product, copy = jax.jit(lambda a: a @ a), jax.jit(lambda x: x + 1)
    seconds = {}
    for name, call, x in (("product", product, a), ("copy", copy, big)):
        call(x).block_until_ready()
        times = []
        for _ in range(TURNS):
            began = time.perf_counter()
            last = [call(x) for _ in range(10)][-1]
            last.block_until_ready()
            times.append((time.perf_counter() - began) / 10)
        seconds[name] = statistics.median(times)
    return {"bfloat16_flops": 2 * SIDE**3 / seconds["product"], "bytes": 2 * big.nbytes / seconds["copy"]}


def measured(names):
    """All cases; one that fails says why and leaves the others alone."""
    for name in names:
        for precision in PRECISIONS if name in BOTH else ("bfloat16",):
            try:
                yield name, precision, measure(name, precision)
            except Exception as error:
                yield name, precision, {"failed": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"}


def peers(names, limits):
    """Hugging Face's steps, each in a process that has the card to itself."""
    found = {}
    for name in names:
        command = [sys.executable, str(HERE / "workers" / "huggingface_accelerator.py"), name, str(CASES[name][-1])]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limits, check=True)
            found[name] = json.loads(done.stdout.splitlines()[-1])
        except subprocess.CalledProcessError as error:
            found[name] = {"failed": error.stderr.strip().splitlines()[-1][:300]}
        except subprocess.TimeoutExpired:
            found[name] = {"failed": f"not done in {limits} seconds, its compilation included"}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--peer", action="store_true", help="Hugging Face's models as well")
    parser.add_argument("--peer-seconds", type=int, default=150, help="for each of them")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    limit = peak()
    result = {"device": jax.devices()[0].device_kind, "versions": versions(), "peak": limit, "cases": {}}
    rates = f"{limit['bfloat16_flops'] / 1e12:.0f} TFLOP/s in bfloat16, {limit['bytes'] / 1e12:.2f} TB/s"
    print(f"{result['device']}: {rates}", flush=True)
    for name, precision, row in measured(options.cases.split(",")):
        if "failed" not in row:
            row["part_of_peak"] = round(row["model_flops"] / (row["milliseconds"] / 1e3) / limit["bfloat16_flops"], 4)
        result["cases"].setdefault(name, {})[precision] = row
        print(f"{name:<22}{precision:<10}" + ", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        write(options.output, result)
    if options.peer:
        jax.clear_caches()
        result["peers"] = peers([name for name in PEERS if name in result["cases"]], options.peer_seconds)
        for name, row in result["peers"].items():
            print(f"{name:<22}{'PyTorch':<10}" + ", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        write(options.output, result)


def write(path, result):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
