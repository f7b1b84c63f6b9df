"""Running a recipe: train it into a folder, resume what was interrupted, take up what is finished."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from flax import nnx

from perceiver_lab.datasets import cache_root, data_hash
from perceiver_lab.recipes.base import Recipe
from perceiver_lab.recipes.fingerprints import code_fingerprint, describe, versions
from perceiver_lab.recipes.starting import initial_model
from perceiver_lab.training import Checkpointer, History, Layout, load_weights, read_about, save_weights, train

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run.

    Attributes:
      recipe, mode, seed: what was run.
      model: the trained module.
      metrics: on the test split; a classifier's are accuracy, accuracy_low, accuracy_high (95 %), correct, total, loss.
      history: the curve.
      about: the whole story as it is stored beside the weights: fingerprint, minutes, device, versions...
      folder: where it lies.
    """

    recipe: Recipe
    mode: str
    seed: int
    model: nnx.Module
    metrics: dict[str, float]
    history: History
    about: dict[str, Any]
    folder: Path


def run_folder(recipe: Recipe, mode: str, seed: int) -> Path:
    """Where a run lies by default: in the cache, apart for every fingerprint and seed."""
    return cache_root() / "runs" / f"{recipe.name}-{mode}-{recipe.fingerprint(mode)[:12]}" / f"seed_{seed}"


def run(
    recipe: Recipe,
    mode: str = "full",
    folder: str | os.PathLike | None = None,
    *,
    seed: int | None = None,
    resume: bool = True,
    accept_code_change: bool = False,
    progress: bool = True,
    callbacks: Sequence[Callable[[History], None]] = (),
    layout: Layout | None = None,
) -> Run:
    """Train a recipe with checkpoints.

    Args:
      recipe: from `get(name)`, perhaps with overrides.
      mode: "ci", "lab" or "full".
      folder: for checkpoints, metrics and weights; by default `run_folder(...)`.
      seed: of initial weights, data order and dropout; by default the first of the budget.
      resume: go on where an interrupted run stopped, and only load what is finished. False refuses a folder in which
        something was begun.
      accept_code_change: go on although the library or its dependencies changed since; only warns.
      progress: show a progress bar.
      callbacks: called with the history after each new record.
      layout: how the arrays lie on several devices, perhaps of several processes, which then all call this with the
        same folder. It is no part of the fingerprint: a run may go on with another.

    Returns:
      The finished run; beside its checkpoints the folder holds metrics.jsonl, weights.safetensors and weights.json.

    Raises:
      ValueError: unknown mode, or a folder that holds something else (see `CheckpointError`).
      WeightsError: the recipe starts from weights that do not ship.
      LostProcessError: another process of the run is gone.
      NonFiniteLossError: the loss is no number.
      OSError: the folder cannot be written to.
    """
    budget = recipe.budget(mode)
    seed = budget.seeds[0] if seed is None else seed
    folder = Path(folder).expanduser().absolute() if folder is not None else run_folder(recipe, mode, seed)
    checkpointer = _checkpointer(recipe, mode, seed, folder, accept_code_change)
    if not resume and checkpointer.steps():
        raise ValueError(
            f"{folder} holds a run of {checkpointer.steps()[-1]} steps. Go on with it (resume=True, --resume), name "
            "another folder, or delete this one."
        )
    finished = _finished(recipe, mode, seed, folder)
    if finished is not None:
        return finished
    model, share = initial_model(recipe, seed), (0, 1)
    if layout is not None:
        layout.check(model, budget.batch_size)
        share = layout.share
    outcome = train(
        model,
        recipe.train_batches(mode, seed, share),
        steps=budget.steps,
        optimizer=recipe.optimizer.make(budget.steps),
        loss_fn=recipe.loss,
        seed=seed,
        evaluate=lambda model: recipe.metrics(model, mode),
        evaluate_every=budget.evaluate_every,
        checkpointer=checkpointer,
        checkpoint_every=budget.checkpoint_every,
        log_file=folder / "metrics.jsonl",
        log_every=budget.log_every,
        callbacks=callbacks,
        progress=progress,
        layout=layout,
    )
    about = _about(recipe, mode, seed, outcome)
    if layout is None or layout.writes:
        save_weights(folder / WEIGHTS, outcome.model, about)
    return _as_run(recipe, mode, seed, outcome.model, about, folder)


def load_run(recipe: Recipe, folder: str | os.PathLike) -> nnx.Module:
    """The model of a finished run, from its folder.

    Raises:
      WeightsError: no finished run of this recipe's model there.
    """
    model = recipe.make_model(nnx.Rngs(0))
    load_weights(Path(folder) / WEIGHTS, model)
    return model


def _checkpointer(recipe, mode, seed, folder, accept_code_change):
    fingerprint = {
        "config": f"{recipe.fingerprint(mode)} seed {seed}",
        "data": data_hash(recipe.data.name),
        "code": code_fingerprint(),
    }
    return Checkpointer(folder, fingerprint=fingerprint, may_differ=("code",) if accept_code_change else ())


def _about(recipe, mode, seed, outcome):
    budget = recipe.budget(mode)
    told = f"test_{recipe.headline}"
    test = next((record for record in reversed(outcome.history.records) if told in record), None)
    if test is None or test["step"] != budget.steps:
        # Only when metrics.jsonl was lost: the numbers are taken again.
        test = {f"test_{name}": value for name, value in recipe.metrics(outcome.model, mode).items()}
    return {
        "recipe": recipe.name,
        "mode": mode,
        "seed": seed,
        "fingerprint": recipe.fingerprint(mode),
        "numerics": recipe.numerics,
        "metrics": {name.removeprefix("test_"): value for name, value in test.items() if name.startswith("test_")},
        "steps": budget.steps,
        "batch_size": budget.batch_size,
        "parameters": recipe.num_parameters(),
        "minutes": round(outcome.seconds / 60, 2),
        "device": _device(),
        "versions": versions(),
        "model": describe(recipe.model),
        "options": describe(recipe.options),
        "optimizer": describe(recipe.optimizer),
        "history": outcome.history.records,
    }


def _finished(recipe, mode, seed, folder):
    """The run that lies complete in the folder, or None."""
    path = folder / WEIGHTS
    if not path.with_suffix(".json").is_file():
        return None
    about = read_about(path)
    if (about.get("fingerprint"), about.get("seed")) != (recipe.fingerprint(mode), seed):
        raise ValueError(
            f"{folder} holds the finished run of another configuration ({about.get('recipe')}, {about.get('mode')}, "
            f"seed {about.get('seed')}). Name another folder, or delete this one."
        )
    model = recipe.make_model(nnx.Rngs(seed))
    about = load_weights(path, model)
    return _as_run(recipe, mode, seed, model, about, folder)


def _as_run(recipe, mode, seed, model, about, folder):
    return Run(
        recipe=recipe,
        mode=mode,
        seed=seed,
        model=model,
        metrics=about["metrics"],
        history=History(records=about["history"]),
        about=about,
        folder=folder,
    )


def _device():
    devices = jax.devices()
    cores = f", {len(os.sched_getaffinity(0))} cores" if hasattr(os, "sched_getaffinity") else ""
    return f"{len(devices)} x {devices[0].device_kind}{cores if devices[0].platform == 'cpu' else ''}"
