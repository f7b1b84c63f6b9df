"""The copy task: every mirrored event is asked for once, told what came before it, and the comparison is fair."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import mirrored
from perceiver_lab.datasets.events import EOS, MIRRORED, PAD, SOS, TOKENS
from perceiver_lab.ops import sequence_lengths
from perceiver_lab.recipes import copying_measure as measure
from perceiver_lab.recipes.copying import LATENTS, LastPlaces
from perceiver_lab.training import make_train_step

NAMES = ("copy_ar", "copy_transformer")
SMALL = {
    "copy_ar": {"model.latent_channels": 16},
    "copy_transformer": {"model.transformer.channels": 16, "model.transformer.num_layers": 1},
}
HALF = MIRRORED // 2


@pytest.fixture
def records(monkeypatch):
    found = [{"events": mirrored(MIRRORED, np.random.default_rng([7, seed]))} for seed in range(20)]
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: found)
    return found


class EveryPlace(nnx.Module):
    """Says at every place something that depends on the tokens: `rule(tokens)` are the likeliest ones."""

    def __init__(self, rule):
        self.rule = rule

    def __call__(self, tokens, *, train=False, rngs=None):
        return 50.0 * jax.nn.one_hot(self.rule(tokens), TOKENS)


def backwards(tokens):
    """What comes next, from the middle on: the event as far before the middle as the next is behind it."""
    places = jnp.arange(MIRRORED)
    doubles = tokens[:, jnp.clip(MIRRORED - 2 - places, 0)]
    return jnp.where(doubles == SOS, EOS, doubles)


def asked(rule):
    return LastPlaces(EveryPlace(rule), LATENTS)


def test_batches(records):
    recipe = recipes.get("copy_ar")
    batch, tested = next(recipe.train_batches("ci")), next(recipe.test_batches("ci"))
    lengths = (batch["inputs"] != PAD).sum(axis=1)
    assert batch["inputs"].shape == batch["targets"].shape == (16, MIRRORED)
    assert lengths.min() >= HALF and lengths.max() < MIRRORED and len(set(lengths)) > 4
    np.testing.assert_array_equal(tested["events"], np.stack([record["events"] for record in records]))


def test_the_last_places_are_those_of_the_latents():
    tokens = np.full((2, 20), PAD, np.int32)
    tokens[0], tokens[1, :17] = np.arange(3, 23), np.arange(103, 120)
    said = np.asarray(asked(lambda tokens: tokens)(jnp.asarray(tokens))).argmax(axis=-1)
    np.testing.assert_array_equal(said, [np.arange(7, 23), np.arange(104, 120)])


def test_every_mirrored_event_is_asked_for_once_and_told_those_before_it(records):
    events = jnp.asarray(np.stack([record["events"] for record in records[:3]]))
    said = np.asarray(measure.predict(asked(lambda tokens: tokens), {"events": events})).argmax(axis=-1)
    np.testing.assert_array_equal(said, events[:, HALF - 1 : -1])  # the event before each
    # How much each prediction was told: never the event itself nor a later one, since windows end before those.
    known = asked(lambda tokens: jnp.broadcast_to(sequence_lengths(tokens)[:, None], tokens.shape))
    told = np.asarray(measure.predict(known, {"events": events})).argmax(axis=-1)
    np.testing.assert_array_equal(told[0], np.repeat([39, 47, 55, 63], 8))


def test_measures_of_one_who_copies_and_of_one_who_does_not(records):
    batch = {"events": np.stack([record["events"] for record in records])}
    numbers = measure.measure_copies(asked(backwards), [batch])
    assert numbers["exact_copies"] == numbers["copy_accuracy"] == numbers["exact_copies_high"] == 1
    assert 0.8 < numbers["exact_copies_low"] < 1 and numbers["total"] == 20
    assert numbers["bits_per_copied_token"] == pytest.approx(0, abs=1e-6)

    def forgets_the_end(tokens):
        return jnp.where(backwards(tokens) == EOS, 3, backwards(tokens))

    numbers = measure.measure_copies(asked(forgets_the_end), [batch])
    assert numbers["exact_copies"] == 0 and numbers["copy_accuracy"] == pytest.approx(31 / 32)
    assert numbers["loss"] == pytest.approx(50 / 32, rel=1e-4)
    assert numbers["bits_per_copied_token"] == pytest.approx(numbers["loss"] / np.log(2))


@pytest.mark.parametrize("name", NAMES)
def test_steps_make_the_loss_smaller(name, records):
    recipe = recipes.get(name).override(SMALL[name])
    step = make_train_step(recipe.make_model(nnx.Rngs(0)), recipe.optimizer.make(30), recipe.loss)
    batch = {key: value for key, value in next(recipe.train_batches("ci")).items() if key != "record"}
    state, nats = step.init(), []
    for _ in range(20):
        *state, metrics = step(*state, batch, jax.random.key(0))
        nats.append(float(metrics["nats"]))
    assert nats[-1] < nats[0] - 0.1
    numbers = recipe.metrics(step.merge(*state[:2]), "ci")
    assert numbers["total"] == 20 and "exact copies" in recipe.tell(numbers)


def test_the_comparison_is_fair():
    perceiver, transformer = (recipes.get(name) for name in NAMES)
    assert (perceiver.data, perceiver.optimizer, perceiver.budgets) == (
        transformer.data,
        transformer.optimizer,
        transformer.budgets,
    )
    assert perceiver.measure is transformer.measure
    assert perceiver.model.num_latents == transformer.model.num_latents >= measure.STRIDE
    ratio = transformer.num_parameters() / perceiver.num_parameters()
    assert 0.85 < ratio <= 1.0 and perceiver.num_parameters() * 4 < 2 * 2**20  # so that it can ship


def test_where_a_prediction_looks(records):
    model = recipes.get("copy_ar").override(SMALL["copy_ar"]).make_model(nnx.Rngs(0))
    weights = measure.copy_attention(model, np.stack([record["events"] for record in records[:2]]))
    assert weights.shape == (2, 4, HALF, MIRRORED)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, atol=1e-5)
    for row, seen in enumerate((weights > 0).all(axis=(0, 1))):
        assert seen[: HALF + row].all() and not seen[HALF + row :].any()
