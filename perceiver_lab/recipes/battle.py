"""Whom does each unit take on? Perceiver IO in the place of a Transformer that encodes the units of a game.

    record   {"units": (M, 9), "target": (M,)}, M from 16 to 512      datasets.load("battles", "train")[i]
    batch    {"units": (32, 128, 9), "mask": (32, 128), "target": (32, 128)}   next(RECIPE.train_batches("lab"))
    inputs   (B, M, 64): one per unit; a set has no positions
    latents  (B, 32, 64), as many as for StarCraft II (2107.14795, appendix B): read once; padding is not read
    queries  (B, M, 64): the units themselves
    vectors  (B, M, 64): what each unit is in this battle
    logits   (B, M, M): where each unit points; padding is never pointed at
    loss     cross-entropy over the units of ours: the rule of `datasets.battle` is imitated

The paper swaps the encoder of units and leaves the rest as it is; so do these three. `battle_transformer` lets every
unit attend to every unit, and `battle_mlp` looks at each unit by itself: what it can do is what a unit can do that
knows nothing of its comrades. Perceiver IO and Transformer have as many parameters; at 512 units the Transformer costs
5.1 times as many FLOPs, at 128 units 2.3 times, and at 32 as many (in the paper 3.3 billion against 0.93).
Training has battles of up to 128 units, the test of up to 512.

    perceiver-lab train battle_perceiver_io --mode full
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from perceiver_lab.adapters import EntityInput, InputQueries, Pointer
from perceiver_lab.datasets import pad_units, turn_battle
from perceiver_lab.datasets.battle import FEATURES
from perceiver_lab.introspect import Cost, cost
from perceiver_lab.layers import MLP, layer_norm
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from perceiver_lab.models.baselines import Bert, BertConfig
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.battle_measure import READS, measure_battles, predict
from perceiver_lab.training import OptimizerConfig, cross_entropy

CHANNELS = 64
IN_TRAINING, IN_TEST = 128, 512  # units, padding included


class Commander(nnx.Module):
    """An encoder of units, and a pointer."""

    def __init__(self, encoder: nnx.Module, *, rngs: nnx.Rngs):
        """`encoder`: (units, mask=, train=, rngs=) -> vectors (B, M, CHANNELS)."""
        self.encoder = encoder
        self.pointer = Pointer(CHANNELS, rngs=rngs)

    def vectors(
        self, units: Float[Array, "b m 9"], *, mask: Bool[Array, "b m"] | None = None, **options
    ) -> Float[Array, "b m c"]:
        """What each unit is in this battle."""
        return self.encoder(units, mask=mask, **options)

    def __call__(
        self,
        units: Float[Array, "b m 9"],
        *,
        mask: Bool[Array, "b m"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b m m"]:
        """Logits of where each unit points.

        Args:
          units: rows of `datasets.battle.FEATURES`, any number of them in any order.
          mask: True = there is a unit. The others change nothing, and are never pointed at.
          train: of no meaning here: nothing is dropped.
          rngs: not needed.

        Raises:
          ValueError: units or a mask of another shape; outside of jit, a battle without units.
        """
        return self.pointer(self.vectors(units, mask=mask, train=train, rngs=rngs), mask=mask)


class EachAlone(nnx.Module):
    """The Transformer without its attention: each unit by itself, through as many MLPs."""

    def __init__(self, config: BertConfig, *, input_adapter: nnx.Module, rngs: nnx.Rngs):
        """`config`: that of the Transformer."""
        self.input_adapter = input_adapter
        layers = range(config.num_layers)
        self.norms = nnx.data([layer_norm(config.channels, rngs) for _ in layers])
        self.mlps = nnx.data([MLP(config.channels, widening_factor=config.widening_factor, rngs=rngs) for _ in layers])
        self.norm = layer_norm(config.channels, rngs)

    def __call__(self, units: Float[Array, "b m f"], *, mask=None, train=False, rngs=None) -> Float[Array, "b m c"]:
        """One vector per unit; `mask` is not needed, for no unit sees another."""
        x = self.input_adapter(units)
        for norm, mlp in zip(self.norms, self.mlps, strict=True):
            x = x + mlp(norm(x))
        return self.norm(x)


def build(recipe: Recipe, rngs: nnx.Rngs) -> Commander:
    """32 latents read the units, and each unit asks them."""
    inputs, channels = EntityInput(len(FEATURES), CHANNELS, rngs=rngs), recipe.model.latent_channels
    decoder = Decoder(
        InputQueries(CHANNELS),
        channels,
        output_channels=CHANNELS,
        num_heads=recipe.options["decoder_heads"],
        qk_channels=channels,
        widening_factor=recipe.options["decoder_widening"],
        use_query_residual=True,
        rngs=rngs,
    )
    return Commander(PerceiverIO(recipe.model, input_adapter=inputs, decoder=decoder, rngs=rngs), rngs=rngs)


def build_transformer(recipe: Recipe, rngs: nnx.Rngs) -> Commander:
    """Every unit attends to every unit."""
    inputs = EntityInput(len(FEATURES), CHANNELS, rngs=rngs)
    return Commander(Bert(recipe.model, input_adapter=inputs, output_adapter=None, rngs=rngs), rngs=rngs)


def build_mlp(recipe: Recipe, rngs: nnx.Rngs) -> Commander:
    """No unit sees another."""
    inputs = EntityInput(len(FEATURES), CHANNELS, rngs=rngs)
    return Commander(EachAlone(recipe.model, input_adapter=inputs, rngs=rngs), rngs=rngs)


def loss(model: nnx.Module, batch: Mapping[str, Array], rngs: nnx.Rngs):
    """Cross-entropy in nats, the mean over all units of ours in the batch."""
    logits = model(batch["units"], mask=batch["mask"], train=True, rngs=rngs)
    logits, target = logits.reshape(-1, logits.shape[-1]), batch["target"].reshape(-1)
    ours = target >= 0
    right = (logits.argmax(axis=-1) == target) & ours
    value = cross_entropy(logits, jnp.maximum(target, 0), weights=ours.astype(jnp.float32))
    return value, {"accuracy": right.sum() / ours.sum()}


def cost_of(recipe: Recipe, num_units: int) -> Cost:
    """What encoding one battle costs, without the pointer, which is the same for all."""
    encoder = nnx.eval_shape(lambda: recipe.make_model(nnx.Rngs(0))).encoder
    return cost(encoder, jax.ShapeDtypeStruct((1, num_units, len(FEATURES)), jnp.float32))


DATA = Data(
    name="battles",
    train_transforms=(turn_battle, pad_units(IN_TRAINING)),
    test_transforms=(pad_units(IN_TEST),),
)


def recipe(name, summary, *, build, model, options=None):
    """The same data, optimiser and steps for all."""
    return Recipe(
        name=name,
        summary=summary,
        build=build,
        model=model,
        options=options or {},
        data=DATA,
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup_steps=100, schedule="warmup_cosine", weight_decay=0.02),
        budgets={
            "ci": Budget(steps=4, batch_size=8, train_part="[:64]", test_part="[:10]", test_batch_size=10),
            "lab": Budget(steps=400, batch_size=32, test_part="[:100]", test_batch_size=20),
            "full": Budget(steps=4000, batch_size=32, test_batch_size=20, evaluate_every=2000),
        },
        numerics=1,
        loss=loss,
        predict=predict,
        reads=READS,
        measure=measure_battles,
        headline="accuracy",
    )


TRANSFORMER = BertConfig(channels=CHANNELS, num_layers=3, num_heads=4)
RECIPES = (
    recipe(
        "battle_perceiver_io",
        "32 latents of 64 channels tell each unit whom to take on",
        build=build,
        model=PerceiverConfig(
            num_latents=32,
            latent_channels=64,
            num_self_attends_per_block=3,
            num_cross_heads=4,
            num_self_heads=4,
            qk_channels=64,
        ),
        options={"decoder_heads": 4, "decoder_widening": 4},
    ),
    recipe(
        "battle_transformer",
        "a Transformer of three layers in its place: every unit attends to every unit",
        build=build_transformer,
        model=TRANSFORMER,
    ),
    recipe("battle_mlp", "each unit by itself: the same without attention", build=build_mlp, model=TRANSFORMER),
)
