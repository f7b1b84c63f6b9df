"""Four forms of cross-attention, side by side: python benchmarks/attention.py

Forward and backward pass of one cross-attention of learned latents to an input array, with the projections of queries
and outputs: gradients of all parameters and of the latents, as training needs them. Every case and form runs in a
process of its own, so that its peak memory is its own: the highest resident size while inputs are made, compiled for
and run, less what the process had before. Seconds are the median of the runs after the first.
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from perceiver_lab.ops import CrossParams, choose_form, cross_attend

RESULTS = Path(__file__).parent / "results" / "attention.json"
FORMS = ("plain", "chunked", "folded", "folded_chunked")
# Pixels of ImageNet with Fourier features (2103.03206), then inputs as long as no image.
CASES = {
    "50k inputs, 128 latents": {"m": 50_176, "c": 261, "n": 128, "d": 256, "b": 4, "faster": 3.0},
    "50k inputs, 512 latents": {"m": 50_176, "c": 261, "n": 512, "d": 1024, "b": 4, "faster": 2.5},
    "65k inputs, 256 latents": {"m": 65_536, "c": 64, "n": 256, "d": 256, "b": 1},
    "262k inputs, 256 latents": {"m": 262_144, "c": 64, "n": 256, "d": 256, "b": 1},
    "1M inputs, 256 latents": {"m": 1_048_576, "c": 64, "n": 256, "d": 256, "b": 1, "mebibytes": 1536},
}
QUICK = {
    "1k inputs, 16 latents": {"m": 1_000, "c": 19, "n": 16, "d": 32, "b": 2},
    "3k inputs, 16 latents": {"m": 3_000, "c": 19, "n": 16, "d": 32, "b": 2},
}
SLOPE, OUTPUT_DIFFERENCE, GRADIENT_DIFFERENCE = 1.05, 1e-5, 1e-4


def make(m, c, n, d, b):
    """Weights as they start, latents and inputs; drawn by NumPy, which needs no memory beside the result."""
    rng = np.random.default_rng(0)

    def normal(*shape, std=1.0):
        drawn = rng.standard_normal(shape, np.float32)
        drawn *= std
        return jnp.asarray(drawn)

    cross = CrossParams(
        norm_scale=1 + normal(c, std=0.1), norm_bias=normal(c, std=0.1),
        key_kernel=normal(c, c, std=c**-0.5), key_bias=normal(c, std=0.1),
        value_kernel=normal(c, c, std=c**-0.5), value_bias=normal(c, std=0.1),
    )  # fmt: skip
    params = {"query": normal(d, c, std=d**-0.5), "cross": cross, "output": normal(c, d, std=c**-0.5)}
    return params, normal(b, n, d), normal(b, m, c), normal(b, n, d)


def run(params, latents, inputs, weights, *, form):
    """Output, and gradients of its weighted sum (the weights stand for the rest of a network) in all but the inputs."""

    def attention(params, latents):
        q = (latents @ params["query"])[:, :, None]
        output = cross_attend(q, inputs, params["cross"], form=form)[:, :, 0] @ params["output"]
        return (output * weights).sum(), output

    gradients, output = jax.grad(attention, argnums=(0, 1), has_aux=True)(params, latents)
    return output, gradients


def resident_mebibytes():
    """The highest so far, of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(sizes, form, file, limit=30.0):
    """One case and form, in this process; outputs and gradients go to `file`."""
    jax.jit(lambda x: x @ x)(jnp.ones((64, 64))).block_until_ready()  # what JAX itself takes comes before
    before = resident_mebibytes()
    arguments = make(**{name: sizes[name] for name in "mcndb"})
    program = jax.jit(run, static_argnames="form").lower(*arguments, form=form).compile()
    result = jax.block_until_ready(program(*arguments))
    seconds = []
    while len(seconds) < 5 and (not seconds or sum(seconds) < limit):
        began = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        seconds.append(time.perf_counter() - began)
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(result)[0]]
    peak = resident_mebibytes() - before
    np.savez(file, **dict(zip(names, map(np.asarray, jax.tree.leaves(result)), strict=True)))
    return {"seconds": round(statistics.median(seconds), 4), "runs": len(seconds), "mebibytes": round(peak)}


def differences(file, plain):
    """Largest difference in the outputs, and largest in any gradient relative to that gradient's largest entry.

    The bias of the keys has no influence; its gradient, all rounding, is measured against that of the keys' kernel.
    """
    found, expected = np.load(file), np.load(plain)
    gradients = [name for name in expected.files if name != "[0]"]
    kernel = next(name for name in gradients if "key_kernel" in name)
    relative = [
        np.abs(found[name] - expected[name]).max() / np.abs(expected[kernel if "key_bias" in name else name]).max()
        for name in gradients
    ]
    return {
        "output_difference": float(np.abs(found["[0]"] - expected["[0]"]).max()),
        "gradient_difference": float(max(relative)),
    }


def compare(name, sizes, folder):
    """All forms of one case, each in a process of its own, and how they differ from the plain one."""
    c, chosen = sizes["c"], {}
    form = choose_form(sizes["n"], sizes["m"], c, num_heads=1, qk_channels=c, v_channels=c, batch_size=sizes["b"])
    for one in FORMS:
        file = Path(folder) / f"{one}.npz"
        command = [sys.executable, __file__, "--one", json.dumps([sizes, one, str(file)])]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        chosen[one] = json.loads(done.stdout.splitlines()[-1]) | differences(file, Path(folder) / "plain.npz")
        ratio = chosen["plain"]["seconds"] / chosen[one]["seconds"]
        print(
            f"{name:<26}{one + (' *' if one == form else ''):<18}{chosen[one]['seconds']:>9.3f}{ratio:>9.2f}"
            f"{chosen[one]['mebibytes']:>9}{chosen[one]['output_difference']:>11.1e}"
            f"{chosen[one]['gradient_difference']:>11.1e}",
            flush=True,
        )
    return {"sizes": sizes, "chosen": form, "forms": chosen}


def slope(cases):
    """Of log time over log inputs, for the form chosen, over the cases that differ in nothing but the inputs."""
    last = list(cases.values())[-1]["sizes"]
    alike = [case for case in cases.values() if all(case["sizes"][size] == last[size] for size in "cndb")]
    inputs = [math.log(case["sizes"]["m"]) for case in alike]
    seconds = [math.log(case["forms"][case["chosen"]]["seconds"]) for case in alike]
    return float(np.polyfit(inputs, seconds, 1)[0])


def targets(cases, slope):
    """What is to be met: description -> whether it is."""
    met = {f"slope of time over inputs {slope:.3f}, at most {SLOPE}": slope <= SLOPE}
    for name, case in cases.items():
        chosen, sizes = case["forms"][case["chosen"]], case["sizes"]
        if "faster" in sizes:
            ratio = case["forms"]["plain"]["seconds"] / chosen["seconds"]
            met[f"{name}: {ratio:.2f} times as fast as plain, at least {sizes['faster']}"] = ratio >= sizes["faster"]
        if "mebibytes" in sizes:
            text = f"{name}: {chosen['mebibytes']} MiB at the peak, at most {sizes['mebibytes']}"
            met[text] = chosen["mebibytes"] <= sizes["mebibytes"]
    forms = [form for case in cases.values() for form in case["forms"].values()]
    for kind, limit in (("output", OUTPUT_DIFFERENCE), ("gradient", GRADIENT_DIFFERENCE)):
        largest = max(form[f"{kind}_difference"] for form in forms)
        met[f"largest difference in any {kind} {largest:.1e}, at most {limit:.0e}"] = largest <= limit
    return met


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small cases, to see that it runs")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*json.loads(options.one))))
        return
    print(f"{'case':<26}{'form (* = chosen)':<18}{'seconds':>9}{'x plain':>9}{'MiB':>9}{'output':>11}{'gradient':>11}")
    with tempfile.TemporaryDirectory() as folder:
        cases = {name: compare(name, sizes, folder) for name, sizes in (QUICK if options.quick else CASES).items()}
    met = targets(cases, slope(cases))
    for target, reached in met.items():
        print(f"{'met   ' if reached else 'missed'} {target}")
    result = {"cases": cases, "slope": round(slope(cases), 4), "targets": met}
    result |= {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
