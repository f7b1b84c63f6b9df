"""Cross-entropy against sums in float64, smoothing, weights and bad input; the sum over modalities."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from perceiver_lab.adapters import Modality, QueryOutput
from perceiver_lab.training.losses import cross_entropy, multimodal_loss


def reference(logits, targets):
    logits = logits.astype(np.float64)
    log_probs = logits - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
    log_probs -= logits.max(-1, keepdims=True)
    return -(targets * log_probs).sum(-1)


@settings(max_examples=30)
@given(
    logits=hnp.arrays(np.float32, (4, 5), elements=st.floats(-30, 30, width=32)),
    labels=hnp.arrays(np.int32, 4, elements=st.integers(0, 4)),
    smoothing=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_against_float64(logits, labels, smoothing):
    targets = np.eye(5)[labels] * (1 - smoothing) + smoothing / 5
    found = cross_entropy(jnp.asarray(logits), jnp.asarray(labels), label_smoothing=smoothing)
    np.testing.assert_allclose(found, reference(logits, targets).mean(), rtol=1e-5, atol=1e-5)
    # The same labels as distributions.
    mixed = cross_entropy(jnp.asarray(logits), jnp.eye(5)[labels], label_smoothing=smoothing)
    np.testing.assert_allclose(found, mixed, rtol=1e-5, atol=1e-5)


def test_mixed_labels_are_smoothed_after_mixing():
    """y <- 0.9 y + 0.1 / K on the mixed distribution, as in the release."""
    rng = np.random.default_rng(0)
    logits, mixed = rng.normal(size=(3, 5)).astype(np.float32), rng.dirichlet(np.ones(5), 3).astype(np.float32)
    found = cross_entropy(jnp.asarray(logits), jnp.asarray(mixed), label_smoothing=0.1)
    np.testing.assert_allclose(found, reference(logits, 0.9 * mixed + 0.1 / 5).mean(), rtol=1e-5)


def test_weights_leave_padding_out():
    rng = np.random.default_rng(0)
    logits, labels = jnp.asarray(rng.normal(size=(4, 3)), jnp.float32), jnp.array([0, 2, 1, 9])
    weighted = cross_entropy(logits, labels, weights=jnp.array([1, 1, 1, 0]))
    np.testing.assert_allclose(weighted, cross_entropy(logits[:3], labels[:3]), rtol=1e-6)


def test_a_label_out_of_range_is_nan():
    """Not 0 and not the last class: a wrong label must be noticed."""
    for label in (-1, 3):
        assert np.isnan(cross_entropy(jnp.zeros((2, 3)), jnp.array([0, label])))


def test_bad_input():
    with pytest.raises(ValueError, match=r"logits \(2, 3, 4\).*Reduce"):
        cross_entropy(jnp.zeros((2, 3, 4)), jnp.zeros(2, jnp.int32))
    with pytest.raises(ValueError, match=r"labels \(3,\)"):
        cross_entropy(jnp.zeros((2, 3)), jnp.zeros(3, jnp.int32))
    with pytest.raises(ValueError, match="label_smoothing must lie in"):
        cross_entropy(jnp.zeros((2, 3)), jnp.zeros(2, jnp.int32), label_smoothing=1.0)


def modality(name, **options):
    return Modality(name=name, queries=QueryOutput(), **options)  # only the loss is called


def absolute(output, target):
    return jnp.abs(output - target).mean()


DECLARED = [
    modality("label", loss=cross_entropy, loss_weight=0.1),
    modality("image", loss=absolute, loss_weight=2.0),
    modality("unjudged"),
]
OUTPUTS = {"image": jnp.ones((2, 3, 1)), "label": jnp.zeros((2, 4)), "unjudged": jnp.zeros((2, 1))}
TARGETS = {"image": jnp.full((2, 3, 1), 1.5), "label": jnp.array([0, 3])}


def test_the_loss_of_several_modalities_is_their_weighted_sum_and_each_is_told():
    total, each = multimodal_loss(DECLARED, OUTPUTS, TARGETS)
    assert list(each) == ["image", "label"]
    np.testing.assert_allclose(each["image"], 0.5, rtol=1e-6)
    np.testing.assert_allclose(each["label"], np.log(4), rtol=1e-6)
    np.testing.assert_allclose(total, 2 * 0.5 + 0.1 * np.log(4), rtol=1e-6)


@pytest.mark.parametrize(
    ("declared", "outputs", "targets"),
    [
        (DECLARED, {"image": OUTPUTS["image"]}, TARGETS),
        (DECLARED, OUTPUTS, {}),
        ([modality("image")], OUTPUTS, TARGETS),
    ],
    ids=["no output", "no target", "no loss"],
)
def test_modalities_without_output_target_or_loss_are_named(declared, outputs, targets):
    with pytest.raises(ValueError, match="wants an output and a target for each modality with a loss"):
        multimodal_loss(declared, outputs, targets)
