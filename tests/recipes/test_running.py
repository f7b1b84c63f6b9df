"""Runs: interrupted ones go on, finished ones are taken up, foreign ones are refused; and what ships is guarded."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.recipes import shipping
from perceiver_lab.training import CheckpointError, NonFiniteLossError, WeightsError


def leaves(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model))]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))


def test_a_run_and_what_it_leaves(tiny, tmp_path):
    run = recipes.run(tiny, "full", tmp_path / "run", progress=False)
    assert run.seed == 3
    assert run.metrics["accuracy"] > 0.9
    assert run.metrics["total"] == 40
    assert run.history.curve("test_accuracy")[0] == [20, 40]
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines == run.history.records
    about = json.loads((tmp_path / "run" / "weights.json").read_text())
    assert about["fingerprint"] == tiny.fingerprint("full")
    assert (about["steps"], about["parameters"]) == (40, 9 * 8 + 8 + 8 * 2 + 2)
    assert about["model"]["width"] == 8
    assert "jax" in about["versions"]


def test_finished_runs_are_taken_up(tiny, tmp_path):
    first = recipes.run(tiny, "lab", tmp_path / "run", progress=False)
    again = recipes.run(tiny, "lab", tmp_path / "run", progress=False, callbacks=[lambda history: 1 / 0])
    assert same(first.model, again.model)
    assert (first.metrics, first.about["minutes"]) == (again.metrics, again.about["minutes"])
    assert same(first.model, recipes.load_run(tiny, tmp_path / "run"))


def test_an_interrupted_run_goes_on(tiny, tmp_path):
    whole = recipes.run(tiny, "full", tmp_path / "whole", progress=False)

    def stop(history):
        if history[-1]["step"] == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipes.run(tiny, "full", tmp_path / "parts", progress=False, callbacks=[stop])
    with pytest.raises(ValueError, match=r"holds a run of 24 steps. Go on with it"):
        recipes.run(tiny, "full", tmp_path / "parts", progress=False, resume=False)
    with pytest.raises(CheckpointError, match="made with another config"):
        recipes.run(tiny, "full", tmp_path / "parts", progress=False, seed=4)
    assert same(recipes.run(tiny, "full", tmp_path / "parts", progress=False).model, whole.model)


def test_changed_code_is_noticed(tiny, tmp_path, monkeypatch):
    from perceiver_lab.recipes import running

    def stop(history):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipes.run(
            tiny.override({"budgets.full.checkpoint_every": 5}), "full", tmp_path, progress=False, callbacks=[stop]
        )
    monkeypatch.setattr(running, "code_fingerprint", lambda: "another")
    with pytest.raises(CheckpointError, match="made with another code"):
        recipes.run(tiny, "full", tmp_path, progress=False)
    with pytest.warns(UserWarning, match="made with another code; the run goes on"):
        recipes.run(tiny, "full", tmp_path, progress=False, accept_code_change=True)


def test_seeds_and_modes_lie_apart(tiny):
    folders = {recipes.run_folder(tiny, mode, seed) for mode in ("ci", "lab") for seed in (0, 1)}
    assert len(folders) == 4
    assert recipes.run(tiny, "ci", progress=False).folder == recipes.run_folder(tiny, "ci", 0)


def test_a_finished_run_of_something_else(tiny, tmp_path):
    recipes.run(tiny, "ci", tmp_path / "run", progress=False)
    other = tiny.override({"model.width": 9})
    with pytest.raises(ValueError, match=r"finished run of another configuration \(tiny, ci, seed 0\)"):
        recipes.run(other, "ci", tmp_path / "run", progress=False)


def test_a_run_that_diverges(tiny, tmp_path):
    wild = tiny.override({"optimizer.learning_rate": 1e30, "optimizer.clip": None})
    with pytest.raises(NonFiniteLossError, match="on records"):
        recipes.run(wild, "lab", tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "weights.safetensors").exists()


@pytest.fixture
def shipped(tiny):
    runs = [recipes.run(tiny, "full", seed=seed, progress=False) for seed in tiny.budget("full").seeds]
    return runs, recipes.ship(tiny, runs)


def test_shipping(tiny, shipped, tmp_path):
    runs, path = shipped
    assert path == tmp_path / "data" / "weights" / "tiny.safetensors"
    model, about = recipes.load_shipped(tiny)
    for stored, trained in zip(leaves(model), leaves(runs[0].model), strict=True):
        np.testing.assert_array_equal(stored, np.asarray(trained, np.float16))
    assert about["seeds"].keys() == {"3", "4"}
    assert about["metrics"] == tiny.metrics(model)
    assert np.shape(about["probe_logits"]) == (8, 2)
    assert recipes.check_shipped(tiny) < 1e-4


def test_nothing_ships(tiny):
    assert recipes.load_shipped(tiny) is None
    with pytest.raises(WeightsError, match=r"do not fit its configuration.*Train and ship them again"):
        recipes.check_shipped(tiny)


def test_another_configuration_does_not_take_up_what_ships(tiny, shipped):
    assert recipes.load_shipped(tiny.override({"model.width": 9})) is None
    assert recipes.load_shipped(tiny.override({"numerics": 2})) is None


def test_a_forgotten_numerics_is_noticed(tiny, shipped):
    """The same recipe by its values, with other maths inside."""

    def build_otherwise(recipe, rngs):
        model = tiny.build(recipe, rngs)
        call = type(model).__call__

        class Other(type(model)):
            def __call__(self, x, **options):
                return call(self, x * 1.1, **options)

        return Other(recipe.model, rngs=rngs)

    changed = dataclasses.replace(tiny, build=Renamed(build_otherwise, tiny.build))
    assert changed.fingerprint("full") == tiny.fingerprint("full")
    with pytest.raises(WeightsError, match="raise its `numerics` from 1 to 2"):
        recipes.check_shipped(changed)


class Renamed:
    """A callable that describes itself as another one does."""

    def __init__(self, function, other):
        self.function, self.__qualname__ = function, other.__qualname__

    def __call__(self, *args):
        return self.function(*args)


def test_only_full_runs_as_they_stand_ship(tiny, tmp_path):
    with pytest.raises(ValueError, match="only full runs of 'tiny' as it stands"):
        recipes.ship(tiny, recipes.run(tiny, "ci", progress=False))
    changed = tiny.override({"model.width": 9})
    with pytest.raises(ValueError, match="only full runs"):
        recipes.ship(tiny, recipes.run(changed, "full", progress=False))


def test_big_weights_do_not_ship(tiny, monkeypatch):
    run = recipes.run(tiny, "full", progress=False)
    monkeypatch.setattr(shipping, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="at most 100 ship"):
        recipes.ship(tiny, run)


def test_a_result_ships_without_weights(tiny, tmp_path):
    runs = [recipes.run(tiny, "full", seed=seed, progress=False) for seed in tiny.budget("full").seeds]
    path = recipes.ship(tiny, runs[:1], weights=False)
    assert path == tmp_path / "data" / "results" / "tiny.json"
    assert recipes.load_shipped(tiny) is None
    story = recipes.shipped_story(tiny)
    assert story["metrics"] == runs[0].metrics and "sha256" not in story
    assert recipes.ship(tiny, runs[1:]) == path
    joined = recipes.shipped_story(tiny)
    assert joined["seeds"] == story["seeds"] | {"4": runs[1].metrics | told(runs[1])}
    assert recipes.shipped_story(tiny.override({"model.width": 9})) is None
    path.write_text("{")
    with pytest.raises(WeightsError, match=r"tiny\.json is no JSON.*git checkout"):
        recipes.shipped_story(tiny)


def test_a_further_seed_joins_what_ships(tiny, tmp_path):
    runs = [recipes.run(tiny, "full", seed=seed, progress=False) for seed in tiny.budget("full").seeds]
    with pytest.raises(ValueError, match="Nothing ships of 'tiny' that seeds 4 could join: ship 3 first"):
        recipes.ship(tiny, runs[1:])
    weights = recipes.ship(tiny, runs[:1]).read_bytes()
    path = recipes.ship(tiny, runs[1:])
    assert path == tmp_path / "data" / "weights" / "tiny.json"
    assert recipes.shipped_story(tiny)["seeds"]["4"] == runs[1].metrics | told(runs[1])
    assert path.with_suffix(".safetensors").read_bytes() == weights
    assert recipes.check_shipped(tiny) < 1e-4


def told(run):
    return {name: run.about[name] for name in ("minutes", "device")}


def test_a_long_curve_is_thinned():
    records = [{"step": step, "loss": 1 / step} for step in range(1, 1001)] + [{"step": 1000, "test_loss": 0.123456789}]
    kept = shipping.thinned(records)
    assert len(kept) == 201
    assert kept[-2:] == [{"step": 1000, "loss": 0.001}, {"step": 1000, "test_loss": 0.12346}]
    assert shipping.thinned([{"step": 1, "test_loss": 1.0}]) == [{"step": 1, "test_loss": 1.0}]
