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

Three older models read the same music at about the same cost of a training step: `chorales_transformer`,
`chorales_music_transformer` and `chorales_transformer_xl`, which answer at all places of a shorter context.

    perceiver-lab train chorales_ar --mode full
"""

from dataclasses import dataclass
from typing import NamedTuple

from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.adapters import ByteInput, ByteOutput, TokenInput
from perceiver_lab.datasets import chorales, crop_events
from perceiver_lab.layers import SinusoidalPositions
from perceiver_lab.models import PerceiverAR, PerceiverARConfig
from perceiver_lab.models.baselines import BertConfig, CausalTransformer, RelativeConfig, RelativeTransformer
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.chorales_measure import measure_chorales
from perceiver_lab.recipes.copying import LastPlaces
from perceiver_lab.recipes.events_measure import READS, predict
from perceiver_lab.training import OptimizerConfig, next_token_loss

CONTEXT, LATENTS = 768, 128


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(BertConfig):
    """A Transformer that reads from left to right.

    Attributes:
      max_context: tokens that it reads, and places that it knows.
    """

    max_context: int


def build(recipe: Recipe, rngs: nnx.Rngs) -> PerceiverAR:
    """Rotary positions: none in the inputs."""
    return PerceiverAR(
        recipe.model, input_adapter=TokenInput(chorales.TOKENS, recipe.model.latent_channels, rngs=rngs), rngs=rngs
    )


def build_relative(recipe: Recipe, rngs: nnx.Rngs) -> "EveryPlace":
    """The same tokens, without positions: the layers know distances."""
    inputs = TokenInput(chorales.TOKENS, recipe.model.channels, rngs=rngs)
    return EveryPlace(RelativeTransformer(recipe.model, input_adapter=inputs, rngs=rngs), recipe.model.max_context)


def build_transformer(recipe: Recipe, rngs: nnx.Rngs) -> "EveryPlace":
    """The same tokens, with sines of their places; the answer is compared with the embedding of every token."""
    channels, context = recipe.model.channels, recipe.model.max_context
    positions = SinusoidalPositions(context, channels)
    inputs = ByteInput(channels, context, vocabulary=chorales.TOKENS, positions=positions, rngs=rngs)
    outputs = ByteOutput(chorales.TOKENS)
    return EveryPlace(CausalTransformer(recipe.model, input_adapter=inputs, output_adapter=outputs, rngs=rngs), context)


class Places(NamedTuple):
    """What `evaluate_tokens` asks about a model: it speaks at each of `num_latents` places, and takes no positions."""

    num_latents: int
    max_context: int
    position_source: str = "distances"


class EveryPlace(LastPlaces):
    """A Transformer that is trained and measured as a Perceiver AR with a latent at every place of its context."""

    def __init__(self, transformer: nnx.Module, max_context: int):
        """`transformer`: tokens (B, M) -> logits (B, M, V)."""
        super().__init__(transformer, max_context)
        self.config = Places(max_context, max_context)

    def __call__(
        self,
        tokens: Int[Array, "b m"],
        *,
        positions: None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b n v"]:
        """Tokens, padded with 0 on the right -> logits for the token after each, the last one at the end."""
        return super().__call__(tokens, train=train, rngs=rngs)


def recipe(name, summary, *, build, model, context, fewest):
    """The same pieces, loss, optimiser and number of steps for all."""
    crop = crop_events(context=context, fewest=fewest)
    return Recipe(
        name=name,
        summary=summary,
        build=build,
        model=model,
        data=Data(
            name="chorales",
            train_transforms=(chorales.change_key, chorales.chorale_events(), crop),
            test_transforms=(chorales.chorale_events(chorales.LONGEST),),
        ),
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup_steps=100, schedule="warmup_cosine"),
        budgets={
            "ci": Budget(steps=2, batch_size=4, train_part="[:8]", test_part="[:1]", test_batch_size=1),
            "lab": Budget(steps=300, batch_size=16, test_part="[:8]", test_batch_size=8),
            "full": Budget(steps=3000, batch_size=16, seeds=(0, 1, 2), test_batch_size=39, evaluate_every=1000),
        },
        numerics=1,
        loss=next_token_loss(),
        predict=predict,
        reads=READS,
        measure=measure_chorales,
        headline="bits_per_token",
    )


RECIPES = (
    recipe(
        "chorales_ar",
        "128 latents read twelve bars of a chorale and say which note comes next",
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
        context=CONTEXT,
        fewest=LATENTS,
    ),
    recipe(
        "chorales_transformer",
        "a Transformer of as many FLOPs reads three bars",
        build=build_transformer,
        model=TransformerConfig(channels=104, num_layers=3, dropout_rate=0.1, max_context=192),
        context=192,
        fewest=128,
    ),
    recipe(
        "chorales_music_transformer",
        "a Music Transformer of as many FLOPs reads three bars",
        build=build_relative,
        model=RelativeConfig(
            kind="music_transformer", channels=96, max_context=192, segment=192, num_layers=3, dropout_rate=0.1
        ),
        context=192,
        fewest=128,
    ),
    recipe(
        "chorales_transformer_xl",
        "a Transformer-XL of as many FLOPs reads three bars, in two segments",
        build=build_relative,
        model=RelativeConfig(
            kind="transformer_xl", channels=96, max_context=192, segment=96, memory=96, num_layers=3, dropout_rate=0.1
        ),
        context=192,
        fewest=128,
    ),
)
