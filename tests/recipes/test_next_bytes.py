"""Text: every byte counts once, and whoever knows what comes next is told so."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import PrecedingCounts, crop_events, encode_text, plays, text_events
from perceiver_lab.datasets.events import SOS, TOKENS
from perceiver_lab.recipes import next_bytes_measure as measure
from perceiver_lab.recipes.base import Data
from perceiver_lab.training import make_train_step

SMALL = {
    "model.num_latents": 8,
    "model.latent_channels": 16,
    "model.max_context": 32,
    "model.max_wavelength": 32,
    "model.num_self_attends": 1,
    "model.num_cross_heads": 2,
    "model.num_self_heads": 2,
}
RUN = 2100  # bytes of a test run here: two stretches of 1,024 and a rest


@pytest.fixture
def text_ar(monkeypatch):
    """The recipe with a small model, on short runs of the plays instead of the prepared set."""

    def source(self, split):
        if split.startswith("train"):
            return [{"events": text_events(text)} for text in plays.long_stretches("train")[:40]]
        return [{"events": text_events(text[:RUN])} for text in plays.texts("test")[:2]]

    monkeypatch.setattr(recipes.Recipe, "_source", source)
    return recipes.get("text_ar")


def small(recipe):
    data = Data(name=recipe.data.name, train_transforms=(crop_events(context=32, fewest=8),), test_transforms=())
    return dataclasses.replace(recipe.override(SMALL), data=data)


def test_batches(text_ar):
    batch = next(text_ar.train_batches("ci"))
    assert batch["inputs"].shape == batch["targets"].shape == (4, 1024)
    lengths = (batch["inputs"] != 0).sum(axis=1)
    assert lengths.min() >= 256
    for inputs, targets, length in zip(batch["inputs"], batch["targets"], lengths, strict=True):
        assert length == 1024 or inputs[0] == SOS  # a crop that is shorter begins where its stretch does
        np.testing.assert_array_equal(inputs[1:length], targets[: length - 1])
    tested = list(text_ar.test_batches("lab"))
    assert [one["events"].shape for one in tested] == [(2, RUN + 1)]


def test_it_can_ship():
    assert recipes.get("text_ar").num_parameters() * 2 < 2 * 2**20  # in half precision


def test_steps_make_the_loss_smaller_and_every_byte_counts_once(text_ar):
    recipe = small(text_ar)
    step = make_train_step(recipe.make_model(nnx.Rngs(0)), recipe.optimizer.make(60), recipe.loss)
    untrained = measure.measure_text(step.merge(*step.init()[:2]), recipe.test_batches("ci"))
    assert untrained["bits_per_byte"] == pytest.approx(np.log2(TOKENS), rel=1e-5)  # the logits start from zero
    assert untrained["bits_per_byte_high"] - untrained["bits_per_byte_low"] == pytest.approx(0, abs=1e-5)
    batches, state, nats = recipe.train_batches("lab"), step.init(), []
    for _ in range(60):
        batch = {key: value for key, value in next(batches).items() if key != "record"}
        *state, metrics = step(*state, batch, jax.random.key(0))
        nats.append(float(metrics["nats"]))
    assert nats[-1] < 0.8 * nats[0]
    numbers = measure.measure_text(step.merge(*state[:2]), recipe.test_batches("ci"))
    assert (numbers["total"], numbers["bytes"]) == (2, 2 * RUN)
    assert numbers["bits_per_byte_low"] < numbers["bits_per_byte"] < numbers["bits_per_byte_high"] < 8
    assert 7.8 < numbers["inputs_per_byte"] < 8  # windows of 32 score 4 each
    assert "bits per byte" in recipe.tell(numbers)


def test_without_runs_there_is_nothing_to_measure(text_ar):
    model = small(text_ar).make_model(nnx.Rngs(0))
    with pytest.raises(ValueError, match="no runs of text to measure: make the batches anew"):
        measure.measure_text(model, [])


def test_what_reading_again_costs():
    assert measure.inputs_read(10, context=4, stride=1) == 1 + 2 + 3 + 7 * 4
    assert measure.inputs_read(10, context=4, stride=4) == 2 + 4 + 4
    assert measure.inputs_read(10, context=100, stride=100) == 10
    recipe = recipes.get("text_ar")
    assert measure.flops_per_byte(recipe, 64) == pytest.approx(4 * measure.flops_per_byte(recipe, 256))


def test_baselines_are_about_the_same_bytes(monkeypatch):
    text, training = b"To be, or not to be", [b"to be, or not to be, that is", b"To sleep, to dream"]
    monkeypatch.setattr(measure, "load", lambda name, split: [{"events": text_events(text)}])
    monkeypatch.setattr(plays, "texts", lambda part: training)
    found = measure.count_baselines(recipes.get("text_ar"), "ci")
    counts = PrecedingCounts(training, 6)
    assert list(found) == list(range(7))
    for left, bits in found.items():
        assert bits == pytest.approx(counts.bits(encode_text(text), left=left).mean())
    assert found[3] < found[0]
