"""What a longer context costs a Perceiver AR and three Transformers of its size: python benchmarks/context.py

All have four blocks of 96 channels and four heads and the tokens of chorales, and take a training step on one sequence
of M of them, float32: gradients of all parameters and AdamW's update. The Perceiver AR makes 128 latents, whatever M
is: one block reads all tokens into them, and three go on with the latents alone. The Transformers answer at all M
places; the Transformer-XL reads its sequence in two segments, as the recipe `chorales_transformer_xl` does.

FLOPs are those of all matrix products of a step, counted in its program; MiB are what the compiled step needs beside
its arguments and results, as the compiler says. A step that would need more than `--gibibytes` is compiled but not run.
Milliseconds are the median of the steps after the first: those of the clock, and those that all threads together spent
on a processor, which say the same on a machine that has other things to do.

Beside it stands what such models reach: bits per token on the test chorales, of the recipes whose weights ship, with
the FLOPs of one example's forward pass in training. The Perceiver AR that ships is measured with shorter contexts, too:
one model, which was trained with the whole context.
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

from perceiver_lab import recipes
from perceiver_lab.adapters import ByteInput, ByteOutput, TokenInput
from perceiver_lab.datasets import chorales
from perceiver_lab.generation import evaluate_tokens
from perceiver_lab.introspect import cost
from perceiver_lab.layers import SinusoidalPositions
from perceiver_lab.models import PerceiverAR, PerceiverARConfig
from perceiver_lab.models.baselines import BertConfig, CausalTransformer, RelativeConfig, RelativeTransformer
from perceiver_lab.recipes.chorales import Places
from perceiver_lab.recipes.chorales_measure import training_flops
from perceiver_lab.recipes.copying import LastPlaces
from perceiver_lab.training import OptimizerConfig, make_train_step, next_token_loss

RESULTS = Path(__file__).parent / "results" / "context.json"
CONTEXTS = (512, 1_024, 2_048, 4_096, 8_192)
SHORTER = (128, 192, 384, 768)
LATENTS, CHANNELS, HEADS, BLOCKS = 128, 96, 4, 4
TRAINED = ("chorales_ar", "chorales_transformer", "chorales_music_transformer", "chorales_transformer_xl")


def perceiver_ar(context, rngs):
    """One block reads, the others process."""
    config = PerceiverARConfig(
        num_latents=LATENTS,
        latent_channels=CHANNELS,
        max_context=context,
        num_self_attends=BLOCKS - 1,
        num_cross_heads=HEADS,
        num_self_heads=HEADS,
    )
    return PerceiverAR(config, input_adapter=TokenInput(chorales.TOKENS, CHANNELS, rngs=rngs), rngs=rngs)


def transformer(context, rngs):
    """Sinusoidal positions; with more than 2**20 scores its attention goes in chunks, as all of this library."""
    positions = SinusoidalPositions(context, CHANNELS)
    inputs = ByteInput(CHANNELS, context, vocabulary=chorales.TOKENS, positions=positions, rngs=rngs)
    config = BertConfig(channels=CHANNELS, num_layers=BLOCKS, num_heads=HEADS)
    model = CausalTransformer(config, input_adapter=inputs, output_adapter=ByteOutput(chorales.TOKENS), rngs=rngs)
    return LastPlaces(model, context)


def relative(kind, context, rngs, **segments):
    """Positions are distances."""
    sizes = {"channels": CHANNELS, "num_layers": BLOCKS, "num_heads": HEADS, "max_context": context}
    inputs = TokenInput(chorales.TOKENS, CHANNELS, rngs=rngs)
    config = RelativeConfig(kind=kind, **sizes, **segments)
    return LastPlaces(RelativeTransformer(config, input_adapter=inputs, rngs=rngs), context)


def music_transformer(context, rngs):
    """The whole sequence at once."""
    return relative("music_transformer", context, rngs, segment=context)


def transformer_xl(context, rngs):
    """Two segments, the first of them the memory of the second."""
    return relative("transformer_xl", context, rngs, segment=context // 2, memory=context // 2)


MODELS = {one.__name__: one for one in (perceiver_ar, transformer, transformer_xl, music_transformer)}


def next_token_step(model):
    """A compiled training step on `inputs` and `targets`."""
    return make_train_step(model, OptimizerConfig(learning_rate=2e-3, warmup_steps=1).make(100), next_token_loss())


def measure(name, context, *, gibibytes, repeats):
    """A training step of one model at one context."""
    model = MODELS[name](context, nnx.Rngs(0))
    step, key = next_token_step(model), jax.random.key(0)
    tokens = np.random.default_rng(0).integers(3, chorales.TOKENS, (1, context + 1), np.int32)
    batch = {"inputs": jnp.asarray(tokens[:, :-1]), "targets": jnp.asarray(tokens[:, 1:])}
    arrays = step.init()
    program = step.compiled.lower(*arrays, batch, key).compile()
    temporary = program.memory_analysis().temp_size_in_bytes
    found = {
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))),
        "answers": LATENTS if name == "perceiver_ar" else context,
        "flops": cost(step.compiled, *arrays, batch, key).flops,
        "mebibytes": round(temporary / 2**20, 1),
    }
    if temporary > gibibytes * 2**30:
        return found | {"milliseconds": None, "processor_milliseconds": None}
    clock, processor = [], []
    for _ in range(repeats + 1):
        began, spent = time.perf_counter(), time.process_time()
        *arrays, _ = jax.block_until_ready(program(*arrays, batch, key))
        clock.append(1e3 * (time.perf_counter() - began))
        processor.append(1e3 * (time.process_time() - spent))
    medians = [round(statistics.median(times[1:]), 1) for times in (clock, processor)]
    return found | dict(zip(("milliseconds", "processor_milliseconds"), medians, strict=True))


class Shorter(nnx.Module):
    """A Perceiver AR that is given windows shorter than its context."""

    def __init__(self, model, context):
        """`context`: events of a window at most."""
        self.model, self.input_adapter = model, model.input_adapter
        self.config = Places(min(model.config.num_latents, context), context, model.config.position_source)

    def __call__(self, tokens, *, positions=None):
        """As the model itself."""
        return self.model(tokens, positions=positions, num_latents=self.config.num_latents)


def quality(shorter):
    """Of what ships: bits per token with the context of training; of the Perceiver AR with shorter ones as well."""
    found = {}
    for name in TRAINED:
        recipe = recipes.get(name)
        about = recipes.shipped_story(recipe)
        if about is None:
            continue
        found[name] = {
            "context": recipe.model.max_context,
            "parameters": about["parameters"],
            "forward_flops": training_flops(recipe),
            **{key: round(about["metrics"][key], 5) for key in about["metrics"] if key.startswith("bits_per_token")},
        }
        if name == "chorales_ar" and shorter:
            model, _ = recipes.load_shipped(recipe)
            events = [row[row != 0] for batch in recipe.test_batches("full") for row in np.asarray(batch["events"])]
            found[name]["with_shorter_contexts"] = {
                str(context): round(
                    evaluate_tokens(Shorter(model, context), events, stride=LATENTS // 2).bits_per_token, 4
                )
                for context in shorter
            }
    return found


def show(steps, trained):
    """Both tables."""
    print(f"{'model':<20}{'M':>7}{'answers':>9}{'parameters':>12}{'GFLOP':>9}{'MiB':>10}{'ms':>10}{'processor ms':>14}")
    for name, rows in steps.items():
        for context, row in rows.items():
            clock, processor = (
                "not run" if row[kind] is None else f"{row[kind]:,.0f}"
                for kind in ("milliseconds", "processor_milliseconds")
            )
            print(
                f"{name:<20}{int(context):>7,}{row['answers']:>9,}{row['parameters']:>12,}{row['flops'] / 1e9:>9.2f}"
                f"{row['mebibytes']:>10,.1f}{clock:>10}{processor:>14}"
            )
    for name, row in trained.items():
        print(
            f"{name}: {row['bits_per_token']:.3f} bits a token ({row['bits_per_token_low']:.3f}-"
            f"{row['bits_per_token_high']:.3f}) with {row['context']} tokens, "
            f"{row['forward_flops'] / 1e9:.2f} GFLOP an example"
        )
        for context, bits in row.get("with_shorter_contexts", {}).items():
            print(f"    of {context} tokens only: {bits:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--contexts", nargs="+", type=int, default=CONTEXTS)
    parser.add_argument("--shorter", nargs="*", type=int, default=SHORTER, help="contexts for the model that ships")
    parser.add_argument("--gibibytes", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    # What is not measured now keeps its numbers.
    result = json.loads(options.output.read_text()) if options.output.exists() else {}
    steps, before = result.setdefault("steps", {}), result.get("quality", {})
    result["quality"] = {name: before.get(name, {}) | row for name, row in quality(options.shorter).items()}
    settings = {"gibibytes": options.gibibytes, "repeats": options.repeats}
    for name in options.models:
        rows = steps.setdefault(name, {})
        rows |= {str(context): measure(name, context, **settings) for context in options.contexts}
        steps[name] = {context: rows[context] for context in sorted(rows, key=int)}
    show(steps, result["quality"])
    result |= {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
