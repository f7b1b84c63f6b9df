"""One set of weights for pictures, sounds and texts, and three models of the same size that know one of them each.

    record   {"sense": (), "bytes": (64,), "image": (28, 28, 1), "sound": (8000, 1), "label": ()}; one of the three is
             there, the others are zeros                             datasets.load("one_sense", "train")[i]
    inputs   (B, 228, 131): 64 bytes, 64 patches of the picture, 100 stretches of the sound, all as wide; a mask leaves
             those of the record's own sense
    latents  (B, 32, 96): the same for all senses
    queries  "digit", asked of what is drawn or said, and "speaker", asked of a text
    logits   {"digit": (B, 10), "speaker": (B, 10)}
    loss     cross-entropy of the question that goes with the record's sense

The architecture does not change with the modality (2107.14795, section 1): here the weights do not either. Only the
first layer of each sense and the last of each question are its own. In each step `one_for_all` sees 16 records of each
sense on average; `one_for_bytes`, `one_for_image` and `one_for_sound` see 16 of theirs, in as many steps.

    perceiver-lab train one_for_all --mode full
"""

from collections.abc import Iterable, Mapping

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.adapters import (
    ByteInput,
    GridInput,
    LinearOutput,
    MultimodalInput,
    MultimodalOutput,
    MultimodalQueries,
    Patches,
    PositionQueries,
)
from perceiver_lab.datasets import center_sound, even_loudness, random_shift, to_float
from perceiver_lab.datasets.bytes import PAD
from perceiver_lab.datasets.one_sense import ASKED, SENSES, TASKS, only_of
from perceiver_lab.datasets.plays import PIECE
from perceiver_lab.layers import FourierPositions, LearnedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.spoken import VARIED, log_mel, positioned
from perceiver_lab.recipes.tasks_measure import average
from perceiver_lab.training import Accuracy, OptimizerConfig, accuracy, answers, cross_entropy

READS = ("sense", *SENSES)
FRAME = 32  # the picture stands anywhere in a frame of this side
WIDTH = 131  # of the inputs, whatever the senses, so that all encoders are of the same size


def adapters_of(recipe: Recipe, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
    """The input adapters of a recipe's senses."""
    options = recipe.options
    make = {
        "bytes": lambda: ByteInput(
            options["byte_channels"],
            PIECE,
            positions=FourierPositions((PIECE,), num_bands=options["byte_bands"]),
            combine="concat",
            rngs=rngs,
        ),
        "image": lambda: patches(options["image_bands"]),
        "sound": lambda: positioned(log_mel(), options["sound_bands"]),
    }
    return {sense: make[sense]() for sense in options["senses"]}


def patches(num_bands: int) -> GridInput:
    """Patches of 4 x 4 pixels with their place."""
    return positioned(Patches((FRAME, FRAME, 1), factor=4), num_bands)


def build(recipe: Recipe, rngs: nnx.Rngs) -> PerceiverIO:
    """One encoder for all senses; each is told by its learned padding, each question by its query."""
    channels, parts = recipe.model.latent_channels, adapters_of(recipe, rngs)
    inputs = MultimodalInput(
        parts, min_padding_size=WIDTH - max(part.num_channels for part in parts.values()), rngs=rngs
    )
    tasks = tuple(dict.fromkeys(ASKED[sense] for sense in parts))
    queries = MultimodalQueries(
        {task: PositionQueries(LearnedPositions((1,), channels, rngs=rngs)) for task in tasks}, rngs=rngs
    )
    decoder = Decoder(queries, channels, output_channels=channels, use_query_residual=True, rngs=rngs)
    output = MultimodalOutput(
        {task: LinearOutput(channels, len(TASKS[task]), only_query=True, rngs=rngs) for task in tasks}
    )
    return PerceiverIO(recipe.model, input_adapter=inputs, decoder=decoder, output_adapter=output, rngs=rngs)


def own_mask(inputs: MultimodalInput, batch: Mapping[str, Array]) -> Bool[Array, "b m"]:
    """True at the elements of each record's own sense, but not at the padding of a text."""
    parts = []
    for sense in inputs.names:
        own = (batch["sense"] == SENSES.index(sense))[:, None]
        there = (
            batch["bytes"] != PAD if sense == "bytes" else jnp.ones((1, inputs.modalities[sense].num_elements), bool)
        )
        parts.append(own & there)
    return jnp.concatenate(parts, axis=1)


def predict(
    model: nnx.Module, batch: Mapping[str, Array], *, train: bool = False, rngs: nnx.Rngs | None = None
) -> Float[Array, "b 10"]:
    """The logits of the question that goes with each record's sense."""
    x = {sense: batch[sense] for sense in model.input_adapter.names}
    said = model(x, mask=own_mask(model.input_adapter, batch), train=train, rngs=rngs)
    if len(said) == 1:
        return next(iter(said.values()))
    of_text = batch["sense"] == SENSES.index("bytes")
    return jnp.where(of_text[:, None], said["speaker"], said["digit"])


def loss(model: nnx.Module, batch: Mapping[str, Array], rngs: nnx.Rngs):
    """Cross-entropy in nats, every record alike."""
    logits = predict(model, batch, train=True, rngs=rngs)
    return cross_entropy(logits, batch["label"]), {"accuracy": accuracy(logits, batch["label"])}


def measure(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """All records of the test.

    Returns:
      "bytes_accuracy", "image_accuracy" and "sound_accuracy" of the senses that there are, with their 95 % intervals
      and totals; "accuracy", their mean, with its interval; "loss" in nats, the mean over records; "total", records.
    """
    right, losses = {sense: [] for sense in SENSES}, []
    for batch, logits in answers(model, batches, predict, READS):
        logits, label = logits.astype(np.float64), batch["label"]
        losses.append(np.logaddexp.reduce(logits, axis=-1) - logits[np.arange(len(label)), label])
        for number, sense in enumerate(SENSES):
            own = batch["sense"] == number
            right[sense].append(logits[own].argmax(axis=-1) == label[own])
    joined = {sense: np.concatenate(parts) for sense, parts in right.items()}
    counted = {sense: Accuracy(correct=int(part.sum()), total=len(part)) for sense, part in joined.items() if len(part)}
    total = sum(one.total for one in counted.values())
    return {**average(counted), "loss": float(np.concatenate(losses).mean()), "total": total}


def recipe(name, summary, *, senses=SENSES):
    """The same sizes and steps for all, and as many records of each sense."""
    only = f"_{senses[0]}" if len(senses) == 1 else ""
    heard = {"train": VARIED, "test": (center_sound, even_loudness)}
    shown = (random_shift(FRAME), to_float)
    return Recipe(
        name=name,
        summary=summary,
        build=build,
        model=PerceiverConfig(
            num_latents=32,
            latent_channels=96,
            num_self_attends_per_block=3,
            num_cross_heads=4,
            num_self_heads=4,
            qk_channels=96,
            dropout_rate=0.1,
        ),
        options={"senses": senses, "byte_channels": 64, "byte_bands": 32, "image_bands": 4, "sound_bands": 8},
        data=Data(
            name="one_sense",
            train=f"train{only}",
            test=f"test{only}",
            train_transforms=(only_of("sound", heard["train"]), *shown),
            test_transforms=(only_of("sound", heard["test"]), *shown),
        ),
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup_steps=100, schedule="warmup_cosine", weight_decay=0.05),
        budgets={
            "ci": Budget(
                steps=4, batch_size=4 * len(senses), train_part="[:60]", test_part="[:40]", test_batch_size=20
            ),
            "lab": Budget(steps=400, batch_size=16 * len(senses), test_part="[:300]", test_batch_size=50),
            "full": Budget(steps=4000, batch_size=16 * len(senses), test_batch_size=50, evaluate_every=1000),
        },
        numerics=1,
        loss=loss,
        predict=predict,
        reads=READS,
        measure=measure,
    )


RECIPES = (
    recipe("one_for_all", "one set of weights for pictures, sounds and texts"),
    *(recipe(f"one_for_{sense}", f"the same model for one sense alone: {sense}", senses=(sense,)) for sense in SENSES),
)
