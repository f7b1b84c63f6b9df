"""Masked bytes: a Perceiver IO reads a text with holes and says what stands in them.

    record   {"bytes": (128,) ids}                                  datasets.load("shakespeare", "train")[i]
    batch    {"bytes": (64, 64) ids, some of them MASK,             next(RECIPE.train_batches("lab"))
              "targets": (64, 64) ids as they were, "hidden": (64, 64) bool}
    inputs   (B, 64, 129): the embedding of each id, and Fourier features of its place
    latents  (B, 32, 128): read once, thought about
    queries  (B, 64, 64): the same Fourier features through a linear layer, one for each byte
    logits   (B, 64, 262): what is decoded, compared with the embedding of every id
    loss     cross-entropy at the hidden bytes

`bytes_perceiver_io` hides single bytes. It differs from the released model in its positions: there they are two learned
tables of small numbers, one added to the embeddings and one as the queries, and at this size the model says for about a
thousand steps how frequent each byte is, and nothing else: that is `bytes_plateau`. `bytes_words` goes on with whole
words hidden, as in the paper (2107.14795, section 4.1). `bytes_transformer` is a Transformer of the same FLOPs.

Windows of 256 and 1,024 bytes, as many fewer of them in a batch: there the Perceiver IO of the Transformer's FLOPs (at
1,024, of 94 % of them) has more latents, and `..._few_latents` keeps the 32.

    perceiver-lab train bytes_perceiver_io --mode full
"""

import dataclasses

from flax import nnx

from perceiver_lab.adapters import ByteInput, ByteOutput, PositionQueries
from perceiver_lab.datasets import first_window, mask_spans, mask_words, random_window
from perceiver_lab.layers import FourierPositions, LearnedPositions, ProjectedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from perceiver_lab.models.baselines import Bert, BertConfig
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.masked_bytes_measure import READS, masked_loss, measure_masked, predict
from perceiver_lab.recipes.starting import Start
from perceiver_lab.training import OptimizerConfig

LENGTH = 64  # bytes in a window
BATCH_BYTES = 64 * LENGTH  # bytes in a batch, whatever the window

# Longer windows: the latents with which a Perceiver IO takes the FLOPs of `TRANSFORMER`, and the steps of a training.
LONGER = {256: (144, 8000), 1024: (576, 4000)}

# Sizes of every Perceiver IO on bytes here, so that their encoders can be handed on.
ENCODER = PerceiverConfig(
    num_latents=32,
    latent_channels=128,
    num_self_attends_per_block=2,
    num_cross_heads=4,
    num_self_heads=4,
    qk_channels=128,
)
TRANSFORMER = BertConfig(channels=64, num_layers=4, num_heads=4)
SIZES = {"channels": 64, "num_bands": 32}
WHOLE = ("input_adapter", "encoder", "decoder", "output_adapter")


def window(recipe: Recipe) -> int:
    """How many bytes a model of this recipe reads at once."""
    return recipe.options.get("length", LENGTH)


def fourier(recipe: Recipe) -> FourierPositions:
    """Where a byte stands."""
    return FourierPositions((window(recipe),), num_bands=recipe.options["num_bands"])


def byte_input(recipe: Recipe, rngs: nnx.Rngs) -> ByteInput:
    """Ids with Fourier positions beside them: as loud as the embedding, and telling every place apart at once."""
    return ByteInput(recipe.options["channels"], window(recipe), positions=fourier(recipe), combine="concat", rngs=rngs)


def build(recipe: Recipe, rngs: nnx.Rngs) -> PerceiverIO:
    """Fourier positions at either end, and queries that are added to what they read."""
    queries = PositionQueries(ProjectedPositions(fourier(recipe), recipe.options["channels"], rngs=rngs))
    return _assemble(recipe, byte_input(recipe, rngs), queries, use_query_residual=True, rngs=rngs)


def build_as_released(recipe: Recipe, rngs: nnx.Rngs) -> PerceiverIO:
    """The layout of the released model (`presets.mlm_bytes_io`), small: learned positions, no query residual."""
    channels = recipe.options["channels"]
    queries = PositionQueries(LearnedPositions((LENGTH,), channels, rngs=rngs))
    return _assemble(recipe, ByteInput(channels, LENGTH, rngs=rngs), queries, use_query_residual=False, rngs=rngs)


def build_transformer(recipe: Recipe, rngs: nnx.Rngs) -> Bert:
    """The same ids and positions through a Transformer."""
    inputs = byte_input(recipe, rngs)
    return Bert(recipe.model, input_adapter=inputs, output_adapter=ByteOutput(), rngs=rngs)


def _assemble(recipe, inputs, queries, *, use_query_residual, rngs):
    channels = recipe.model.latent_channels
    decoder = Decoder(
        queries,
        channels,
        output_channels=None,
        num_heads=4,
        qk_channels=channels,
        use_query_residual=use_query_residual,
        rngs=rngs,
    )
    return PerceiverIO(recipe.model, input_adapter=inputs, decoder=decoder, output_adapter=ByteOutput(), rngs=rngs)


def recipe(
    name,
    summary,
    *,
    build=build,
    model=ENCODER,
    mask=None,
    steps,
    rate=2e-3,
    start_from=None,
    length=LENGTH,
    seeds=(0,),
):
    """The same data, optimiser and sizes for all, so that they can be compared."""
    mask = mask_spans(0.15) if mask is None else mask
    batch_size = BATCH_BYTES // length
    return Recipe(
        name=name,
        summary=summary,
        build=build,
        model=model,
        options=SIZES if length == LENGTH else {**SIZES, "length": length},
        data=Data(
            name="shakespeare" if length == LENGTH else "shakespeare/long",
            train_transforms=(random_window(length), mask),
            test_transforms=(first_window(length), mask),
        ),
        optimizer=OptimizerConfig(learning_rate=rate, warmup_steps=100, schedule="warmup_cosine"),
        budgets={
            "ci": Budget(
                steps=4, batch_size=batch_size // 4, train_part="[:200]", test_part="[:50]", test_batch_size=50
            ),
            "lab": Budget(steps=min(steps, 400), batch_size=batch_size, test_part="[:500]"),
            "full": Budget(steps=steps, batch_size=batch_size, seeds=seeds, evaluate_every=2000, log_every=20),
        },
        numerics=1,
        loss=masked_loss,
        predict=predict,
        reads=READS,
        measure=measure_masked,
        headline="bits_per_masked_byte",
        start_from=start_from,
    )


def longer(length: int) -> tuple[Recipe, ...]:
    """The three that are compared at a longer window."""
    latents, steps = LONGER[length]
    shared = {"steps": steps, "length": length, "seeds": (0, 1, 2)}
    told = f"single hidden bytes in, windows of {length:,}"
    return (
        recipe(
            f"bytes_perceiver_io_{length}",
            f"{latents} latents of 128 channels fill {told}",
            model=dataclasses.replace(ENCODER, num_latents=latents),
            **shared,
        ),
        recipe(f"bytes_few_latents_{length}", f"{ENCODER.num_latents} latents of 128 channels fill {told}", **shared),
        recipe(
            f"bytes_transformer_{length}",
            f"a Transformer of the FLOPs of bytes_perceiver_io_{length} fills {told}",
            build=build_transformer,
            model=TRANSFORMER,
            **shared,
        ),
    )


RECIPES = (
    recipe("bytes_perceiver_io", "32 latents of 128 channels fill single hidden bytes in", build=build, steps=16000),
    recipe("bytes_plateau", "the same in the layout of the release", build=build_as_released, steps=2000),
    recipe(
        "bytes_words",
        "the first of these, trained on with whole words hidden",
        mask=mask_words(0.15),
        steps=4000,
        rate=1e-3,
        start_from=Start(recipe="bytes_perceiver_io", parts=WHOLE),
    ),
    recipe(
        "bytes_transformer",
        "a Transformer of the same FLOPs fills single hidden bytes in",
        build=build_transformer,
        model=TRANSFORMER,
        steps=16000,
    ),
    *(one for length in LONGER for one in longer(length)),
)
