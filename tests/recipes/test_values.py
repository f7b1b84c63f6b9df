"""Pictures and sounds, value by value: the loss falls, every value counts once, and counting is told nothing later."""

import jax
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import picture_events
from perceiver_lab.datasets.pictures import sound_tokens
from perceiver_lab.recipes import events_measure, values_measure
from perceiver_lab.training import make_train_step

SMALL = {"model.latent_channels": 16, "model.num_self_attends": 1, "model.num_latents": 16}
VALUES = {"digits_ar": ("pixel", 196), "spoken_ar": ("sample", 600), "spoken_codes_ar": ("code", 148)}
VOCABULARY = {"digits_ar": 19, "spoken_ar": 259, "spoken_codes_ar": 1027}


def made_up(name, number):
    """A bright square somewhere, or a tone that fades."""
    rng = np.random.default_rng(number)
    if name == "digits_ar":
        image = np.zeros((28, 28, 1), np.uint8)
        row, column = rng.integers(0, 14, 2)
        image[row : row + 14, column : column + 14] = 250
        return {"image": image}
    time = np.arange(600) / 8000
    sound = np.zeros((8000, 1), np.float32)
    sound[:600, 0] = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 300) * time) * np.exp(-10 * time)
    return {"sound": sound, "length": 600}


@pytest.fixture(params=VALUES)
def recipe(request, monkeypatch):
    """A small model on made-up records."""

    def source(self, split):
        return [made_up(self.name, number + 100 * split.startswith("test")) for number in range(12)]

    monkeypatch.setattr(recipes.Recipe, "_source", source)
    monkeypatch.setattr(values_measure, "load", lambda name, split: source(recipes.get(request.param), split))
    return recipes.get(request.param).override(SMALL)


def test_the_loss_falls_and_every_value_counts_once(recipe):
    unit, values = VALUES[recipe.name]
    step = make_train_step(recipe.make_model(nnx.Rngs(0)), recipe.optimizer.make(60), recipe.loss)
    batches, state, nats = recipe.train_batches("ci"), step.init(), []
    for _ in range(30):
        batch = {key: value for key, value in next(batches).items() if key != "record"}
        *state, metrics = step(*state, batch, jax.random.key(0))
        nats.append(float(metrics["nats"]))
    vocabulary = VOCABULARY[recipe.name]
    assert nats[0] == pytest.approx(np.log(vocabulary), rel=1e-5) and nats[-1] < nats[0] - 0.2
    numbers = recipe.metrics(step.merge(*state[:2]), "ci")
    assert numbers["total"] == 12 and numbers[f"{unit}s"] == 12 * values
    value = numbers[f"bits_per_{unit}"]
    assert numbers[f"bits_per_{unit}_low"] <= value <= numbers[f"bits_per_{unit}_high"] < np.log2(vocabulary)
    assert numbers["loss"] == pytest.approx(value * np.log(2))


def test_counting_more_is_worth_more_on_what_is_regular(recipe):
    count, best = {
        "digits_ar": (values_measure.count_pixels, "neighbours"),
        "spoken_ar": (values_measure.count_samples, "predictor"),
        "spoken_codes_ar": (values_measure.count_codes, "n-gram"),
    }[recipe.name]
    found = count(recipe)
    assert found[best] <= found["markov"] < found["alone"]


def test_without_documents_there_is_nothing_to_measure(recipe):
    with pytest.raises(ValueError, match="nothing to measure: make the batches anew"):
        events_measure.nats_of_documents(recipe.make_model(nnx.Rngs(0)), [])


def test_neighbours_are_those_that_come_earlier():
    image = np.random.default_rng(0).integers(0, 256, (14, 14, 1), dtype=np.uint8)
    events = picture_events(16)({"image": image})["events"]
    told = values_measure.pixel_contexts(events, 14)
    assert told.shape == (196, 6)
    grey = image[..., 0].astype(int) // 16
    at = 5 * 14 + 6
    assert told[at].tolist() == [grey[5, 5], grey[4, 6], grey[4, 7], grey[4, 5], grey[5, 4], grey[3, 6]]
    assert told[0].tolist() == [0] * 6  # beyond the border there is paper
    later = events.copy()
    later[1 + at :] = 3
    np.testing.assert_array_equal(values_measure.pixel_contexts(later, 14)[: at + 1], told[: at + 1])


def test_codes_are_told_their_stage_and_nothing_later():
    events = np.array([2, 10, 300, 600, 900, 11, 301])
    told = values_measure.code_contexts(events)
    assert told[:, 0].tolist() == [0, 1, 2, 3, 0, 1]
    assert told[4, 1:].tolist() == [900, 600, 300, 10, -1, -1]


def test_a_linear_predictor_knows_a_tone_and_nothing_later():
    events = sound_tokens(made_up("spoken_ar", 1)["sound"][:600, 0])
    taps = values_measure.linear_predictor([events])
    told = values_measure.predictor_contexts(events, taps)
    assert told.shape == (600, 3) and told.min() >= 0
    later = events.copy()
    later[301:] = 100
    np.testing.assert_array_equal(values_measure.predictor_contexts(later, taps)[:301], told[:301])


def test_they_can_ship():
    for name in VALUES:
        assert recipes.get(name).num_parameters() * 2 < 1.5 * 2**20
