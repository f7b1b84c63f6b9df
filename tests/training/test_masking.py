"""Masked auto-encoding: what is hidden, what is counted, and that a model learns from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.models import HiP, HiPConfig
from perceiver_lab.training import adamw, make_train_step
from perceiver_lab.training.masking import hide, masked_autoencoding, masked_loss

X = {
    "image": 1 + jax.random.uniform(jax.random.key(0), (4, 20, 3)),
    "label": jax.nn.one_hot(jnp.array([[0], [2], [1], [2]]), 3),
    "sound": 1 + jax.random.uniform(jax.random.key(1), (4, 7, 2)),
}
RATES = {"image": 0.85, "label": 1.0}


def test_each_example_hides_the_same_number_of_other_elements():
    visible, hidden = hide(X, RATES, jax.random.key(0))
    assert {name: rows.sum(axis=1).tolist() for name, rows in hidden.items()} == {
        "image": [17] * 4,
        "label": [1] * 4,
        "sound": [0] * 4,
    }
    assert len({tuple(row) for row in np.asarray(hidden["image"]).tolist()}) > 1
    for name, rows in X.items():
        np.testing.assert_array_equal(visible[name], jnp.where(hidden[name][..., None], 0, rows))


def test_every_element_is_hidden_as_often_as_another():
    draws = jnp.stack([hide(X, {"sound": 0.3}, jax.random.key(seed))[1]["sound"] for seed in range(200)])
    shares = np.asarray(draws.mean(axis=(0, 1)))
    np.testing.assert_allclose(shares, 2 / 7, atol=5 * np.sqrt(2 / 7 * 5 / 7 / 800))


def test_a_draw_depends_on_its_key_alone():
    one, same, other = (hide(X, RATES, jax.random.key(seed))[1]["image"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert bool((one != other).any())
    compiled = jax.jit(lambda x, key: hide(x, RATES, key))(X, jax.random.key(0))[1]["image"]
    np.testing.assert_array_equal(one, compiled)


def test_a_small_rate_hides_one_element_and_none_hides_none():
    _, hidden = hide(X, {"sound": 0.01, "image": 0.0}, jax.random.key(0))
    assert hidden["sound"].sum(axis=1).tolist() == [1] * 4 and not hidden["image"].any()


def test_the_loss_is_its_formula():
    _, hidden = hide(X, RATES, jax.random.key(0))
    outputs = {name: jax.random.normal(jax.random.key(number), X[name].shape) for number, name in enumerate(X)}
    loss, parts = masked_loss(outputs, X, hidden, weights={"label": 0.5}, classes=("label",))
    errors = np.square(np.asarray(outputs["image"] - X["image"])).mean(axis=-1)
    np.testing.assert_allclose(parts["image_hidden"], errors[np.asarray(hidden["image"])].mean(), rtol=1e-5)
    np.testing.assert_allclose(parts["image_all"], errors.mean(), rtol=1e-5)
    logits = np.asarray(outputs["label"], np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(parts["label_hidden"], -(np.asarray(X["label"]) * log_probs).sum(-1).mean(), rtol=1e-5)
    assert float(parts["sound_hidden"]) == 0 and float(parts["sound_all"]) > 0
    np.testing.assert_allclose(loss, parts["image_hidden"] + 0.5 * parts["label_hidden"], rtol=1e-6)


def test_what_is_shown_plays_no_part_in_the_loss():
    _, hidden = hide(X, RATES, jax.random.key(0))
    outputs = {name: jnp.zeros(rows.shape) for name, rows in X.items()}
    other = {name: jnp.where(hidden[name][..., None], rows, 9.0) for name, rows in outputs.items()}
    np.testing.assert_array_equal(masked_loss(outputs, X, hidden)[0], masked_loss(other, X, hidden)[0])


def model_and_batch(seed=0):
    """Smooth rows: what is hidden follows from what is shown."""
    config = HiPConfig(
        num_groups=(2, 1, 2),
        num_self_attends_per_block=(1, 1, 1),
        num_latents=(4, 8, 4),
        latent_channels=(16, 32, 16),
        num_self_heads=2,
        embedding_channels=16,
    )
    phase = jax.random.uniform(jax.random.key(seed), (32, 1, 1)) * 2 * jnp.pi
    rows = jnp.sin(jnp.linspace(0, 3, 16)[None, :, None] + phase)
    labels = jax.nn.one_hot((phase[:, 0] > jnp.pi).astype(int), 2)
    return HiP(config, {"rows": (16, 1), "label": (1, 2)}, rngs=nnx.Rngs(0)), {"rows": rows, "label": labels}


@pytest.mark.slow
def test_a_model_learns_what_is_hidden():
    model, batch = model_and_batch()
    loss = masked_autoencoding({"rows": 0.5, "label": 1.0}, classes=("label",))
    step = make_train_step(model, adamw(3e-3), loss)
    state, told = step.init(), []
    for number in range(60):
        *state, metrics = step(*state, batch, jax.random.key(number))
        told.append({name: float(value) for name, value in metrics.items()})
    assert {"loss", "rows_hidden", "rows_all", "label_hidden", "label_all"} <= set(told[0])
    assert told[-1]["rows_hidden"] < 0.5 * told[0]["rows_hidden"]
    assert told[-1]["label_hidden"] < 0.7 * told[0]["label_hidden"]


def test_the_batch_may_hold_more_than_is_read():
    model, batch = model_and_batch()
    batch = {**batch, "image": jnp.zeros((32, 3))}
    loss, _ = masked_autoencoding({"rows": 0.5, "label": 1.0}, classes=("label",))(model, batch, nnx.Rngs(0))
    assert float(loss) > 0


@pytest.mark.parametrize("rates", [{"image": 1.1}, {"image": -0.1}, {"video": 0.5}])
def test_rates_that_cannot_be_are_named(rates):
    with pytest.raises(ValueError, match=r"shares from 0 to 1 of the modalities that there are, \['image'"):
        hide(X, rates, jax.random.key(0))


def test_a_batch_without_a_modality_is_named():
    model, batch = model_and_batch()
    with pytest.raises(ValueError, match=r"The batch has \['label', 'rows'\], but not \['sound'\]"):
        masked_autoencoding({"rows": 0.5, "sound": 0.5})(model, batch, nnx.Rngs(0))


@pytest.mark.parametrize(
    "changes",
    [
        {"outputs": {"image": X["image"][:, :5]}},
        {"hidden": {"image": jnp.ones((4, 5), bool)}},
        {"outputs": {}},
        {"weights": {"video": 1.0}},
        {"classes": ("video",)},
    ],
    ids=["output", "hidden", "missing", "weight", "class"],
)
def test_what_cannot_be_compared_is_named(changes):
    one = {"image": X["image"]}
    given = {"outputs": one, "targets": one, "hidden": {"image": jnp.ones((4, 20), bool)}} | changes
    with pytest.raises(ValueError, match="must be the same modalities of the same shapes"):
        masked_loss(**given)
