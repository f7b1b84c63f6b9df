"""What a commander of units is worth, and what units could do that know nothing of each other."""

import itertools
from collections.abc import Iterable, Mapping

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int32

from perceiver_lab.datasets import load
from perceiver_lab.datasets.battle import FAR, HEALTH, KIND, OURS, PLACE
from perceiver_lab.recipes.base import Recipe
from perceiver_lab.recipes.masked_bytes_measure import ratio
from perceiver_lab.training import answers

READS = ("units", "mask")
SIZES = (16, 32, 64, 128, 256, 513)  # units: each group from one number to below the next


def predict(model: nnx.Module, batch: Mapping[str, Array]) -> dict[str, Float[Array, "b m _"]]:
    """What each unit is, "vectors" (B, M, C), and where it points, "pointer" (B, M, M), as probabilities."""
    vectors = model.vectors(batch["units"], mask=batch["mask"])
    return {"vectors": vectors, "pointer": jax.nn.softmax(model.pointer(vectors, mask=batch["mask"]), axis=-1)}


def measure_battles(model: nnx.Module, batches: Iterable[Mapping]) -> dict[str, float]:
    """All units of ours in the test battles.

    Returns:
      "accuracy" with its 95 % interval, of battles as they were drawn: the share of our units that point where the rule
      says; "near_accuracy" and "far_accuracy", of those that strike from near and from afar; "squad_accuracy", how many
      point at a unit of the right squad; "accuracy_16" and so on, in battles from that size to below the next of
      `SIZES`; "loss" in nats; "units", how many of ours there were; "total", battles.
    """
    rows = [
        _judge(units, mask, target, pointer)
        for batch, said in answers(model, batches, predict, READS)
        for units, mask, target, pointer in zip(
            batch["units"], batch["mask"], batch["target"], said["pointer"], strict=True
        )
    ]
    whole = {name: np.array([row[name] for row in rows], np.float64) for name in rows[0]}
    ours, right = whole["units"], whole["right"]
    value, half = ratio(right, ours)
    numbers = {"accuracy": value, "accuracy_low": max(value - half, 0.0), "accuracy_high": min(value + half, 1.0)}
    for name in ("near", "far"):
        numbers[f"{name}_accuracy"] = float(whole[f"right_{name}"].sum() / whole[name].sum())
    numbers["squad_accuracy"] = float(whole["right_squad"].sum() / ours.sum())
    for least, beyond in itertools.pairwise(SIZES):
        group = (whole["size"] >= least) & (whole["size"] < beyond)
        if group.any():
            numbers[f"accuracy_{least}"] = float(right[group].sum() / ours[group].sum())
    return {**numbers, "loss": float(whole["loss"].sum() / ours.sum()), "units": int(ours.sum()), "total": len(rows)}


def alone(units: Float[np.ndarray, "m 9"]) -> Int32[np.ndarray, " m"]:
    """The rule without squads: the nearest of all of theirs, or from afar the weakest; -1 for theirs.

    All that a unit can go by which does not know its comrades, if it knows the rule.
    """
    ours = units[:, OURS] > 0
    places, theirs = units[:, PLACE].astype(np.float64), np.flatnonzero(~ours)
    apart = ((places[:, None] - places[theirs][None]) ** 2).sum(axis=-1)
    chosen = np.where(units[:, FAR] > 0, units[theirs, HEALTH].argmin(), apart.argmin(axis=1))
    return np.where(ours, theirs[chosen], -1).astype(np.int32)


def baselines(recipe: Recipe, mode: str = "full") -> dict[str, float]:
    """The share of our test units that chance would guess right among theirs, and that `alone` does."""
    right = {"any of theirs": 0.0, "alone": 0.0}
    count, records = 0, load(recipe.data.name, recipe.data.test + recipe.budget(mode).test_part)
    for index in range(len(records)):
        units, target = records[index]["units"], records[index]["target"]
        ours = target >= 0
        count += ours.sum()
        right["any of theirs"] += ours.sum() / (~ours).sum()
        right["alone"] += ((alone(units) == target) & ours).sum()
    return {name: float(number / count) for name, number in right.items()}


def _judge(units, mask, target, pointer):
    """Of one battle, how many of our units there are and how many of them are right, by what they do."""
    ours = np.flatnonzero(target >= 0)
    chance, found, told = pointer[ours, target[ours]], pointer[ours].argmax(axis=-1), target[ours]
    right, far = found == told, units[ours, FAR] > 0
    same = (units[found, KIND] == units[told, KIND]).all(axis=-1) & (units[found, OURS] < 0) & mask[found]
    return {
        "size": mask.sum(),
        "units": len(ours),
        "right": right.sum(),
        "near": (~far).sum(),
        "right_near": right[~far].sum(),
        "far": far.sum(),
        "right_far": right[far].sum(),
        "right_squad": same.sum(),
        "loss": -np.log(np.maximum(chance, 1e-12)).sum(),
    }
