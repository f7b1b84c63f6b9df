"""Strided evaluation: every target once, from the windows that it says, in the right units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab.generation import TokenLosses, evaluate_tokens, strided_windows
from perceiver_lab.ops.sequences import PAD
from tests.generation.small import CONTEXT, make

MODEL = make()
rng = np.random.default_rng(0)
DOCUMENTS = [np.array([2, *rng.integers(3, 11, size=size)]) for size in (1, 5, 17, 24)]
whole = nnx.jit(lambda model, tokens, positions: model(tokens, positions=positions))


@settings(max_examples=60, derandomize=True)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 20))
def test_every_target_is_scored_once(num_targets, context, stride):
    if stride > context:
        stride, context = context, stride
    windows = strided_windows(num_targets, context=context, stride=stride)
    scored = [place for one in windows for place in range(one.end - one.num_scored, one.end)]
    assert scored == list(range(num_targets))
    assert all(0 < one.end - one.start <= context and one.num_scored <= stride for one in windows)
    assert all(one.num_scored == stride for one in windows[1:])  # the short block comes first
    assert all(one.start == max(one.end - context, 0) for one in windows)


@pytest.mark.parametrize("stride", [1, 3, 4])
def test_losses_are_those_of_the_windows(stride):
    found = evaluate_tokens(MODEL, DOCUMENTS, stride=stride, batch_size=3)
    for document, nats in zip(DOCUMENTS, found.nats, strict=True):
        expected = []
        for start, end, num_scored in strided_windows(len(document) - 1, context=CONTEXT, stride=stride):
            tokens = np.full((1, CONTEXT), PAD)
            tokens[0, : end - start] = document[start:end]
            positions = np.where(tokens != PAD, np.arange(start + 1, start + CONTEXT + 1), 0)[..., None]
            logits = whole(MODEL, jnp.asarray(tokens), jnp.asarray(positions))[0]
            log_probs = jax.nn.log_softmax(logits)[len(logits) - num_scored :]
            expected += (-log_probs[np.arange(num_scored), document[end - num_scored + 1 : end + 1]]).tolist()
        np.testing.assert_allclose(nats, expected, atol=1e-5)


def test_positions_of_a_crop_are_those_of_the_document():
    shifted = [np.arange(101, 101 + len(one))[:, None] for one in DOCUMENTS]
    counted = evaluate_tokens(MODEL, DOCUMENTS, stride=2)
    given = evaluate_tokens(MODEL, DOCUMENTS, stride=2, positions=shifted)
    for one, other in zip(counted.nats, given.nats, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)  # rotary: only differences count


def test_models_that_count_from_the_end_take_no_positions():
    model = make(position_source="terminal")
    assert evaluate_tokens(model, DOCUMENTS[:2], stride=4).num_tokens == 6
    with pytest.raises(ValueError, match="counts positions back from the last token"):
        evaluate_tokens(model, DOCUMENTS[:1], stride=4, positions=[np.ones((2, 1), int)])


def test_units():
    losses = TokenLosses((np.array([1.0, 3.0], np.float32), np.array([2.0], np.float32)))
    assert losses.num_tokens == 3
    assert losses.total_nats == 6.0
    assert losses.nats_per_token == 2.0
    assert losses.bits_per_token == pytest.approx(2 / np.log(2))
    assert losses.bits_per_byte(12) == pytest.approx(0.5 / np.log(2))
    np.testing.assert_allclose(losses.by_place([0, 1, 2, 9]), [1.5, 3.0, np.nan])
    np.testing.assert_allclose(losses.by_place([1, 2]), [3.0])


@pytest.mark.parametrize(
    ("documents", "options", "message"),
    [
        (DOCUMENTS, {"stride": 5}, "stride=5 is more than the model's 4 latents"),
        (DOCUMENTS, {"stride": 0}, "stride=0 must be from 1 to the context, 12"),
        ([np.array([2])], {}, r"Document 0 must be integers \(M,\).*got int64 of shape \(1,\)"),
        ([DOCUMENTS[0], np.array([2, 0, 5])], {}, r"Document 1 .* without padding \(0\)"),
        (DOCUMENTS, {"positions": [np.ones((2, 1), int)]}, "positions must be integers .M, axes. for each document"),
    ],
)
def test_what_means_nothing_is_named(documents, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate_tokens(MODEL, documents, **{"stride": 2, **options})


def test_documents_beyond_the_tables_are_named():
    with pytest.raises(ValueError, match=r"positions of document 2 reach \[17\], but the tables have \[13\] rows"):
        evaluate_tokens(make(axes=1), DOCUMENTS, stride=2)
