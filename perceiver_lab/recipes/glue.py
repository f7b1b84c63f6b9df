"""Two tasks of GLUE, online: is a sentence English, and does it praise? What `speaker_pretrained` does, on other texts.

    record   {"sentence": text, "label": (), "idx": ()}             datasets.load("glue/sst2:2.0.0", "train")[i]
    batch    {"bytes": (64, 64) ids, padded with 0, "label": (64,)}         next(RECIPE.train_batches("full"))
    logits   (B, 2)

The sentences of `glue/cola` and `glue/sst2` are the shortest of GLUE; what goes beyond 64 bytes is cut off. The paper
fine-tunes a model that read 2,048 bytes of books and the web (2107.14795, section 4.1, `presets.mlm_bytes_io`). This
encoder read 64 of plays, so do not expect the paper's scores; none was measured here, for the sets are not. GLUE keeps
the labels of its test splits to itself: the split "validation" is what is tested on.

    perceiver-lab train glue_sst2 --mode full
"""

import dataclasses

from flax import nnx

from perceiver_lab.datasets.bytes import sentence_bytes
from perceiver_lab.models import PerceiverIO
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.recipes.masked_bytes import LENGTH
from perceiver_lab.recipes.speakers import RECIPES as SPEAKERS
from perceiver_lab.recipes.speakers import classifier

NUM_CLASSES = 2  # of both tasks


def build(recipe: Recipe, rngs: nnx.Rngs) -> PerceiverIO:
    """The encoder of the models that fill bytes in, and one query."""
    return classifier(recipe, NUM_CLASSES, rngs)


def glue(task: str, summary: str) -> Recipe:
    """The recipe of one of the tasks: that of the speakers on other data."""
    speakers = next(one for one in SPEAKERS if one.name == "speaker_pretrained")
    return dataclasses.replace(
        speakers,
        name=f"glue_{task}",
        summary=summary,
        build=build,
        data=Data(
            name=f"glue/{task}:2.0.0",
            test="validation",
            train_transforms=(sentence_bytes(LENGTH),),
            test_transforms=(sentence_bytes(LENGTH),),
        ),
        budgets={**speakers.budgets, "full": Budget(steps=2000, batch_size=64, evaluate_every=200)},
    )


RECIPES = (
    glue("cola", "whether a sentence is English, from bytes, by an encoder that read plays (online)"),
    glue("sst2", "whether a sentence praises, from bytes, by an encoder that read plays (online)"),
)
