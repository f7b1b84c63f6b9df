"""The bookkeeping of decoding and of evaluation under any numbers, against what it says it does."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from perceiver_lab.generation import TokenLosses, held_after, strided_windows

MANY = settings(max_examples=300, deadline=None)


@MANY
@given(st.integers(0, 60), st.integers(1, 20), st.data())
def test_every_target_is_scored_once(num_targets, context, data):
    stride = data.draw(st.integers(1, context))
    windows = strided_windows(num_targets, context=context, stride=stride)
    scored = [place for one in windows for place in range(one.end - one.num_scored, one.end)]
    assert scored == list(range(num_targets))
    assert all(0 <= one.start < one.end and one.end - one.start <= context for one in windows)
    # No context is given away: a window begins at the document's start or is as long as can be.
    assert all(one.start == 0 or one.end - one.start == context for one in windows)


@pytest.mark.parametrize(
    ("num_targets", "context", "stride"), [(5, 4, 0), (5, 4, 5), (5, 4, -1), (-1, 4, 2), (5, 0, 0), (5, 0, 1)]
)
def test_windows_that_are_refused(num_targets, context, stride):
    with pytest.raises(ValueError, match=f"stride={stride} must be from 1 to the context"):
        strided_windows(num_targets, context=context, stride=stride)


@MANY
@given(st.integers(1, 12), st.integers(0, 40), st.integers(0, 40), st.data())
def test_what_a_cache_holds(num_latents, num_tokens, given_tokens, data):
    """Never more latents than there are places for, never fewer than a full pass makes where there are events."""
    refill_to = data.draw(st.integers(1, num_latents))
    held = held_after(num_tokens, given_tokens, num_latents=num_latents, refill_to=refill_to)
    assert held.num_events == num_tokens + 1
    assert min(refill_to, held.num_events) <= held.num_latents <= num_latents
    assert 0 <= held.since <= num_latents - refill_to
    inputs, latents = held.to_redo(data.draw(st.integers(0, num_tokens)))
    assert inputs == 1 and 1 <= latents <= held.num_latents
    if num_tokens > given_tokens:  # one latent more than a step ago, or a full pass
        before = held_after(num_tokens - 1, given_tokens, num_latents=num_latents, refill_to=refill_to)
        assert held.since in (0, before.since + 1)


@pytest.mark.parametrize(("tokens", "prompt", "refill_to"), [(3, 1, 0), (3, 1, 5), (-1, 0, 2), (3, -1, 2)])
def test_caches_that_are_refused(tokens, prompt, refill_to):
    with pytest.raises(ValueError, match=f"refill_to={refill_to} must be from 1 to num_latents=4"):
        held_after(tokens, prompt, num_latents=4, refill_to=refill_to)


@MANY
@given(st.lists(st.lists(st.floats(0, 20, width=32), max_size=6), min_size=1, max_size=4))
def test_sums_of_token_losses(documents):
    losses = TokenLosses(tuple(np.array(one, np.float32) for one in documents))
    flat = [value for one in documents for value in one]
    assert losses.num_tokens == len(flat)
    np.testing.assert_allclose(losses.total_nats, sum(flat), rtol=1e-6, atol=1e-6)
    places = losses.by_place((0, 1, 3))
    wanted = [[v for one in documents for v in one[a:b]] for a, b in ((0, 1), (1, 3))]
    np.testing.assert_allclose(places, [np.mean(one) if one else np.nan for one in wanted], rtol=1e-5, atol=1e-6)
    if flat:
        np.testing.assert_allclose(losses.bits_per_token, np.mean(flat) / np.log(2), rtol=1e-6, atol=1e-6)
    else:
        with pytest.raises(ValueError, match="no target"):
            losses.nats_per_token  # noqa: B018


def test_bits_of_no_bytes():
    with pytest.raises(ValueError, match="num_bytes=0"):
        TokenLosses((np.ones(2, np.float32),)).bits_per_byte(0)
