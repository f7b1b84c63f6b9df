"""A recipe whose runs take a second, on made-up records."""

import dataclasses

import numpy as np
from flax import nnx

from perceiver_lab.recipes import Budget, Data, Recipe, base, registry, running, shipping
from perceiver_lab.training import OptimizerConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class TinyConfig:
    width: int = 8
    dropout_rate: float = 0.1
    label: str | None = None


class Tiny(nnx.Module):
    def __init__(self, config, *, rngs):
        self.hidden = nnx.Linear(9, config.width, rngs=rngs)
        self.dropout = nnx.Dropout(config.dropout_rate, deterministic=False)
        self.out = nnx.Linear(config.width, 2, rngs=rngs)

    def __call__(self, x, *, positions=None, train=False, rngs=None):
        x = nnx.relu(self.hidden(x.reshape(x.shape[0], -1)))
        return self.out(self.dropout(x, deterministic=not train, rngs=rngs))


def build(recipe, rngs):
    return Tiny(recipe.model, rngs=rngs)


def made_up(name, split, **options):
    """Bright pictures are of class 1."""
    count = 60 if split.startswith("train") else 40
    rng = np.random.default_rng(count)
    labels = rng.integers(2, size=count)
    image = rng.integers(120, size=(count, 3, 3, 1)) + 130 * labels[:, None, None, None]
    rows = slice(int(split[split.index(":") + 1 : -1])) if "[" in split else slice(None)
    return {"image": image.astype(np.uint8)[rows], "label": labels[rows]}


def install(monkeypatch, tmp_path):
    """The recipe "tiny": found by name, its data made up, caches and shipped weights in `tmp_path`."""
    for module in (base, running):
        monkeypatch.setattr(module, "data_hash", lambda name: "f" * 64)
    monkeypatch.setattr(base, "arrays", made_up)
    monkeypatch.setattr(shipping, "load", made_up)
    monkeypatch.setattr(shipping, "data_root", lambda: tmp_path / "data")
    monkeypatch.setattr(running, "cache_root", lambda: tmp_path / "cache")
    recipe = Recipe(
        name="tiny",
        summary="bright or dark",
        build=build,
        model=TinyConfig(),
        options={"depth": 1},
        data=Data(name="made_up", decode_once=True),
        optimizer=OptimizerConfig(learning_rate=1e-2),
        budgets={
            "ci": Budget(steps=3, batch_size=10, test_part="[:10]"),
            "lab": Budget(steps=6, batch_size=10),
            "full": Budget(steps=40, batch_size=20, seeds=(3, 4), checkpoint_every=8, evaluate_every=20),
        },
        numerics=1,
    )
    monkeypatch.setattr(registry, "_recipes", lambda: {"tiny": recipe})
    return recipe
