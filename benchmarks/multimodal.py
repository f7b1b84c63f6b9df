"""All outputs of the published auto-encoder of three modalities, decoded in chunks: python benchmarks/multimodal.py

16 frames of 224 x 224, 30,720 samples and the label become 52,097 inputs, which 784 latents read; 802,816 pixels, 1,920
stretches of sound and the label are asked for in 128 chunks. (Table 5 of the paper counts 803,297 outputs: it has 480
stretches, where text and release have 1,920.) Random weights, one example, float32.

First all of it is checked without computing anything: what the outputs would be, and what the compiler would need to
decode them at once and in chunks. Then it runs. The peak is the highest resident size of the process while weights are
made and encoder and decoder are compiled and run, less what the process had before.
"""

import argparse
import functools
import json
import resource
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab import presets
from perceiver_lab.introspect import cost

RESULTS = Path(__file__).parent / "results" / "multimodal.json"
GIBIBYTES = 4.0
NUM_CHUNKS = 128


def resident_gibibytes():
    """The highest so far, of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def encode(model, x):
    """Latents of all that is read; what is masked always needs no random numbers."""
    return model.encode(model.embed(x))


def decode(model, latents, *, num_chunks):
    """All outputs."""
    return model.decode_in_chunks(latents, num_chunks=num_chunks)


def abstract(make_model, *, num_chunks):
    """Shapes, FLOPs and the compiler's temporaries of decoding in chunks; nothing is computed."""
    model = nnx.eval_shape(lambda: make_model(rngs=nnx.Rngs(0)))
    latents = jax.ShapeDtypeStruct((1, model.config.num_latents, model.config.latent_channels), jnp.float32)
    sizes = model.decoder.queries.sizes(latents)
    counted = cost(functools.partial(decode, num_chunks=num_chunks), model, latents, compiled=True)
    return {
        "queries": sizes,
        "vectors": sum(sizes.values()),
        "decoder_teraflops": round(counted.flops / 1e12, 3),
        "decoder_temporary_gibibytes": round(counted.temporary_bytes / 2**30, 3),
    }


def measure(make_model, *, num_chunks):
    """Seconds of encoding and of decoding in chunks, and the peak of both; `make_model` takes rngs."""
    jax.jit(lambda x: x @ x)(jnp.ones((64, 64))).block_until_ready()  # what JAX itself takes comes before
    before = resident_gibibytes()
    graphdef, state = nnx.split(make_model(rngs=nnx.Rngs(0)))
    x, seconds = example(nnx.merge(graphdef, state).input_adapter), {}

    def timed(name, function, given):
        program = jax.jit(lambda state, given: function(nnx.merge(graphdef, state), given))
        program = program.lower(state, given).compile()
        began = time.perf_counter()
        result = jax.block_until_ready(program(state, given))
        seconds[f"seconds_{name}"] = round(time.perf_counter() - began, 2)
        return result

    latents = timed("encode", encode, x)
    outputs = timed("decode", functools.partial(decode, num_chunks=num_chunks), latents)
    peak = resident_gibibytes() - before
    return {
        "outputs": {name: list(part.shape) for name, part in outputs.items()},
        "finite": all(bool(jnp.isfinite(part).all()) for part in outputs.values()),
        **seconds,
        "gibibytes": round(peak, 2),
    }


def example(inputs):
    """Random numbers of each modality's shape."""
    rng, x = np.random.default_rng(0), {}
    for name in inputs.names:
        part = inputs.modalities[name]
        shape = part.feature_layer.shape if hasattr(part, "feature_layer") else (part.num_channels,)
        x[name] = jnp.asarray(rng.uniform(size=(1, *shape)), jnp.float32)
    return x


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    preset = presets.get("multimodal_io")
    result = abstract(preset, num_chunks=NUM_CHUNKS)
    print(f"{result['vectors']:,} vectors, {result['decoder_teraflops']} TFLOPs to decode")
    result |= measure(preset, num_chunks=NUM_CHUNKS)
    print(f"encoded in {result['seconds_encode']} s, decoded in {result['seconds_decode']} s")
    print(
        f"{'met   ' if result['gibibytes'] <= GIBIBYTES else 'missed'} at most {GIBIBYTES:g} GiB: {result['gibibytes']}"
    )
    result |= {"chunks": NUM_CHUNKS, "device": jax.devices()[0].device_kind, "jax": jax.__version__}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
