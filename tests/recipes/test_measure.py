"""Recipes whose task is not classification: their own loss, their own answers, their own numbers."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.cli import main
from perceiver_lab.recipes import shipping
from perceiver_lab.training import WeightsError, answers, classifier_metrics, evaluate, forward


def loss(model, batch, rngs):
    error = jnp.mean((model(batch["image"], train=True, rngs=rngs)[:, 0] - batch["image"].mean((1, 2, 3))) ** 2)
    return error, {"error": error}


def predict(model, batch):
    return {"mean": model(batch["image"])[:, 0], "all": model(batch["image"])}


def measure(model, batches):
    errors = [
        abs(said["mean"] - batch["image"].mean((1, 2, 3)))
        for batch, said in answers(model, batches, predict, ("image",))
    ]
    errors = np.concatenate(errors)
    value, half = float(errors.mean()), float(2 * errors.std() / np.sqrt(len(errors)))
    return {"error": value, "error_low": value - half, "error_high": value + half, "total": len(errors)}


@pytest.fixture
def mean_recipe(tiny, monkeypatch):
    """The tiny model guesses the mean of a picture."""
    recipe = dataclasses.replace(tiny, loss=loss, predict=predict, reads=("image",), measure=measure, headline="error")
    monkeypatch.setattr(recipes.registry, "_recipes", lambda: {"tiny": recipe})
    return recipe


def test_a_run_reports_and_ships_its_own_numbers(mean_recipe, tmp_path):
    runs = [recipes.run(mean_recipe, "full", seed=seed, progress=False) for seed in (3, 4)]
    assert runs[0].metrics == measure(runs[0].model, mean_recipe.test_batches("full"))
    assert runs[0].history.curve("test_error")[0] == [20, 40]
    assert runs[0].history.curve("test_error")[1][-1] == runs[0].metrics["error"]
    path = recipes.ship(mean_recipe, runs)
    about = json.loads(path.with_suffix(".json").read_text())
    assert about["seeds"]["3"] == runs[0].metrics | {
        "minutes": runs[0].about["minutes"],
        "device": runs[0].about["device"],
    }
    shipped, _ = recipes.load_shipped(mean_recipe)
    assert about["metrics"] == measure(shipped, mean_recipe.test_batches("full"))
    for stored, trained in zip(*(jax.tree.leaves(nnx.split(one)[1]) for one in (shipped, runs[0].model)), strict=True):
        np.testing.assert_array_equal(stored, np.asarray(trained, np.float16))
    assert recipes.check_shipped(mean_recipe) < 1e-4


def test_numbers_are_taken_again_where_the_curve_was_lost(mean_recipe, tmp_path, monkeypatch):
    from perceiver_lab.recipes import running

    whole = recipes.run(mean_recipe, "lab", tmp_path / "whole", progress=False)
    outcome = dataclasses.replace(running.train(
        whole.model, mean_recipe.train_batches("lab"), steps=1, optimizer=mean_recipe.optimizer.make(6), loss_fn=loss,
        progress=False,
    ), model=whole.model)  # fmt: skip
    assert running._about(mean_recipe, "lab", 3, outcome)["metrics"] == whole.metrics


def test_the_shell_tells_the_headline(mean_recipe, capsys, tmp_path):
    assert main(["train", "tiny", "--mode", "ci", "--quiet", "--folder", str(tmp_path / "run")]) == 0
    assert "seed 0: test error " in capsys.readouterr().out
    recipes.ship(mean_recipe, [recipes.run(mean_recipe, "full", seed=seed, progress=False) for seed in (3, 4)])
    assert main(["evaluate", "tiny"]) == 0
    assert "tiny: test error " in capsys.readouterr().out
    assert main(["reproduce", "tiny", "--quiet", "--folder", str(tmp_path / "again")]) == 0
    assert "equal in every digit" in capsys.readouterr().out


def test_words(mean_recipe, tiny):
    numbers = {"error": 0.12345, "error_low": 0.1, "error_high": 0.2, "total": 40}
    assert mean_recipe.tell(numbers) == "test error 0.1235 (40 records, 95 % interval 0.1-0.2)"
    assert tiny.tell({"accuracy": 0.75, "correct": 30, "total": 40}).startswith("test accuracy 75.0 % (30 of 40")


def test_the_probe_of_large_answers_is_small(mean_recipe, monkeypatch):
    model = mean_recipe.make_model(recipes.base.nnx.Rngs(0))
    assert shipping.probe_logits(mean_recipe, model).shape == (8, 3)
    monkeypatch.setattr(shipping, "PROBE_VALUES", 1)
    assert shipping.probe_logits(mean_recipe, model).shape == (8, 2)
    assert recipes.load_shipped(mean_recipe) is None
    with pytest.raises(WeightsError, match="do not fit"):
        recipes.check_shipped(mean_recipe)


def test_a_measure_without_its_interval(mean_recipe):
    model = mean_recipe.make_model(recipes.base.nnx.Rngs(0))
    lacking = dataclasses.replace(mean_recipe, measure=lambda model, batches: {"error": 1.0, "error_low": 0.5})
    with pytest.raises(ValueError, match=r"The measure of 'tiny' gives error, error_low, but not error_high, total"):
        lacking.metrics(model, "ci")


def test_classifiers_are_as_they_were(tiny, mean_recipe):
    model = tiny.make_model(recipes.base.nnx.Rngs(0))
    assert tiny.metrics(model, "ci") == tiny.evaluate(model, "ci").as_dict()
    assert [said.shape for _, said in tiny.answers(model, "full")] == [(40, 2)]
    with pytest.raises(ValueError, match=r"'tiny' is no classifier: it is judged by its error"):
        mean_recipe.evaluate(model, "ci")


def test_other_tasks_change_no_fingerprint_of_classifiers(tiny, mean_recipe):
    spelled_out = dataclasses.replace(
        tiny, predict=forward, reads=("image", "positions"), measure=classifier_metrics, headline="accuracy"
    )
    assert spelled_out.fingerprint("full") == tiny.fingerprint("full")
    changed = [
        dataclasses.replace(tiny, predict=predict),
        dataclasses.replace(tiny, reads=("image",)),
        dataclasses.replace(tiny, measure=measure),
        mean_recipe,
    ]
    assert len({one.fingerprint("full") for one in [tiny, *changed]}) == 5


def test_answers_fill_up_the_last_batch(tiny):
    model = tiny.make_model(recipes.base.nnx.Rngs(0))
    whole = evaluate(model, tiny.test_batches("full")).logits
    parts = tiny.override({"budgets.full.test_batch_size": 16})
    said = [one for _, one in parts.answers(model, "full")]
    assert [len(one) for one in said] == [16, 16, 8]
    np.testing.assert_allclose(np.concatenate(said), whole, atol=1e-6)
