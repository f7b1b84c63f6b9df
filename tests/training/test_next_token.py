"""The loss of autoregressive models: smoothing, z-loss, what counts, and the published sum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.training import next_token_loss, token_losses

LOGITS = jax.random.normal(jax.random.key(0), (2, 3, 5)) * 2
TARGETS = jnp.array([[1, 4, 2], [3, 0, 1]])


def test_without_extras_it_is_cross_entropy():
    losses, z_losses = token_losses(LOGITS, TARGETS)
    expected = -np.take_along_axis(np.asarray(jax.nn.log_softmax(LOGITS)), np.asarray(TARGETS)[..., None], -1)[..., 0]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    np.testing.assert_array_equal(z_losses, 0)


def test_the_z_loss_is_inside_the_loss():
    losses, z_losses = token_losses(LOGITS, TARGETS, z_loss=0.1)
    np.testing.assert_allclose(z_losses, 0.1 * np.asarray(jax.nn.logsumexp(LOGITS, axis=-1)) ** 2, rtol=1e-5)
    np.testing.assert_allclose(losses - z_losses, token_losses(LOGITS, TARGETS)[0], atol=1e-5)


def test_the_best_prediction_under_smoothing_costs_nothing():
    smooth = jnp.full((1, 1, 5), 0.05).at[0, 0, 2].set(0.8)
    best, _ = token_losses(jnp.log(smooth), jnp.array([[2]]), label_smoothing=0.2)
    other, _ = token_losses(jnp.log(smooth) * 1.3, jnp.array([[2]]), label_smoothing=0.2)
    np.testing.assert_allclose(best, 0, atol=1e-6)
    assert other > 1e-3


def test_what_has_no_weight_does_not_count_even_if_it_is_nan():
    weights = jnp.array([[1.0, 0.0, 0.5], [0, 0, 0]])
    spoilt = LOGITS.at[0, 1].set(jnp.nan)
    losses, _ = token_losses(spoilt, TARGETS, weights=weights, z_loss=1e-4)
    plain, _ = token_losses(LOGITS, TARGETS, z_loss=1e-4)
    np.testing.assert_allclose(losses, plain * weights, rtol=1e-6)


def test_a_target_that_is_no_token_makes_its_loss_nan():
    losses, _ = token_losses(LOGITS, TARGETS.at[0, 0].set(5))
    assert np.isnan(losses[0, 0]) and np.isfinite(np.asarray(losses).ravel()[1:]).all()


class Fixed(nnx.Module):
    """Says the same whatever it reads."""

    def __init__(self):
        self.logits = nnx.Param(LOGITS)

    def __call__(self, tokens, *, positions=None, train, rngs):
        return self.logits[...] if positions is None else self.logits[...] * 0


def test_the_training_loss_is_a_sum_and_reports_the_mean():
    batch = {"inputs": jnp.array([[2, 3, 4], [2, 0, 0]]), "targets": jnp.array([[3, 4, 1], [1, 0, 0]])}
    loss, report = next_token_loss(z_loss=0.1)(Fixed(), batch, nnx.Rngs(0))
    labels = jnp.array([[3, 4, 1], [0, 0, 1]])
    losses, z_losses = token_losses(LOGITS, labels, weights=jnp.array([[1, 1, 1], [0, 0, 1]]), z_loss=0.1)
    np.testing.assert_allclose(loss, losses.sum(), rtol=1e-6)
    np.testing.assert_allclose(report["nats"], (losses - z_losses).sum() / 4, rtol=1e-5)
    assert report["tokens"] == 4
    _, report = next_token_loss(z_loss=0.0)(Fixed(), batch | {"positions": jnp.zeros((2, 3, 1))}, nnx.Rngs(0))
    np.testing.assert_allclose(report["nats"], np.log(5), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": TARGETS[:1]}, r"logits \(2, 3, 5\), targets \(1, 3\) and weights None; expected"),
        ({"weights": jnp.ones(2)}, r"weights \(2,\)"),
        ({"label_smoothing": 1.0}, r"label_smoothing must lie in \[0, 1\), got 1.0"),
    ],
)
def test_what_does_not_fit_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        token_losses(LOGITS, **{"targets": TARGETS, **arguments})
