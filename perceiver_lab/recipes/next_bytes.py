"""Which byte comes next? A Perceiver AR reads a thousand bytes of a play, and 256 latents say what follows: 2202.07765.

    record   {"events": (2049,)}: start, 2,048 bytes              datasets.load("shakespeare/events", "train")[i]
    batch    {"inputs": (16, 1024), "targets": (16, 1024)}: a crop, and what comes next
                                                                  next(RECIPE.train_batches("lab"))
    inputs   (B, 1024, 128): the embedding of each byte alone; where it stands turns the queries and keys (rotary)
    latents  (B, 256, 128): made of the last 256 bytes; each reads the bytes up to its own
    logits   (B, 256, 259): of the byte after each latent's
    loss     the sum of cross-entropies and a small z-loss, as published

Crops end anywhere behind the first 256 bytes of a stretch, as in the release, so that short contexts are learned, too.
The test text is the one that no other recipe reads in training either. It is measured in windows that overlap, so that
at least 128 latents come before the first prediction of each that counts. That is why 7.6 bytes are read
for each one that is predicted: "inputs_per_byte".

    perceiver-lab train text_ar --mode full
"""

from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.datasets import crop_events
from perceiver_lab.datasets.events import TOKENS
from perceiver_lab.models import PerceiverAR, PerceiverARConfig
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.events_measure import READS, predict
from perceiver_lab.recipes.next_bytes_measure import measure_text
from perceiver_lab.training import OptimizerConfig, next_token_loss

CONTEXT, LATENTS = 1024, 256


def build(recipe: Recipe, rngs: nnx.Rngs) -> PerceiverAR:
    """Rotary positions: none in the inputs."""
    return PerceiverAR(
        recipe.model, input_adapter=TokenInput(TOKENS, recipe.model.latent_channels, rngs=rngs), rngs=rngs
    )


RECIPES = (
    Recipe(
        name="text_ar",
        summary="256 latents read up to 1,024 bytes of a play and say which comes next",
        build=build,
        model=PerceiverARConfig(
            num_latents=LATENTS,
            latent_channels=128,
            max_context=CONTEXT,
            num_self_attends=3,
            num_cross_heads=4,
            num_self_heads=4,
            dropout_rate=0.1,
        ),
        data=Data(
            name="shakespeare/events",
            train_transforms=(crop_events(context=CONTEXT, fewest=LATENTS),),
            test_transforms=(),
        ),
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup_steps=100, schedule="warmup_cosine"),
        budgets={
            "ci": Budget(steps=2, batch_size=4, train_part="[:40]", test_part="[:1]", test_batch_size=1),
            "lab": Budget(steps=300, batch_size=16, test_part="[:4]", test_batch_size=4),
            "full": Budget(steps=6000, batch_size=16, test_batch_size=17, evaluate_every=2000),
        },
        numerics=1,
        loss=next_token_loss(),
        predict=predict,
        reads=READS,
        measure=measure_text,
        headline="bits_per_byte",
    ),
)
