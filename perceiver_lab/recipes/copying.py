"""The copy task, small: what was said is to be said again, backwards (2202.07765).

    record   {"events": (64,)}: start, 31 random symbols, the same backwards, end
                                                                datasets.load("mirrored", "train")[i]
    batch    {"inputs": (64, 64), "targets": (64, 64)}: a crop, and what comes next
                                                                next(RECIPE.train_batches("lab"))
    inputs   (B, 64, 64): embedding and sines of the place, added
    latents  (B, 16, 64): made of the last 16 inputs; each reads the inputs up to its own place
    logits   (B, 16, 259): of the token after each latent's
    loss     the sum of cross-entropies, as published; the test counts the mirrored half alone

Only who can look back over the whole sequence can copy: the first symbol is said again 61 places later. In the release
1,024 latents read 131,072 events, here 16 read 64. As there, crops of training end anywhere in the mirrored half, and
latents whose next token is still a random one are asked for it too, in vain.

`copy_transformer` is a Transformer that reads from left to right, with as many layers and nearly as many parameters. It
speaks at all 64 places; what it says at the last 16 counts. In it, every layer looks at all 64.

    perceiver-lab train copy_ar --mode full
"""

from dataclasses import dataclass

from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.adapters import ByteInput, ByteOutput, TokenInput
from perceiver_lab.datasets import crop_events
from perceiver_lab.datasets.events import TOKENS
from perceiver_lab.layers import SinusoidalPositions
from perceiver_lab.models import PerceiverAR, PerceiverARConfig
from perceiver_lab.models.baselines import BertConfig, CausalTransformer
from perceiver_lab.ops import latent_indices, sequence_lengths, take_inputs
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.copying_measure import LENGTH, READS, measure_copies, predict
from perceiver_lab.training import OptimizerConfig, next_token_loss

CHANNELS = 64
LATENTS = 16


@dataclass(frozen=True, kw_only=True)
class LastPlacesConfig:
    """A Transformer, and at how many places it is listened to.

    Attributes:
      transformer: its sizes.
      num_latents: places at the end of a sequence, as many as the Perceiver AR beside it has latents.
    """

    transformer: BertConfig
    num_latents: int


class LastPlaces(nnx.Module):
    """A model that answers at every place, asked at the last ones only: where a Perceiver AR has its latents."""

    def __init__(self, transformer: nnx.Module, num_latents: int):
        """`transformer`: tokens (B, M) -> logits (B, M, V)."""
        self.transformer, self.num_latents = transformer, num_latents

    def __call__(
        self, tokens: Int[Array, "b m"], *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "b n v"]:
        """Tokens, padded with 0 on the right -> logits for the token after each of the last N."""
        logits = self.transformer(tokens, train=train, rngs=rngs)
        return take_inputs(logits, latent_indices(sequence_lengths(tokens), self.num_latents))


def build(recipe: Recipe, rngs: nnx.Rngs) -> PerceiverAR:
    """Sinusoidal positions, as in the release."""
    channels = recipe.model.latent_channels
    positions = [SinusoidalPositions(LENGTH + 1, channels)]
    return PerceiverAR(
        recipe.model, input_adapter=TokenInput(TOKENS, channels, positions=positions, rngs=rngs), rngs=rngs
    )


def build_transformer(recipe: Recipe, rngs: nnx.Rngs) -> LastPlaces:
    """The same positions; the answer is compared with the embedding of every token."""
    config = recipe.model.transformer
    positions = SinusoidalPositions(LENGTH, config.channels)
    inputs = ByteInput(config.channels, LENGTH, vocabulary=TOKENS, positions=positions, rngs=rngs)
    transformer = CausalTransformer(config, input_adapter=inputs, output_adapter=ByteOutput(TOKENS), rngs=rngs)
    return LastPlaces(transformer, recipe.model.num_latents)


DATA = Data(name="mirrored", train_transforms=(crop_events(context=LENGTH, fewest=LENGTH // 2),), test_transforms=())


def recipe(name, summary, *, build, model):
    """The same sequences, loss and optimiser for both."""
    return Recipe(
        name=name,
        summary=summary,
        build=build,
        model=model,
        data=DATA,
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup_steps=50, schedule="warmup_cosine"),
        budgets={
            "ci": Budget(steps=4, batch_size=16, train_part="[:200]", test_part="[:20]", test_batch_size=20),
            "lab": Budget(steps=1200, batch_size=64, test_part="[:200]"),
            "full": Budget(steps=2000, batch_size=64, evaluate_every=500),
        },
        numerics=1,
        loss=next_token_loss(),
        predict=predict,
        reads=READS,
        measure=measure_copies,
        headline="exact_copies",
    )


RECIPES = (
    recipe(
        "copy_ar",
        "16 latents copy 31 symbols backwards",
        build=build,
        model=PerceiverARConfig(
            num_latents=LATENTS,
            latent_channels=CHANNELS,
            max_context=LENGTH,
            num_self_attends=1,
            num_cross_heads=4,
            num_self_heads=4,
            rotary_fraction=0.0,
        ),
    ),
    recipe(
        "copy_transformer",
        "a Transformer that reads from left to right does the same",
        build=build_transformer,
        model=LastPlacesConfig(
            transformer=BertConfig(channels=CHANNELS, num_layers=2, num_heads=4), num_latents=LATENTS
        ),
    ),
)
