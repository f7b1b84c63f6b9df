"""A training step of a Perceiver AR over a long context: python benchmarks/long_context.py

The copy task as published, up to 65,536 symbols and their mirror image, with the release's 1,024 latents and six latent
layers; 128 channels instead of 1,024, and four heads instead of 16. One sequence, float32, AdamW: the step is that of
`training.make_train_step`, gradients of all parameters and their update. From 2**20 scores on the read goes in chunks
(`ops.causal_cross_attend`), so that what a longer context costs is its own inputs.

Every length runs in a process of its own, so that its peak memory is its own: the highest resident size of the whole
process, Python and JAX included. The step is compiled ahead; seconds are the median of its runs. Beside those of the
clock stand those that all threads together spent on a processor: they say the same on a machine that has other things
to do. The slopes are those of a line through log time over log context.
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.datasets.events import TOKENS, mirrored
from perceiver_lab.layers import SinusoidalPositions
from perceiver_lab.models import PerceiverAR, PerceiverARConfig
from perceiver_lab.training import OptimizerConfig, make_train_step, next_token_loss

RESULTS = Path(__file__).parent / "results" / "long_context.json"
CONTEXTS = (8_192, 16_384, 32_768, 65_536, 131_072)
LATENTS, CHANNELS, LAYERS, HEADS = 1_024, 128, 6, 4
SLOPE, GIBIBYTES = 1.1, 12.0


def make_model(context, *, latents=LATENTS, channels=CHANNELS, layers=LAYERS):
    """The preset `copy_131k_ar`, smaller and for any context."""
    config = PerceiverARConfig(
        num_latents=latents,
        latent_channels=channels,
        max_context=context,
        num_self_attends=layers,
        num_cross_heads=HEADS,
        num_self_heads=HEADS,
        rotary_fraction=0.0,
        dropout_rate=0.1,
    )
    rngs = nnx.Rngs(0)
    inputs = TokenInput(TOKENS, channels, positions=[SinusoidalPositions(context + 1, channels)], rngs=rngs)
    return PerceiverAR(config, input_adapter=inputs, rngs=rngs)


def measure(context, repeats, **sizes):
    """Some steps with a context of this length, in this process."""
    model = make_model(context, **sizes)
    step = make_train_step(model, OptimizerConfig(learning_rate=3e-4, warmup_steps=1).make(100), next_token_loss())
    arrays, program = step.init(), None
    seconds, processor, nats = [], [], []
    for number in range(repeats):
        # One event more than the context: the targets are the inputs, one later. What is shorter is padded.
        events = mirrored(context, np.random.default_rng(number))
        batch = {"inputs": events[None, :-1], "targets": events[None, 1:]}
        batch = {name: np.pad(rows, ((0, 0), (0, 1))) for name, rows in batch.items()}
        key = jax.random.key(number)
        program = program or step.compiled.lower(*arrays, batch, key).compile()
        began, spent = time.perf_counter(), time.process_time()
        *arrays, metrics = jax.block_until_ready(program(*arrays, batch, key))
        seconds.append(time.perf_counter() - began)
        processor.append(time.process_time() - spent)
        nats.append(float(metrics["nats"]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "seconds": round(statistics.median(seconds), 3),
        "processor_seconds": round(statistics.median(processor), 3),
        "steps": repeats,
        "gibibytes": round(peak, 3),
        "nats": [round(one, 4) for one in nats],
    }


def slope(cases, kind):
    """Of log time over log context; 0 for a single one."""
    contexts = np.array([math.log(int(context)) for context in cases])
    times = np.array([math.log(case[kind]) for case in cases.values()])
    far = contexts - contexts.mean()
    return float((far * times).sum() / max((far**2).sum(), 1e-9))


def targets(cases):
    """What is to be met: description -> whether it is."""
    longest = max(cases, key=int)
    peak = cases[longest]["gibibytes"]
    slopes = {kind: slope(cases, kind) for kind in ("seconds", "processor_seconds")}
    return {
        f"slope of {kind.replace('_', ' ')} over context {steepness:.3f}, at most {SLOPE}": steepness <= SLOPE
        for kind, steepness in slopes.items()
    } | {
        f"{int(longest):,} inputs: {peak:.2f} GiB at the peak, at most {GIBIBYTES:g}": peak <= GIBIBYTES,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contexts", nargs="+", type=int, default=CONTEXTS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.repeats)))
        return
    # What is not measured now keeps its numbers.
    before = json.loads(options.output.read_text())["contexts"] if options.output.exists() else {}
    print(f"{'context':>9}{'seconds':>10}{'processor':>11}{'GiB':>8}")
    for context in options.contexts:
        command = [sys.executable, __file__, "--one", str(context), "--repeats", str(options.repeats)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        before[str(context)] = case = json.loads(done.stdout.splitlines()[-1])
        told = f"{case['seconds']:>10.2f}{case['processor_seconds']:>11.2f}{case['gibibytes']:>8.2f}"
        print(f"{context:>9,}{told}", flush=True)
    cases = {context: before[context] for context in sorted(before, key=int)}
    met = targets(cases)
    for target, reached in met.items():
        print(f"{'met   ' if reached else 'missed'} {target}")
    sizes = {"latents": LATENTS, "channels": CHANNELS, "layers": LAYERS, "heads": HEADS, "batch_size": 1}
    result = {**sizes, "contexts": cases, "targets": met}
    result |= {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
