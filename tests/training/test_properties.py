"""Losses and metrics under anything: what they document comes out, or the error that they document."""

import itertools
import math

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from perceiver_lab.training import (
    Accuracy,
    accuracy,
    confusion,
    cross_entropy,
    hide,
    masked_loss,
    token_losses,
    top_k_accuracy,
    wilson_interval,
)

FEW = settings(max_examples=25, deadline=None)
ODD = (0.0, -1.0, 1e-30, 1e30, 88.0, math.inf, -math.inf, math.nan)
ROWS, CLASSES = (0, 4), (1, 3)  # few shapes: each is compiled


@st.composite
def scores(draw, *leading):
    """Logits of a few shapes, with odd values here and there."""
    shape = (*(draw(st.sampled_from(one)) for one in leading), draw(st.sampled_from(CLASSES)))
    values = np.random.default_rng(draw(st.integers(0, 2**16))).normal(size=shape).astype(np.float32)
    for _ in range(draw(st.integers(0, 2))):
        if values.size:
            values.flat[draw(st.integers(0, values.size - 1))] = draw(st.sampled_from(ODD))
    return values


@FEW
@given(scores(ROWS), st.data())
def test_cross_entropy(logits, data):
    """A number of nats from 0, unless something is no number or no class; then NaN, or infinite for a probability 0."""
    batch, classes = logits.shape
    labels = np.array(data.draw(st.lists(st.integers(-1, classes), min_size=batch, max_size=batch)), np.int32)
    loss = cross_entropy(jnp.asarray(logits), jnp.asarray(labels))
    assert loss.shape == () and loss.dtype == jnp.float32
    known = batch > 0 and all(0 <= label < classes for label in labels)
    if known and np.isfinite(logits).all():
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
        exact = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(batch), labels]
        np.testing.assert_allclose(loss, exact.mean(), rtol=1e-5, atol=1e-6)
    elif not known or np.isnan(logits).any():
        assert np.isnan(loss)


@pytest.mark.parametrize("weights", [[0.0, 1.0], [0, 2], [1.0, 0.0]])
def test_a_row_without_weight_may_hold_anything(weights):
    logits = np.zeros((2, 3), np.float32)
    logits[np.flatnonzero(np.asarray(weights) == 0)[0]] = np.nan
    loss = cross_entropy(jnp.asarray(logits), jnp.array([0, 1]), weights=jnp.asarray(weights))
    np.testing.assert_allclose(loss, np.log(3), rtol=1e-6)


BAD_CALLS = {
    "ranks": lambda: cross_entropy(jnp.zeros((2, 3, 4)), jnp.zeros((2, 3), int)),
    "counts": lambda: cross_entropy(jnp.zeros((2, 3)), jnp.zeros(3, int)),
    "no classes": lambda: cross_entropy(jnp.zeros((2, 0)), jnp.zeros(2, int)),
    "smoothing": lambda: cross_entropy(jnp.zeros((2, 3)), jnp.zeros(2, int), label_smoothing=1.0),
    "smoothing nan": lambda: cross_entropy(jnp.zeros((2, 3)), jnp.zeros(2, int), label_smoothing=math.nan),
    "one token": lambda: token_losses(jnp.zeros((1, 2, 1)), jnp.zeros((1, 2), int), label_smoothing=0.1),
    "no token": lambda: token_losses(jnp.zeros((1, 2, 0)), jnp.zeros((1, 2), int)),
    "targets": lambda: token_losses(jnp.zeros((1, 2, 3)), jnp.zeros((2, 1), int)),
    "weights": lambda: token_losses(jnp.zeros((1, 2, 3)), jnp.zeros((1, 2), int), weights=jnp.zeros((1, 3))),
    "k 0": lambda: top_k_accuracy(jnp.zeros((1, 2)), jnp.zeros(1, int), 0),
    "k": lambda: top_k_accuracy(jnp.zeros((1, 2)), jnp.zeros(1, int), 3),
    "no trials": lambda: wilson_interval(0, 0),
    "too many": lambda: Accuracy(correct=3, total=2),
    "negative": lambda: wilson_interval(-1, 2),
    "a count that is none": lambda: wilson_interval(math.nan, 2),
    "no class": lambda: confusion(np.array([0, 3]), np.array([0, 1]), 3),
    "below": lambda: confusion(np.array([0, -1]), np.array([0, 1]), 3),
    "predictions": lambda: confusion(np.array([0]), np.array([0, 1]), 3),
    "rate": lambda: hide({"a": jnp.zeros((1, 2, 3))}, {"a": math.nan}, jax.random.key(0)),
    "modality": lambda: hide({"a": jnp.zeros((1, 2, 3))}, {"b": 0.5}, jax.random.key(0)),
    "nothing": lambda: masked_loss({}, {}, {}),
    "shapes": lambda: masked_loss(
        {"a": jnp.zeros((1, 2, 3))}, {"a": jnp.zeros((1, 2, 4))}, {"a": jnp.zeros((1, 2), bool)}
    ),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_what_is_refused(case):
    with pytest.raises(ValueError, match=r"\w+ .*\d|must be") as e:
        BAD_CALLS[case]()
    assert len(str(e.value)) > 30


@FEW
@given(scores(ROWS), st.data())
def test_shares_of_right_answers(logits, data):
    """From 0 to 1, more with a larger k; what is no number and no class is wrong."""
    batch, classes = logits.shape
    labels = np.array(data.draw(st.lists(st.integers(-1, classes), min_size=batch, max_size=batch)), np.int32)
    shares = [top_k_accuracy(jnp.asarray(logits), jnp.asarray(labels), k) for k in range(1, classes + 1)]
    first = accuracy(jnp.asarray(logits), jnp.asarray(labels))
    if not batch:
        assert np.isnan(first)
        return
    possible = ((labels >= 0) & (labels < classes) & ~np.isnan(logits).any(axis=1)).mean()
    assert 0 <= shares[0] <= first <= possible + 1e-6  # ties count for the first of them, and against the model
    assert all(one <= other for one, other in itertools.pairwise(shares))
    np.testing.assert_allclose(shares[-1], possible, rtol=1e-6)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10**12), st.data())
def test_wilson_interval(total, data):
    correct = data.draw(st.integers(0, total))
    low, high = wilson_interval(correct, total)
    assert 0 <= low <= correct / total <= high <= 1
    assert low < high


@FEW
@given(scores((2,), (3,)), st.data())
def test_token_losses(logits, data):
    """One number per prediction; nothing spoils the predictions beside it, and what has no weight is 0."""
    shape, vocabulary = logits.shape[:2], logits.shape[2]
    if vocabulary < 2:  # refused, see above
        return
    size = math.prod(shape)
    targets = np.reshape(data.draw(st.lists(st.integers(-1, vocabulary), min_size=size, max_size=size)), shape)
    weights = np.reshape(data.draw(st.lists(st.sampled_from((0.0, 1.0)), min_size=size, max_size=size)), shape)
    losses, z_losses = token_losses(
        jnp.asarray(logits), jnp.asarray(targets, jnp.int32), weights=jnp.asarray(weights, jnp.float32), z_loss=1e-4
    )
    assert losses.shape == z_losses.shape == shape and losses.dtype == jnp.float32
    assert (np.asarray(losses)[weights == 0] == 0).all()
    sound = np.isfinite(logits).all(axis=-1) & (targets >= 0) & (targets < vocabulary)
    moderate = sound & (np.abs(logits).max(axis=-1) < 100)
    assert np.isfinite(np.asarray(losses)[moderate]).all()
    counts = (weights == 1) & ((targets < 0) | (targets >= vocabulary))
    assert np.isnan(np.asarray(losses)[counts]).all()


@FEW
@given(st.sampled_from((1, 5)), st.floats(0, 1), st.integers(0, 2**16))
def test_hide(size, rate, seed):
    """The right number of elements in every example, zeros there, everything else as it was."""
    rows = jnp.asarray(np.random.default_rng(seed).normal(size=(3, size, 2)), jnp.float32)
    visible, hidden = hide({"a": rows}, {"a": rate}, jax.random.key(seed))
    count = max(round(rate * size), 1) if rate else 0
    assert (np.asarray(hidden["a"]).sum(axis=1) == count).all()
    np.testing.assert_array_equal(visible["a"], np.where(np.asarray(hidden["a"])[..., None], 0, rows))
    loss, parts = masked_loss(visible, {"a": rows}, hidden)
    assert np.isfinite(loss) and (count > 0 or parts["a_hidden"] == 0)
    assert parts["a_all"] <= parts["a_hidden"] + 1e-6 or count == 0
