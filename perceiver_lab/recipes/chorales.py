"""Which note comes next? A Perceiver AR continues Bach's chorales: 2202.07765.

    record   {"grid": (T, 4), "name": b"bwv10.7"}: sixteenths of four voices    datasets.load("chorales", "train")[i]
    batch    {"inputs": (16, 768), "targets": (16, 768)}: a crop, perhaps in another key, and what comes next
                                                                  next(RECIPE.train_batches("lab"))
    inputs   (B, 768, 96): the embedding of each token alone; where it stands turns the queries and keys (rotary)
    latents  (B, 128, 96): made of the last 128 tokens, two bars; each reads up to its own, twelve bars at most
    logits   (B, 128, 195): of the token after each latent's
    loss     the sum of cross-entropies and a small z-loss, as published

In training a piece is moved to a key drawn at random; the test is in the keys that Bach chose. The paper's music is
piano performances, MAESTRO, of which nothing ships here.

    perceiver-lab train chorales_ar --mode full
"""

from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.datasets import chorales, crop_events
from perceiver_lab.models import PerceiverAR, PerceiverARConfig
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.chorales_measure import READS, measure_chorales, predict
from perceiver_lab.training import OptimizerConfig, next_token_loss

CONTEXT, LATENTS = 768, 128


def build(recipe: Recipe, rngs: nnx.Rngs) -> PerceiverAR:
    """Rotary positions: none in the inputs."""
    return PerceiverAR(
        recipe.model, input_adapter=TokenInput(chorales.TOKENS, recipe.model.latent_channels, rngs=rngs), rngs=rngs
    )


DATA = Data(
    name="chorales",
    train_transforms=(chorales.change_key, chorales.chorale_events(), crop_events(context=CONTEXT, fewest=LATENTS)),
    test_transforms=(chorales.chorale_events(chorales.LONGEST),),
)

RECIPES = (
    Recipe(
        name="chorales_ar",
        summary="128 latents read twelve bars of a chorale and say which note comes next",
        build=build,
        model=PerceiverARConfig(
            num_latents=LATENTS,
            latent_channels=96,
            max_context=CONTEXT,
            num_self_attends=3,
            num_cross_heads=4,
            num_self_heads=4,
            dropout_rate=0.1,
        ),
        data=DATA,
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup_steps=100, schedule="warmup_cosine"),
        budgets={
            "ci": Budget(steps=2, batch_size=4, train_part="[:8]", test_part="[:1]", test_batch_size=1),
            "lab": Budget(steps=300, batch_size=16, test_part="[:8]", test_batch_size=8),
            "full": Budget(steps=3000, batch_size=16, test_batch_size=39, evaluate_every=1000),
        },
        numerics=1,
        loss=next_token_loss(),
        predict=predict,
        reads=READS,
        measure=measure_chorales,
        headline="bits_per_token",
    ),
)
