"""ImageNet 64 x 64 online: pictures of its form pass the real pipeline at their true size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import events_picture
from perceiver_lab.ops.sequences import PAD, SOS

PICTURE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: [{"image": PICTURE}] * 4)
    return recipes.get("imagenet64_ar")


def test_a_picture_becomes_a_crop_of_its_values(recipe):
    batch = next(recipe.train_batches("ci"))
    assert batch["inputs"].shape == batch["targets"].shape == (1, 12_416)
    assert batch["positions"].shape == (1, 12_416, 3) and batch["positions"].max() <= 65
    count = int((batch["inputs"] != PAD).sum())
    assert 1024 <= count <= 1 + 64 * 64 * 3
    tested = next(recipe.test_batches("ci"))["events"]
    assert tested[0, 0] == SOS
    np.testing.assert_array_equal(events_picture(tested[0], (64, 64, 3)), PICTURE)


def test_the_published_model_takes_a_step_of_it(recipe):
    """Abstractly: shapes of the loss and of all gradients."""
    batch = next(recipe.train_batches("ci"))
    batch = {name: jnp.asarray(value) for name, value in batch.items() if name != "record"}
    model = nnx.eval_shape(lambda: recipe.make_model(nnx.Rngs(0)))
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))) == 770_094_339
    step = nnx.value_and_grad(lambda model: recipe.loss(model, batch, nnx.Rngs(dropout=0))[0])
    value, grads = nnx.eval_shape(step, model)
    assert value.shape == () and sum(leaf.size for leaf in jax.tree.leaves(grads)) == 770_094_339
