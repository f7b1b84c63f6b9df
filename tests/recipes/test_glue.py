"""GLUE online: records of its form pass the real pipeline, and what it does not tell is not taken for a label."""

import jax
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import decode_ids
from perceiver_lab.datasets.bytes import sentence_bytes
from perceiver_lab.training import make_train_step
from tests.recipes.test_speakers import SMALL

PRAISE, BLAME = ("a joy from start to end", "warm and clever"), ("dull beyond words", "a waste of time")


def records(count):
    """In the form of `glue/sst2` in TFDS."""
    texts = [(text, label) for label, group in enumerate((BLAME, PRAISE)) for text in group]
    chosen = [texts[number % len(texts)] for number in range(count)]
    return [
        {"sentence": text.encode(), "label": np.int64(label), "idx": np.int32(number)}
        for number, (text, label) in enumerate(chosen)
    ]


@pytest.fixture
def asked(monkeypatch):
    """The splits that were read."""
    splits = []

    def source(self, split):
        splits.append(split)
        return records(64)

    monkeypatch.setattr(recipes.Recipe, "_source", source)
    return splits


@pytest.mark.recipe
@pytest.mark.parametrize("name", ["glue_cola", "glue_sst2"])
def test_sentences_pass_the_real_pipeline_and_are_learnt(name, asked):
    recipe = recipes.get(name).override(SMALL)
    step = make_train_step(recipe.make_model(nnx.Rngs(0)), recipe.optimizer.make(100), recipe.loss)
    batch = {key: value for key, value in next(recipe.train_batches("ci")).items() if key != "record"}
    assert batch["bytes"].shape == (16, 64) and {decode_ids(row) for row in batch["bytes"]} <= {*PRAISE, *BLAME}
    state, losses = step.init(), []
    for _ in range(60):
        *state, metrics = step(*state, batch, jax.random.key(0))
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.3 * losses[0]
    numbers = recipe.metrics(step.merge(*state[:2]), "ci")
    assert numbers["total"] == 64 and numbers["accuracy"] == 1
    assert [split.split("[")[0] for split in asked] == ["train", "validation"]


def test_it_starts_from_the_encoder_that_ships():
    recipe = recipes.get("glue_sst2")
    assert recipe.data.name == "glue/sst2:2.0.0" and recipe.start_from.recipe == "bytes_perceiver_io"
    assert recipe.model == recipes.get("bytes_perceiver_io").model


def test_long_sentences_are_cut_and_hidden_labels_are_refused():
    convert = sentence_bytes(8)
    assert decode_ids(convert({"sentence": b"far too long", "label": 1})["bytes"]) == "far too "
    with pytest.raises(ValueError, match="is -1: the labels of GLUE's test splits are not told. Take its split 'valid"):
        convert({"sentence": b"?", "label": -1})
