"""PointNet: a set of points in, each by itself, and only the largest values count."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.models.baselines import PointNet, PointNetConfig
from tests.drawn import drawn, normal

CONFIG = PointNetConfig(num_classes=3, point_widths=(8, 16), widths=(8,), dropout_rate=0.3)
CLOUDS = normal(2, 40, 3)


@nnx.jit(static_argnames="train")
def call(model, x, mask=None, train=False, rngs=None):
    return model(x, mask=mask, train=train, rngs=rngs)


@nnx.jit
def pool(model, x):
    return model.pool(x)


@pytest.fixture(scope="module")
def model():
    """Its head, which starts from zero, has something to say."""
    return drawn(lambda: PointNet(CONFIG, rngs=nnx.Rngs(0)))


def test_by_hand(model):
    """Equation 1, layer by layer, with NumPy."""

    def through(x, layers):
        for layer in layers:
            x = x @ np.asarray(layer.linear.kernel[...]) + np.asarray(layer.linear.bias[...])
            x = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
            x = np.maximum(x * np.asarray(layer.norm.scale[...]) + np.asarray(layer.norm.bias[...]), 0)
        return x

    pooled = through(np.asarray(CLOUDS), model.points).max(axis=1)
    expected = through(pooled, model.pooled) @ np.asarray(model.head.kernel[...])
    expected = expected + np.asarray(model.head.bias[...])
    np.testing.assert_allclose(call(model, CLOUDS), expected, atol=1e-5)
    np.testing.assert_allclose(pool(model, CLOUDS)[0], pooled, atol=1e-6)


def test_a_set(model):
    """Any order, points that are there twice, and padding change nothing; dropout does, in training."""
    logits = call(model, CLOUDS)
    assert np.abs(logits).max() > 0.1
    order = np.random.default_rng(1).permutation(40)
    np.testing.assert_allclose(call(model, CLOUDS[:, order]), logits, atol=1e-6)
    np.testing.assert_allclose(
        call(model, jnp.asarray(np.concatenate([CLOUDS, CLOUDS[:, :7]], axis=1))), logits, atol=1e-6
    )
    padded = jnp.asarray(np.concatenate([CLOUDS, normal(2, 60, 3, seed=5)], axis=1))
    mask = np.broadcast_to(np.arange(100) < 40, (2, 100))
    np.testing.assert_allclose(call(model, padded, jnp.asarray(mask)), logits, atol=1e-6)
    assert np.abs(call(model, padded) - logits).max() > 1e-3
    assert np.isfinite(call(model, padded, jnp.asarray(np.zeros_like(mask)))).all()
    assert np.abs(call(model, CLOUDS, train=True, rngs=nnx.Rngs(dropout=0)) - logits).max() > 1e-3


def test_the_critical_set_is_enough(model):
    """The points that are largest in some channel: at most as many as channels, and they alone give the answer."""
    largest, chosen = pool(model, CLOUDS)
    critical = np.unique(np.asarray(chosen[0]))
    assert len(critical) <= 16 < 40
    np.testing.assert_allclose(call(model, CLOUDS[:1, critical]), call(model, CLOUDS)[:1], atol=1e-6)
    assert largest.shape == chosen.shape == (2, 16)


def test_what_does_not_fit_is_refused(model):
    for shape in ((2, 40, 2), (40, 3), (2, 0, 3)):
        with pytest.raises(ValueError, match=r"Point clouds must be \(B, M, 3\), B and M at least 1"):
            call(model, jnp.zeros(shape))
    with pytest.raises(ValueError, match=r"mask must be .*\(B, M\)"):
        call(model, CLOUDS, jnp.ones((2, 39), bool))
    for sizes in ({"num_classes": 0}, {"point_widths": ()}, {"widths": (8, 0)}, {"dropout_rate": 1.0}):
        with pytest.raises(ValueError, match=next(iter(sizes))):
            PointNetConfig(**({"num_classes": 3} | sizes))
