"""End-point errors counted by hand, and what methods without learning reach."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_lab.training.flow import (
    baseline_flows,
    best_constant,
    classical_flow,
    endpoint_error,
    endpoint_loss,
    flow_metrics,
)

RNG = np.random.default_rng(0)


def test_error_is_a_distance():
    flow, truth = np.zeros((2, 3, 2), np.float32), np.zeros((2, 3, 2), np.float32)
    flow[0, 0] = (3, 4)
    truth[1, 2] = (0, -2)
    assert endpoint_error(flow, truth).tolist() == [[5, 0, 0], [0, 0, 2]]


def test_the_loss_is_the_error_and_has_a_gradient_everywhere():
    flow, truth = (RNG.normal(size=(4, 5, 2)).astype(np.float32) for _ in range(2))
    loss = endpoint_loss(jnp.asarray(flow), jnp.asarray(truth))
    assert float(loss) == pytest.approx(endpoint_error(flow, truth).mean(), rel=2e-3)
    assert np.isfinite(jax.grad(endpoint_loss)(jnp.asarray(truth), jnp.asarray(truth))).all()


def test_numbers_by_hand():
    """Two pairs of two pixels: the first pixel of each is a shape, the second of the second pair is occluded."""
    truth = np.array([[[[3, 4], [1, 0]]], [[[0, 2], [0, 4]]]], np.float32)
    flow = np.array([[[[3, 4], [1, 1]]], [[[0, 0], [0, 1]]]], np.float32)
    shapes = np.array([[[True, False]], [[True, False]]])
    visible = np.array([[[True, True]], [[True, False]]])
    whole = flow_metrics([(flow, truth, shapes, visible)])
    parts = flow_metrics((flow[i : i + 1], truth[i : i + 1], shapes[i : i + 1], visible[i : i + 1]) for i in (0, 1))
    assert parts == pytest.approx(whole)
    half = 1.959964 * np.std([0.5, 2.5], ddof=1) / np.sqrt(2)
    expected = {
        "endpoint_error": 1.5, "endpoint_error_low": 1.5 - half, "endpoint_error_high": 1.5 + half, "shapes": 1.0,
        "background": 2.0, "visible": 1.0, "visible_shapes": 1.0, "zero": 3.0, "zero_shapes": 3.5, "of_zero": 0.5,
        "shapes_of_zero": 1 / 3.5, "total": 2,
    }  # fmt: skip
    assert whole == pytest.approx(expected)
    with pytest.raises(ValueError, match="no pairs to measure"):
        flow_metrics([])


def test_the_best_constant_is_a_median():
    truth = np.zeros((4, 5, 2), np.float32)
    truth[:3] = (2, -1)
    truth[3] = (50, 50)
    np.testing.assert_allclose(best_constant(truth), np.broadcast_to([2, -1], truth.shape), atol=1e-3)
    some = RNG.normal(size=(6, 6, 2)).astype(np.float32)
    best = endpoint_error(best_constant(some), some).mean()
    for other in RNG.normal(scale=0.3, size=(30, 2)):
        assert best <= endpoint_error(best_constant(some) + other.astype(np.float32), some).mean()


def batch():
    """Smooth texture that moves by (1.5, -0.5) as a whole."""
    from scipy.ndimage import gaussian_filter, shift

    texture = gaussian_filter(RNG.normal(size=(48, 64)), 1.5)
    texture /= np.abs(texture).max()
    frames = np.stack([texture, shift(texture, (-0.5, 1.5), order=3, mode="nearest")])
    truth = np.broadcast_to(np.float32([1.5, -0.5]), (1, 48, 64, 2))
    frames = np.repeat(frames[None, ..., None], 3, axis=-1).astype(np.float32)
    return {"frames": frames, "flow": truth, "layers": np.ones((1, 48, 64)), "occluded": np.zeros((1, 48, 64))}


def test_what_needs_no_learning():
    errors = {method: flow_metrics(baseline_flows([batch()], method)) for method in ("zero", "constant", "tvl1", "ilk")}
    assert errors["zero"]["of_zero"] == 1
    assert errors["constant"]["endpoint_error"] < 1e-3
    assert errors["tvl1"]["of_zero"] < 0.3
    assert errors["ilk"]["of_zero"] < 0.3
    with pytest.raises(ValueError, match="method='raft' is unknown; choose one of tvl1, ilk"):
        classical_flow(batch()["frames"][0], "raft")
