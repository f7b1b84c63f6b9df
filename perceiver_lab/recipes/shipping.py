"""What ships of a training: how it is put there, and how it is taken up again.

The weights of models that a lesson, an explorer or another recipe loads, in data/weights, with their story beside them.
Of models that are only compared with, the story alone, in data/results.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from perceiver_lab.datasets import data_root, load, pipeline
from perceiver_lab.recipes.base import Recipe
from perceiver_lab.recipes.running import Run
from perceiver_lab.recipes.starting import borrowed, donor, take_parts
from perceiver_lab.training import WeightsError, answers, load_weights, read_about, save_weights
from perceiver_lab.training.files import json_bytes, write_atomically

MAX_BYTES = 2 * 2**20
NUM_PROBES = 8
PROBE_VALUES = 100  # of each record at most: enough to notice other maths, and a flow field has thousands
CURVE_POINTS = 200


def shipped_path(name: str) -> Path:
    """Where the weights of a recipe ship: data/weights/NAME.safetensors."""
    return data_root() / "weights" / f"{name}.safetensors"


def weights_ship(name: str) -> bool:
    """Whether weights of a recipe ship, or at least one of their two files."""
    path = shipped_path(name)
    return path.exists() or path.with_suffix(".json").exists()


def result_path(name: str) -> Path:
    """Where the story of a recipe ships whose weights do not: data/results/NAME.json."""
    return data_root() / "results" / f"{name}.json"


def shipped_story(recipe: Recipe) -> dict[str, Any] | None:
    """What ships says of itself, with or without weights: metrics, seeds, minutes, device, curve...

    Returns:
      None when nothing ships under this name, or when what ships was made by another configuration, data or maths.

    Raises:
      WeightsError: the file is there but is no JSON.
    """
    result = result_path(recipe.name)
    if weights_ship(recipe.name):
        about = read_about(shipped_path(recipe.name))
    elif result.exists():
        try:
            about = json.loads(result.read_bytes())
        except ValueError as error:
            raise WeightsError(f"{result} is no JSON ({error}). Restore it: `git checkout -- data`.") from error
    else:
        return None
    return about if about.get("fingerprint") == recipe.fingerprint("full") else None


def time_told(about: dict[str, Any]) -> str:
    """How long a training took, and on what, for people to read."""
    return f"{about['minutes']:g} minutes on {about['device']}"


def probe_logits(recipe: Recipe, model: nnx.Module) -> np.ndarray:
    """The logits (8, K) of the first eight test records: stored with the weights, compared by a test.

    For other tasks, up to 100 numbers of each answer, evenly spread.
    """
    source = load(recipe.data.name, f"{recipe.data.test}[:{NUM_PROBES}]")
    batches = pipeline(
        source, batch_size=NUM_PROBES, transforms=recipe.data.test_transforms, repeat=False, shuffle=False
    )
    (_, said), *_ = answers(model, batches, recipe.predict, recipe.reads)
    rows = [np.reshape(part, (NUM_PROBES, -1)) for part in jax.tree.leaves(said)]
    return np.concatenate([row[:, :: -(-row.shape[1] // PROBE_VALUES)] for row in rows], axis=1)


def ship(recipe: Recipe, runs: Run | Sequence[Run], path: Path | None = None, *, weights: bool = True) -> Path:
    """Put the weights of the first run, in half precision, and the metrics of all where they ship.

    The first is the first seed, not the best one: what ships is what anybody gets who trains. Its "metrics" are those
    of the weights as they ship; those in "seeds" are of the runs. Runs without the first seed join what ships already.

    Args:
      recipe: as it stands in its file, without overrides.
      runs: finished "full" runs, one per seed.
      path: by default `shipped_path(recipe.name)`, or `result_path(recipe.name)`.
      weights: False keeps the story alone, for a model that is only compared with.

    Raises:
      ValueError: runs of another configuration or mode, weights above 2 MB, or further seeds of what does not ship.
    """
    runs = [runs] if isinstance(runs, Run) else list(runs)
    for one in runs:
        if one.mode != "full" or one.about["fingerprint"] != recipe.fingerprint("full"):
            raise ValueError(
                f"{one.folder} holds a run in mode {one.mode!r} with the fingerprint {one.about['fingerprint'][:12]}; "
                f"only full runs of {recipe.name!r} as it stands ({recipe.fingerprint('full')[:12]}) ship."
            )
    seeds = {str(one.seed): one.metrics | {key: one.about[key] for key in ("minutes", "device")} for one in runs}
    first = runs[0]
    if first.seed != recipe.budget("full").seeds[0]:
        return _join(recipe, seeds)
    about = {key: value for key, value in first.about.items() if key not in ("sha256", "bytes")}
    about |= {"history": thinned(about["history"]), "seeds": seeds}
    if not weights:
        path = path or result_path(recipe.name)
        write_atomically(path, json_bytes(about))
        return path
    size = 2 * sum(leaf.size for leaf in jax.tree.leaves(nnx.split(first.model)[1]))
    if size > MAX_BYTES:
        raise ValueError(
            f"The weights of {recipe.name!r} take {size} bytes; at most {MAX_BYTES} ship. Make it smaller."
        )
    kept = {"half": True, "without": borrowed(recipe)}
    path = save_weights(path or shipped_path(recipe.name), first.model, about, **kept)
    model, _ = _taken_up(recipe, path)
    about["metrics"] = recipe.metrics(model)
    about["probe_logits"] = [[round(float(x), 5) for x in row] for row in probe_logits(recipe, model)]
    return save_weights(path, model, about, **kept)


def _join(recipe, seeds):
    """Add what further seeds gave to the story that ships; the weights stay those of the first."""
    about = shipped_story(recipe)
    if about is None:
        first = recipe.budget("full").seeds[0]
        raise ValueError(
            f"Nothing ships of {recipe.name!r} that seeds {', '.join(seeds)} could join: ship {first} first."
        )
    path = shipped_path(recipe.name).with_suffix(".json") if "sha256" in about else result_path(recipe.name)
    write_atomically(path, json_bytes(about | {"seeds": dict(sorted((about["seeds"] | seeds).items()))}))
    return path


def load_shipped(recipe: Recipe) -> tuple[nnx.Module, dict[str, Any]] | None:
    """The shipped model of a recipe and what is known about it.

    Returns:
      None when nothing ships under this name, or when what ships was made by another configuration, data or maths.

    Raises:
      WeightsError: the files are there but corrupt, or parts of the model ship with other weights that do not fit.
    """
    if not weights_ship(recipe.name) or shipped_story(recipe) is None:
        return None
    return _taken_up(recipe, shipped_path(recipe.name))


def _taken_up(recipe, path):
    """The model with its weights, those that it borrowed from where its training started."""
    # Shapes only: every array comes from a file, and drawing those that it replaces would take seconds.
    model, parts = nnx.eval_shape(lambda: recipe.make_model(nnx.Rngs(0))), borrowed(recipe)
    if parts:
        take_parts(model, donor(recipe), parts)
    return model, load_weights(path, model, without=parts)


def check_shipped(recipe: Recipe, *, tolerance: float = 1e-3) -> float:
    """Prove that shipped weights still give the logits they were shipped with.

    Returns:
      The largest difference, relative to the largest logit.

    Raises:
      WeightsError: nothing that fits ships, or the logits differ by more than `tolerance`.
    """
    shipped = load_shipped(recipe)
    if shipped is None:
        raise WeightsError(
            f"The weights that ship for {recipe.name!r} do not fit its configuration, data set and numerics. Train and "
            f"ship them again: perceiver-lab train {recipe.name} --mode full --ship."
        )
    model, about = shipped
    stored = np.asarray(about["probe_logits"])
    difference = float(np.abs(probe_logits(recipe, model) - stored).max() / np.abs(stored).max())
    if not difference <= tolerance:
        raise WeightsError(
            f"The weights of {recipe.name!r} give other logits than when they were shipped: {difference:.2g} of the "
            f"largest apart, allowed {tolerance:g}. The maths behind the recipe changed: raise its `numerics` from "
            f"{recipe.numerics} to {recipe.numerics + 1}, train and ship again."
        )
    return difference


def thinned(records: list[dict]) -> list[dict]:
    """The history in at most 200 points and five digits; records of evaluations are all kept."""
    training = [index for index, record in enumerate(records) if "loss" in record]
    stride = -(-len(training) // CURVE_POINTS)
    dropped = set(training) - set(training[::-1][:: max(stride, 1)])  # counted from the end: the last one stays
    return [
        {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in record.items()}
        for index, record in enumerate(records)
        if index not in dropped
    ]
