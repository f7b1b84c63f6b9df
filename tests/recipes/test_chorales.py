"""Chorales: other keys in training only, every token counts once, and counting is told no more than it says."""

import jax
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import chorales
from perceiver_lab.datasets.chorales import ONSET
from perceiver_lab.ops.sequences import EOS
from perceiver_lab.recipes import chorales_measure as measure
from perceiver_lab.recipes.chorales import CONTEXT, LATENTS
from perceiver_lab.training import make_train_step

NAMES = ("chorales_ar", "chorales_transformer", "chorales_music_transformer", "chorales_transformer_xl")
SMALL = {
    "chorales_ar": {"model.latent_channels": 16, "model.num_self_attends": 1, "model.num_latents": 16},
    "chorales_transformer": {"model.channels": 16, "model.num_layers": 1},
    "chorales_music_transformer": {"model.channels": 16, "model.num_layers": 1},
    "chorales_transformer_xl": {"model.channels": 16, "model.num_layers": 2},
}


def piece(seed, rows=90):
    """Made up: each voice walks up and down a scale, a new tone every second or fourth sixteenth."""
    rng, grid = np.random.default_rng(seed), np.zeros((rows, 4), np.uint8)
    for voice, lowest in enumerate((62, 57, 50, 43)):
        pitch, row = lowest, 0
        while row < rows:
            length = int(rng.choice([2, 4]))
            grid[row : row + length, voice] = pitch
            grid[row, voice] |= ONSET
            pitch, row = lowest + (pitch - lowest + int(rng.choice([-2, 2]))) % 12, row + length
    return grid


@pytest.fixture
def pieces(monkeypatch):
    """Six made-up pieces for each split, instead of the prepared set."""
    names = {part: [f"{part}{number}" for number in range(6)] for part in chorales.PARTS}
    grids = {name: piece(seed) for seed, name in enumerate(name for part in names.values() for name in part)}
    monkeypatch.setattr(chorales, "grids", lambda: grids)
    monkeypatch.setattr(chorales, "split", lambda: names)
    monkeypatch.setattr(
        recipes.Recipe,
        "_source",
        lambda self, split: [{"grid": grids[one], "name": one} for one in names[split.split("[")[0]]],
    )
    return grids


def test_batches(pieces):
    recipe = recipes.get("chorales_ar")
    batch = next(recipe.train_batches("ci"))
    assert batch["inputs"].shape == batch["targets"].shape == (4, CONTEXT) and set(batch) == {
        "inputs",
        "targets",
        "record",
    }
    assert (batch["inputs"] != 0).sum(axis=1).min() >= LATENTS
    (tested,) = [one["events"] for one in recipe.test_batches("lab")]
    assert tested.shape == (6, chorales.LONGEST)
    np.testing.assert_array_equal(chorales.events_grid(tested[0]), pieces["test0"])  # in the key that it is in


@pytest.mark.parametrize("name", NAMES)
def test_steps_make_the_loss_smaller_and_every_token_counts_once(name, pieces):
    recipe = recipes.get(name).override(SMALL[name])
    step = make_train_step(recipe.make_model(nnx.Rngs(0)), recipe.optimizer.make(60), recipe.loss)
    batches, state, nats = recipe.train_batches("ci"), step.init(), []
    for _ in range(40):
        batch = {key: value for key, value in next(batches).items() if key != "record"}
        *state, metrics = step(*state, batch, jax.random.key(0))
        nats.append(float(metrics["nats"]))
    if name != "chorales_transformer":  # whose output is no layer of zeros, but the embedding
        assert nats[0] == pytest.approx(np.log(chorales.TOKENS), rel=1e-5)
    assert nats[-1] < nats[0] - 0.5
    numbers = recipe.metrics(step.merge(*state[:2]), "ci")
    assert (numbers["total"], numbers["tokens"]) == (6, 6 * (4 * 90 + 1))
    assert numbers["bits_per_token_low"] < numbers["bits_per_token"] < numbers["bits_per_token_high"] < np.log2(195)
    assert numbers["bits_per_sixteenth"] == pytest.approx(4 * numbers["bits_per_token"], rel=0.01)
    assert numbers["loss"] == pytest.approx(numbers["bits_per_token"] * np.log(2))


def test_without_pieces_there_is_nothing_to_measure(pieces):
    model = recipes.get("chorales_ar").make_model(nnx.Rngs(0))
    with pytest.raises(ValueError, match="nothing to measure: make the batches anew"):
        measure.measure_chorales(model, [])


def test_the_comparison_is_fair():
    perceiver, *others = (recipes.get(name) for name in NAMES)
    for other in others:
        assert (perceiver.optimizer, perceiver.budgets) == (other.optimizer, other.budgets)
        assert 0.8 < other.num_parameters() / perceiver.num_parameters() < 1.25
        assert 0.8 < measure.training_flops(other) / measure.training_flops(perceiver) < 1.25
    assert perceiver.num_parameters() * 4 < 2 * 2**20  # so that it can ship


def test_counting_sees_what_it_says_and_nothing_later():
    grid = piece(3)
    contexts = measure.sounding_contexts(grid)
    events = chorales.grid_events(grid)
    assert contexts.shape == (len(events) - 1, 8) and contexts.min() >= 0
    row, voice = 20, 2
    told = contexts[4 * row + voice]
    onsets = [one for one in range(row) if grid[one, voice] >= ONSET]
    assert told.tolist() == [
        voice,
        min(row - onsets[-1], 16),
        int((grid[row, :voice] >= ONSET).any()),
        row % 4,
        grid[row - 1, voice] % ONSET,
        grid[row, voice - 1] % ONSET,
        grid[row, 0] % ONSET,
        grid[row - 1, voice + 1] % ONSET,
    ]
    later = grid.copy()
    later[row, voice:], later[row + 1 :] = 0, 0
    np.testing.assert_array_equal(
        measure.sounding_contexts(later)[: 4 * row + voice + 1], contexts[: 4 * row + voice + 1]
    )
    assert events[-1] == EOS and contexts[-1, 0] == 0  # the end token stands where the soprano would
    tokens = measure.token_contexts(grid)
    np.testing.assert_array_equal(tokens[50], events[50 - np.arange(measure.REACH)])


def test_baselines(pieces):
    found = measure.count_baselines()
    assert set(found) == {"markov", "n-gram", "sounding", "order"} and found["order"] > 1
    assert found["n-gram"] < found["markov"] < np.log2(chorales.TOKENS)
    assert found["sounding"] < found["markov"]
