"""Who speaks? From at most 64 bytes, one of ten: a Perceiver IO from scratch, and one that read the plays before.

    record   {"bytes": (64,) ids, padded with 0, "label": ()}       datasets.load("shakespeare/speakers", "train")[i]
    latents  (B, 32, 128): read once; padding is not read
    queries  (B, 1, 128): one learned query asks for all ten logits, as in the paper (2107.14795, section 4.1)
    logits   (B, 10)

`speaker_pretrained` takes embedding and encoder from `bytes_perceiver_io`, which never read what is tested here: one
part of the text is held out of all training. `speaker_scratch` is the same model with weights drawn by chance.

    perceiver-lab train speaker_pretrained --mode full
"""

from collections.abc import Iterable, Mapping

import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from perceiver_lab.adapters import OnlyQuery, PositionQueries
from perceiver_lab.datasets import arrays, plays, speaker_guesses
from perceiver_lab.datasets.bytes import PAD
from perceiver_lab.layers import LearnedPositions
from perceiver_lab.models import Decoder, PerceiverIO
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.masked_bytes import ENCODER, SIZES, byte_input
from perceiver_lab.recipes.starting import Start
from perceiver_lab.training import Accuracy, OptimizerConfig, accuracy, cross_entropy, evaluate

READS = ("bytes",)


def build(recipe: Recipe, rngs: nnx.Rngs) -> PerceiverIO:
    """The encoder of the models that fill bytes in, and one query."""
    return classifier(recipe, len(plays.SPEAKERS), rngs)


def classifier(recipe: Recipe, num_classes: int, rngs: nnx.Rngs) -> PerceiverIO:
    """The same for any number of classes."""
    channels = recipe.model.latent_channels
    decoder = Decoder(
        PositionQueries(LearnedPositions((1,), channels, rngs=rngs)),
        channels,
        output_channels=num_classes,
        use_query_residual=True,
        rngs=rngs,
    )
    return PerceiverIO(
        recipe.model, input_adapter=byte_input(recipe, rngs), decoder=decoder, output_adapter=OnlyQuery(), rngs=rngs
    )


def predict(
    model: nnx.Module, batch: Mapping[str, Array], train: bool = False, rngs: nnx.Rngs | None = None
) -> Float[Array, "b k"]:
    """The logits of the speakers."""
    return model(batch["bytes"], mask=batch["bytes"] != PAD, train=train, rngs=rngs)


def loss(model, batch, rngs):
    """Cross-entropy in nats."""
    logits = predict(model, batch, train=True, rngs=rngs)
    return cross_entropy(logits, batch["label"]), {"accuracy": accuracy(logits, batch["label"])}


def measure(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """Accuracy with its 95 % interval, and the loss."""
    return evaluate(model, batches, predict, READS).as_dict()


def baselines(recipe: Recipe, mode: str = "full") -> dict[str, Accuracy]:
    """Always the speaker who says most in training ("majority"), and naive Bayes on three bytes in a row."""
    train, test = (_whole(recipe, split, mode) for split in ("train", "test"))
    most = np.bincount(train["label"]).argmax()
    bayes = speaker_guesses(train["bytes"], train["label"], test["bytes"], num_classes=len(plays.SPEAKERS))
    guesses = {"majority": np.full(len(test["label"]), most), "naive Bayes": bayes}
    return {
        name: Accuracy(correct=int((guess == test["label"]).sum()), total=len(guess)) for name, guess in guesses.items()
    }


def _whole(recipe, split, mode):
    return arrays(recipe.data.name, split + getattr(recipe.budget(mode), f"{split}_part"))


def recipe(name, summary, *, start_from=None):
    """The same for both."""
    return Recipe(
        name=name,
        summary=summary,
        build=build,
        model=ENCODER,
        options=SIZES,
        data=Data(name="shakespeare/speakers", train_transforms=(), test_transforms=()),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_steps=50, schedule="warmup_cosine", weight_decay=0.05),
        budgets={
            "ci": Budget(steps=4, batch_size=16, train_part="[:200]", test_part="[:50]", test_batch_size=50),
            "lab": Budget(steps=300, batch_size=64),
            "full": Budget(steps=600, batch_size=64, evaluate_every=50),
        },
        numerics=1,
        loss=loss,
        predict=predict,
        reads=READS,
        measure=measure,
        headline="accuracy",
        start_from=start_from,
    )


RECIPES = (
    recipe("speaker_scratch", "who speaks, from bytes, with weights drawn by chance"),
    recipe(
        "speaker_pretrained",
        "who speaks, from bytes, by an encoder that learnt to fill bytes in",
        start_from=Start(recipe="bytes_perceiver_io", parts=("input_adapter", "encoder")),
    ),
)
