"""Sampling with a cache and without one: python benchmarks/generation.py

A Perceiver AR of 256 latents that reads 2,048 tokens: 256 channels, six latent layers, random weights, float32, one
row. With the cache, a full pass makes 128 latents and each further token one more; without it every token is a full
pass of 256 latents. Both sample with `generation.generate`, behind the same prompt; compiling is not counted.

A table says for some numbers of steps behind a full pass how far the logits are from those of one call of the model on
all tokens with as many latents, and how many times as fast all these steps together were as such a call for each.

And one cached token at some places: its FLOPs as the compiler counts them, which are those of one program for all
places, and its milliseconds, behind a cache that has read so much. The FLOPs of a pass of all latents over the tokens
so far grow with them; they are counted with the turns of its loops, which the compiler leaves out.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.generation import generate
from perceiver_lab.introspect import cost
from perceiver_lab.models import PerceiverAR, PerceiverARConfig, empty_cache, extend

RESULTS = Path(__file__).parent / "results" / "generation.json"
FASTER = 10.0
CONTEXT, LATENTS, CHANNELS, LAYERS, VOCABULARY = 2048, 256, 256, 6, 259


def make_model(context=CONTEXT, latents=LATENTS, channels=CHANNELS, layers=LAYERS):
    """Random weights that prefer no token."""
    config = PerceiverARConfig(
        num_latents=latents, latent_channels=channels, max_context=context, num_self_attends=layers
    )
    rngs = nnx.Rngs(0)
    inputs = TokenInput(VOCABULARY, channels, rngs=rngs)
    return PerceiverAR(config, input_adapter=inputs, zero_output=False, rngs=rngs)


def tokens_per_second(model, prompt, *, num_tokens, refill_to=None, repeats=3):
    """The best of some runs, after one that compiles."""
    settings = {"refill_to": refill_to, "stop_tokens": ()}
    generate(model, [prompt], num_tokens=1, **settings)
    seconds = []
    for seed in range(repeats):
        began = time.perf_counter()
        found = generate(model, [prompt], num_tokens=num_tokens, seed=seed, **settings)
        seconds.append(time.perf_counter() - began)
        assert found.lengths.tolist() == [num_tokens]
    return num_tokens / min(seconds)


def cached_token(model, num_read, *, repeats):
    """One token more, behind a cache that has read so many: the compiler's FLOPs, and the median of milliseconds."""
    tokens = jnp.ones((1, num_read), jnp.int32)
    latents = min(num_read, model.config.num_latents // 2)
    _, cache = nnx.jit(lambda model, tokens: extend(model, empty_cache(model, 1), tokens, num_latents=latents))(
        model, tokens
    )
    graphdef, state = nnx.split(model)
    call = jax.jit(lambda state, cache, token: extend(nnx.merge(graphdef, state), cache, token))
    milliseconds = []
    for _ in range(repeats + 1):  # the first one compiles
        began = time.perf_counter()
        jax.block_until_ready(call(state, cache, tokens[:, :1]))
        milliseconds.append(1e3 * (time.perf_counter() - began))
    counted = cost(lambda model, cache, token: extend(model, cache, token), model, cache, tokens[:, :1])
    return {"flops": counted.compiler_flops, "milliseconds": round(statistics.median(milliseconds[1:]), 2)}


def steps_table(model, steps):
    """Rows of {steps, max_difference, speed_up}: cached steps behind a full pass against a call for each."""
    refill_to, last = model.config.num_latents // 2, max(steps)
    given = model.config.max_context - last
    tokens = jnp.asarray(np.random.default_rng(1).integers(3, VOCABULARY, (1, given + last)), jnp.int32)
    first = nnx.jit(lambda model, tokens: extend(model, empty_cache(model, 1), tokens, num_latents=refill_to))
    further = nnx.jit(lambda model, cache, token: extend(model, cache, token))
    rows = []
    for run in range(2):  # the first one compiles
        began = time.perf_counter()
        logits, cache = first(model, tokens[:, :given])
        for step in range(1, last + 1):
            logits, cache = further(model, cache, tokens[:, given + step - 1 : given + step])
            if run and step in steps:
                rows.append((step, np.asarray(logits[0, -1]), time.perf_counter() - began))
    return [table_row(model, tokens[:, : given + row[0]], refill_to, *row) for row in rows]


def table_row(model, tokens, refill_to, step, logits, seconds):
    """One row: the same tokens by one call, with as many latents."""
    call = nnx.jit(lambda model, tokens: model(tokens, num_latents=refill_to + step)[0, -1])
    whole = np.asarray(call(model, tokens))
    began = time.perf_counter()
    for _ in range(3):
        jax.block_until_ready(call(model, tokens))
    each = (time.perf_counter() - began) / 3
    difference = float(np.abs(whole - logits).max())
    return {"steps": step, "max_difference": difference, "speed_up": round(step * each / seconds, 1)}


def pass_flops(model, num_read):
    """Of a pass of all latents over the tokens so far."""
    tokens = jnp.ones((1, num_read), jnp.int32)
    latents = min(num_read, model.config.num_latents)
    return cost(lambda model, tokens: model(tokens, num_latents=latents), model, tokens).flops


def measure(model, *, places, steps, cached_tokens, uncached_tokens, repeats=3):
    """Tokens per second both ways, behind a prompt that leaves room for them; the table; and costs at some places."""
    context, latents = model.config.max_context, model.config.num_latents
    room = max(cached_tokens, uncached_tokens)
    prompt = np.random.default_rng(0).integers(3, VOCABULARY, context - room).tolist()
    cached = tokens_per_second(model, prompt, num_tokens=cached_tokens, repeats=repeats)
    uncached = tokens_per_second(model, prompt, num_tokens=uncached_tokens, refill_to=latents, repeats=repeats)
    return {
        "context": context,
        "latents": latents,
        "prompt": len(prompt),
        "cached_tokens_per_second": round(cached, 1),
        "uncached_tokens_per_second": round(uncached, 1),
        "times": round(cached / uncached, 1),
        "table": steps_table(model, steps),
        "cached_token": {str(place): cached_token(model, place, repeats=10 * repeats) for place in places},
        "pass_flops": {str(place): pass_flops(model, place) for place in places},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    periods = 2 * (LATENTS - LATENTS // 2 + 1)  # whole ones: two full passes are counted
    places, steps = (256, 1024, 2000), (1, 16, 64, LATENTS // 2)
    result = measure(make_model(), places=places, steps=steps, cached_tokens=periods, uncached_tokens=16)
    print(
        f"{result['cached_tokens_per_second']} tokens a second from the cache, "
        f"{result['uncached_tokens_per_second']} without: {result['times']} times"
    )
    for row in result["table"]:
        print("{steps} steps: largest difference {max_difference:.1e}, {speed_up} times as fast".format(**row))
    for place, one in result["cached_token"].items():
        cached, whole = one["flops"] / 1e6, result["pass_flops"][place] / 1e6
        print(f"behind {place} tokens: {cached:.1f} of {whole:.0f} million FLOPs, {one['milliseconds']} ms")
    flat = len({one["flops"] for one in result["cached_token"].values()}) == 1
    print(f"{'met   ' if result['times'] >= FASTER else 'missed'} at least {FASTER:g} times as many tokens a second")
    print(f"{'met   ' if flat else 'missed'} FLOPs of a cached token the same at every place")
    result |= {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
