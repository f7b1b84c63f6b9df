"""Who speaks: padding is not read, the two recipes differ only in where they start, and the baselines are counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import encode_text, pad_ids, plays
from perceiver_lab.recipes import speakers
from perceiver_lab.training import make_train_step

SMALL = {"model.num_latents": 4, "model.latent_channels": 16, "model.qk_channels": 16, "options.channels": 8,
         "options.num_bands": 4}  # fmt: skip


def whole(part, count=None):
    pieces = plays.spoken_pieces(part)[:count]
    labels = [plays.SPEAKERS.index(name) for _, name in pieces]
    return {"bytes": np.stack([pad_ids(encode_text(text), 64) for text, _ in pieces]), "label": np.array(labels)}


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: whole("train", 64))
    return recipes.get("speaker_scratch").override(SMALL)


def test_padding_is_not_read(recipe):
    model = recipe.make_model(nnx.Rngs(0))
    ids = jnp.asarray(np.stack([encode_text(b"What ho! what news, my lord, from Rome?")] * 2))
    padded = jnp.pad(ids, ((0, 0), (0, 64 - ids.shape[1])))
    np.testing.assert_allclose(
        speakers.predict(model, {"bytes": padded}), speakers.predict(model, {"bytes": ids}), atol=1e-5
    )
    assert not np.allclose(model(padded), model(ids), atol=1e-4)  # it would be, without its mask


def test_it_learns_who_speaks(recipe):
    step = make_train_step(recipe.make_model(nnx.Rngs(0)), recipe.optimizer.make(100), recipe.loss)
    batch = {key: value for key, value in next(recipe.train_batches("ci")).items() if key != "record"}
    state, losses = step.init(), []
    for _ in range(60):
        *state, metrics = step(*state, batch, jax.random.key(0))
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.7 * losses[0]
    numbers = recipe.metrics(step.merge(*state[:2]), "ci")
    assert numbers["total"] == 64 and 0 <= numbers["accuracy_low"] <= numbers["accuracy"] <= 1
    assert recipe.tell(numbers).startswith("test accuracy ")


def test_both_differ_only_in_where_they_start():
    scratch, pretrained = (recipes.get(name) for name in ("speaker_scratch", "speaker_pretrained"))
    for name in ("build", "model", "options", "data", "optimizer", "budgets", "loss", "measure"):
        assert getattr(scratch, name) == getattr(pretrained, name)
    assert scratch.start_from is None and pretrained.start_from.recipe == "bytes_perceiver_io"
    assert scratch.fingerprint() != pretrained.fingerprint()


def test_baselines(monkeypatch):
    monkeypatch.setattr(speakers, "arrays", lambda name, split: whole(split))
    found = speakers.baselines(recipes.get("speaker_scratch"))
    assert (found["majority"].correct, found["majority"].total) == (62, 548)
    assert found["naive Bayes"].total == 548 and 0.25 < found["naive Bayes"].value < 0.4
