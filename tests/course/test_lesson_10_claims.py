"""Lesson 10: what its text claims of the shipped weights and of the stored measurement."""

import json
import pathlib

import jax
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import chorales, load
from perceiver_lab.generation import generate
from perceiver_lab.introspect import attention_maps
from perceiver_lab.ops.sequences import EOS, NUM_SPECIAL_TOKENS, SOS

BARS = 7


@pytest.fixture(scope="module")
def bach():
    return recipes.load_shipped(recipes.get("chorales_ar"))


@pytest.fixture(scope="module")
def pieces():
    """Of the test, in the lesson's order."""
    found = load("chorales", "test")
    grids = [found[row]["grid"] for row in range(len(found))]
    return [grid for grid in grids if len(grid) >= 192]


def counted(grids):
    """Of the bars behind the prompt: tones that begin in one, half bars that are there again, clashes on a quarter."""
    begins, again, clashes = [], [], []
    for grid in (grid[64 : 64 + 16 * BARS] for grid in grids):
        begins.append((grid >= chorales.ONSET).sum() / BARS)
        halves = [grid[start : start + 8].tobytes() for start in range(0, len(grid), 8)]
        again.append(1 - len(set(halves)) / len(halves))
        pitch = (grid[::4] % chorales.ONSET).astype(int)
        for one, other in zip(*np.triu_indices(4, 1), strict=True):
            both = (pitch[:, one] > 0) & (pitch[:, other] > 0)
            steps = np.abs(pitch[both, one] - pitch[both, other]) % 12
            clashes += np.isin(steps, (1, 2, 6, 10, 11)).tolist()
    return np.mean(begins), np.mean(again), np.mean(clashes)


@pytest.mark.slow  # compiled as for a user: a thousand steps run faster than that takes
def test_greedy_moves_less_and_repeats_itself_and_temperature_1_moves_as_bach(bach, pieces):
    pieces = pieces[:8]  # a third of what the lesson counts
    prompts = [chorales.grid_events(grid[:64])[1:-1].tolist() for grid in pieces]
    bach_moves, bach_repeats, bach_clashes = counted(pieces)

    def continued(temperature):
        settings = {"temperature": temperature, "num_channels": 4, "forbidden_tokens": [EOS]}
        new = generate(bach[0], prompts, num_tokens=64 * BARS, **settings).tokens
        return counted(
            [chorales.events_grid(np.concatenate([one, two])) for one, two in zip(prompts, new, strict=True)]
        )

    moves, repeats, _ = continued(0.0)
    assert moves < 0.8 * bach_moves and repeats > 0.1 and bach_repeats < 0.03
    moves, repeats, clashes = continued(1.0)
    assert moves == pytest.approx(bach_moves, rel=0.15) and repeats < 0.02
    assert 1.1 * bach_clashes < clashes < 3 * bach_clashes


def test_to_go_on_is_mostly_likeliest_and_a_bar_does_not_become_likelier_by_being_heard(bach, pieces):
    given = [chorales.grid_events(grid[:64])[:-1] for grid in pieces]
    events = np.stack([np.concatenate([row, row[-64:]]) for row in given])  # the fourth bar twice
    logits = nnx.jit(lambda model, events: jax.nn.log_softmax(model(events)))(bach[0], events[:, :-1])
    nats = -np.take_along_axis(np.asarray(logits), events[:, -128:, None], axis=-1)[..., 0]
    assert nats[:, 64:].mean() == pytest.approx(nats[:, :64].mean(), rel=0.1)
    likeliest = (np.asarray(logits[:, :64].argmax(axis=-1)) - NUM_SPECIAL_TOKENS) % chorales.VALUES
    assert (likeliest == chorales.GOES_ON).mean() > 0.5


def test_the_read_looks_near(bach, pieces):
    events = np.stack([np.concatenate([[SOS], chorales.grid_events(grid[:96])[1:-1]]) for grid in pieces[:8]])
    _, maps = attention_maps(bach[0], events)
    weights = maps[0].weights.mean(axis=(0, 1))
    places = np.arange(events.shape[1])
    far = places[-len(weights) :, None] // 4 - (places - 1) // 4
    within = {most: weights[(far >= 0) & (far <= most) | (places == 0)].sum() / len(weights) for most in (4, 16)}
    assert 0.2 < within[4] < 0.4 and 0.45 < within[16] < 0.7, within


def test_what_others_of_as_many_flops_need():
    said = {
        "ar": ("0.707", "0.672", "0.741"),
        "transformer": ("0.745", "0.710", "0.781"),
        "music_transformer": ("0.686", "0.651", "0.721"),
        "transformer_xl": ("0.662", "0.629", "0.695"),
    }
    for name, numbers in said.items():
        found = recipes.shipped_story(recipes.get(f"chorales_{name}"))["metrics"]
        assert tuple(f"{found[f'bits_per_token{end}']:.3f}" for end in ("", "_low", "_high")) == numbers


def test_the_stored_measurement():
    """Of benchmarks/generation.py."""
    path = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "generation.json"
    found = json.loads(path.read_text())
    assert (found["context"], found["latents"]) == (2048, 256)
    assert (found["cached_tokens_per_second"], found["uncached_tokens_per_second"]) == (312.4, 23.0)
    assert found["times"] == 13.6 and max(row["max_difference"] for row in found["table"]) < 4e-6
    near, far = (found["cached_token"][place] for place in ("256", "2000"))
    assert near["flops"] == far["flops"] and (near["milliseconds"], far["milliseconds"]) == (4.22, 4.37)
