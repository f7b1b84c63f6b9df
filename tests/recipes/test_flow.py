"""The flow recipe: what is asked for, what is read, and that it can be trained."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.ops.tiles import predict_tiled
from perceiver_lab.recipes.flow_perceiver_io import predict
from perceiver_lab.training import make_train_step


@pytest.fixture(scope="module")
def recipe():
    small = {"options.window": 5, "options.hidden_channels": 16, "options.channels": 8, "model.num_latents": 4,
             "model.latent_channels": 16}  # fmt: skip
    return recipes.get("flow_perceiver_io").override(small)


def frames(count=2):
    return jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (count, 2, 48, 64, 3)).astype(np.float32))


def trained_a_little(recipe):
    """Without training every answer is zero: the last layer starts there."""
    model = recipe.make_model(nnx.Rngs(0))
    model.decoder.output.kernel[...] += 0.1
    return model


def test_it_starts_from_no_motion(recipe):
    assert (np.asarray(recipe.make_model(nnx.Rngs(0))(frames())) == 0).all()


def test_parts_are_parts_of_the_whole(recipe):
    model = trained_a_little(recipe)
    whole = np.asarray(predict(model, {"frames": frames()}))
    assert whole.shape == (2, 48, 64, 2)
    cells = jnp.array([0, 100, 3071])
    some = model(frames(), cells=cells)
    np.testing.assert_allclose(some, whole.reshape(2, -1, 2)[:, cells], atol=1e-4)


def test_every_fourth_pixel_is_read(recipe):
    model = recipe.make_model(nnx.Rngs(0))
    rows, columns = np.divmod(np.array(model.read_cells), 64)
    assert len(rows) == 12 * 16
    assert sorted(set(rows.tolist())) == list(range(2, 48, 4))
    assert sorted(set(columns.tolist())) == list(range(2, 64, 4))


def test_a_step_on_real_batches(recipe, monkeypatch):
    records = [
        {
            "frames": np.random.default_rng(i).integers(0, 256, (2, 48, 64, 3), dtype=np.uint8),
            "flow": np.full((48, 64, 2), 2, np.float16),
            "layers": np.zeros((48, 64), np.uint8),
            "occluded": np.zeros((48, 64), np.uint8),
        }
        for i in range(8)
    ]
    monkeypatch.setattr(type(recipe), "_source", lambda self, split: records)
    batches = recipe.train_batches("ci")
    step = make_train_step(recipe.make_model(nnx.Rngs(0)), recipe.optimizer.make(10), recipe.loss)
    state = step.init()
    losses = []
    for _ in range(3):
        batch = {key: value for key, value in next(batches).items() if key != "record"}
        assert batch["flow"].shape == (4, 128, 2)
        *state, metrics = step(*state, batch, recipes.base.jax.random.key(0))
        losses.append(float(metrics["loss"]))
    assert losses[0] == pytest.approx(np.sqrt(8), rel=1e-3)
    numbers = recipe.metrics(step.merge(*state[:2]), "ci")
    assert numbers["total"] == 8
    assert numbers["zero"] == pytest.approx(np.sqrt(8), rel=1e-3)


def test_larger_frames_in_tiles(recipe):
    model = trained_a_little(recipe)
    large = np.random.default_rng(1).uniform(-1, 1, (1, 2, 60, 100, 3)).astype(np.float32)
    flow = predict_tiled(lambda part: model(jnp.asarray(part)), large, (48, 64), 8)
    assert flow.shape == (1, 60, 100, 2)
    alone = np.asarray(model(jnp.asarray(large[:, :, :48, :64])))
    np.testing.assert_allclose(flow[:, :12, :36], alone[:, :12, :36], atol=1e-5)
