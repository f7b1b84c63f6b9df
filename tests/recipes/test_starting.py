"""Trainings that start from weights that ship."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.recipes import registry
from perceiver_lab.recipes.starting import Start, borrowed, initial_model, take_parts
from perceiver_lab.training import WeightsError
from perceiver_lab.training.freezing import FrozenConfig


def leaves(module):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(module))]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))


@pytest.fixture
def after(tiny, monkeypatch):
    """A recipe that starts from the hidden layer of the shipped weights of "tiny"."""
    after = dataclasses.replace(tiny, name="after", start_from=Start(recipe="tiny", parts=("hidden",)))
    monkeypatch.setattr(registry, "_recipes", lambda: {"tiny": tiny, "after": after})
    return after


def test_a_run_that_starts_from_what_ships(tiny, after, tmp_path):
    runs = [recipes.run(tiny, "full", tmp_path / str(seed), seed=seed, progress=False) for seed in (3, 4)]
    recipes.ship(tiny, runs)
    model = initial_model(after, seed=9)
    assert same(model.hidden, recipes.load_shipped(tiny)[0].hidden)
    assert same(model.out, after.make_model(nnx.Rngs(9)).out)
    assert same(initial_model(tiny, seed=9), tiny.make_model(nnx.Rngs(9)))  # without a start, as before
    run = recipes.run(after, "ci", tmp_path / "after", progress=False)
    moved = [np.abs(a - b).max() for a, b in zip(leaves(run.model.hidden), leaves(model.hidden), strict=True)]
    assert 0 < max(moved) < 0.1  # three steps away from where it started
    assert same(initial_model(after, seed=9), model)  # what ships is untouched


def test_what_stays_as_it_was_ships_once(tiny, after, tmp_path, monkeypatch):
    recipes.ship(tiny, [recipes.run(tiny, "full", tmp_path / str(seed), seed=seed, progress=False) for seed in (3, 4)])
    frozen = dataclasses.replace(after, optimizer=FrozenConfig(frozen=("hidden",), learning_rate=1e-2))
    monkeypatch.setattr(registry, "_recipes", lambda: {"tiny": tiny, "after": frozen})
    assert borrowed(frozen) == ("hidden",) and borrowed(after) == borrowed(tiny) == ()
    runs = [recipes.run(frozen, "full", tmp_path / f"after{seed}", seed=seed, progress=False) for seed in (3, 4)]
    path = recipes.ship(frozen, runs)
    assert path.stat().st_size < recipes.shipped_path("tiny").stat().st_size
    model, _ = recipes.load_shipped(frozen)
    assert same(model.hidden, recipes.load_shipped(tiny)[0].hidden)
    assert not same(model.out, recipes.load_shipped(tiny)[0].out)
    recipes.shipped_path("tiny").unlink()
    recipes.shipped_path("tiny").with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match="'after' starts from the weights of 'tiny', and none ship"):
        recipes.load_shipped(frozen)


def test_nothing_ships(after, tmp_path):
    with pytest.raises(WeightsError, match=r"'after' starts from the weights of 'tiny', and none ship .* --ship"):
        recipes.run(after, "ci", tmp_path, progress=False)


def test_the_fingerprint_says_where_it_starts(tiny, after, monkeypatch):
    other_parts = dataclasses.replace(after, start_from=Start(recipe="tiny", parts=("hidden", "out")))
    prints = [one.fingerprint("full") for one in (tiny, after, other_parts)]
    other_donor = tiny.override({"optimizer.learning_rate": 0.5})
    monkeypatch.setattr(registry, "_recipes", lambda: {"tiny": other_donor, "after": after})
    prints.append(after.fingerprint("full"))
    assert len(set(prints)) == 4
    assert tiny.fingerprint("full") == prints[0]


def test_parts_that_do_not_fit(tiny):
    model, donor = (tiny.make_model(nnx.Rngs(seed)) for seed in (0, 1))
    before = leaves(model)
    with pytest.raises(ValueError, match="parts to take over are hidden, head; one of the two models lacks head"):
        take_parts(model, donor, ("hidden", "head"))
    with pytest.raises(ValueError, match="parts to take over are none"):
        take_parts(model, donor, ())
    wider = tiny.override({"model.width": 9}).make_model(nnx.Rngs(1))
    with pytest.raises(ValueError, match=r"The part 'out' differs between the two models: kernel is float32\(9, 2\)"):
        take_parts(model, wider, ("out", "hidden"))
    assert all(np.array_equal(a, b) for a, b in zip(before, leaves(model), strict=True))
    take_parts(model, donor, ("hidden", "out"))
    assert same(model, donor)
