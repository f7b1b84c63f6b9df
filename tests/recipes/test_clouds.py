"""Point clouds: any number of points in any order, the comparison is fair, and both learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import clouds
from perceiver_lab.recipes import clouds as cloud_recipes
from perceiver_lab.training import make_train_step

NAMES = ("clouds_perceiver", "clouds_pointnet")


@pytest.fixture
def records(monkeypatch):
    """A sphere, a torus and a box or two."""
    found = [
        {"points": clouds.cloud(label, np.random.default_rng([8, seed])), "label": label}
        for seed, label in enumerate((0, 6, 2) * 6)
    ]
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: found)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_steps_make_the_loss_smaller(name, records):
    recipe = recipes.get(name)
    step = make_train_step(recipe.make_model(nnx.Rngs(0)), recipe.optimizer.make(30), recipe.loss)
    batch = {key: value for key, value in next(recipe.train_batches("ci")).items() if key != "record"}
    assert batch["points"].shape == (16, 256, 3)
    state, losses = step.init(), []
    for _ in range(12):
        *state, metrics = step(*state, batch, jax.random.key(0))
        losses.append(float(metrics["loss"]))
    assert losses[0] == pytest.approx(np.log(10), abs=1e-4) and losses[-1] < 0.9 * losses[0]
    model = step.merge(*state[:2])
    numbers = recipe.metrics(model, "ci")
    assert numbers["total"] == 18 and recipe.tell(numbers).startswith("test accuracy ")
    points = records[1]["points"][None, :100]
    order = np.random.default_rng(0).permutation(100)
    said, shuffled = (cloud_recipes.predict(model, {"points": jnp.asarray(one)}) for one in (points, points[:, order]))
    np.testing.assert_allclose(said, shuffled, atol=1e-4)


def test_the_two_differ_only_in_their_model():
    one, other = (recipes.get(name) for name in NAMES)
    for field in ("data", "optimizer", "budgets", "loss", "measure", "headline", "reads"):
        assert getattr(one, field) == getattr(other, field), field
    assert one.num_parameters() == pytest.approx(other.num_parameters(), rel=0.05)
    assert one.num_parameters() * 4 < 2 * 2**20
