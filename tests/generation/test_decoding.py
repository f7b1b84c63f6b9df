"""Sampling: cached steps are full passes, rows are alone, one compilation, and what may never be sampled."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.generation import decoding, generate, stream
from perceiver_lab.generation.prompts import Plan, make_plan
from perceiver_lab.ops.sequences import EOS, PAD, SOS
from tests.generation.small import CONTEXT, VOCABULARY, make, preferring

# A structure, a number of rows, and which settings are given make one program: the tests share as few as they can.
LATENTS = 3
MODEL = make(num_latents=LATENTS)
PROMPTS = [[], [5, 3, 9], [4, 4, 8, 7, 6, 3]]
FILTERED = {"num_tokens": 6, "top_k": 5, "top_p": 0.98, "min_p": 0.01}
whole = nnx.jit(
    lambda model, tokens, positions, num_latents: model(tokens, positions=positions, num_latents=num_latents),
    static_argnames=("num_latents",),
)


def by_hand(model, prompt, num_tokens, refill_to, positions=None):
    """Greedy, from one whole call per token, with as many latents as the cache would hold."""
    events, answer = [SOS, *prompt], []
    for step in range(num_tokens):
        since = step % (model.config.num_latents - refill_to + 1)
        num_latents = min(len(events) - since, refill_to) + since
        tokens = jnp.array([events + [PAD] * (CONTEXT - len(events))])
        logits = np.array(whole(model, tokens, positions, num_latents))[0, -1]
        logits[[PAD, SOS]] = -np.inf
        answer.append(int(logits.argmax()))
        if answer[-1] == EOS:
            break
        events.append(answer[-1])
    return answer


def rows(generation):
    return [row[:length].tolist() for row, length in zip(generation.tokens, generation.lengths, strict=True)]


@pytest.mark.parametrize("refill_to", [1, 2, LATENTS])
def test_every_cached_step_is_a_full_pass(refill_to):
    found = generate(MODEL, PROMPTS, num_tokens=6, temperature=0, refill_to=refill_to)
    assert rows(found) == [by_hand(MODEL, prompt, 6, refill_to) for prompt in PROMPTS]
    assert found.tokens.shape == (3, 6)


def test_half_of_the_latents_is_the_default():
    assert make_plan(make(num_latents=4), None, rolling=False) == Plan(refill_to=2, period=3)


def test_an_odd_number_of_latents_is_halved_downwards():
    """The release wants an even number; here a cache of three is refilled with one."""
    found = generate(MODEL, PROMPTS, num_tokens=6, temperature=0)
    by_three = [by_hand(MODEL, prompt, 6, refill_to=1) for prompt in PROMPTS]
    assert rows(found) == by_three == rows(generate(MODEL, PROMPTS, num_tokens=6, temperature=0, refill_to=1))
    assert make_plan(MODEL, None, rolling=False) == Plan(refill_to=1, period=3)


def test_channels_take_turns():
    """Two channels with four values each; the model itself would say anything."""
    found = generate(
        MODEL, [[], [5, 8, 6]], num_tokens=6, temperature=5.0, num_channels=2, forbidden_tokens=[EOS], stop_tokens=[]
    )
    places = np.arange(6) + np.array([[0], [3]])
    np.testing.assert_array_equal((found.tokens - 3) // 4, places % 2)
    for number in (0, 3):
        with pytest.raises(
            ValueError, match=f"num_channels={number} does not divide the 8 tokens that are not special"
        ):
            generate(MODEL, [[]], num_tokens=2, num_channels=number)


def test_pictures_are_sampled_with_their_positions():
    model = make(axes=2, num_latents=LATENTS)
    positions = np.stack([np.arange(CONTEXT) // 3 + 1, np.arange(CONTEXT) % 3 + 1], axis=-1)
    found = generate(model, [[5, 6]], num_tokens=5, temperature=0, positions=positions, refill_to=2)
    assert rows(found) == [by_hand(model, [5, 6], 5, 2, jnp.asarray(positions)[None])]
    with pytest.raises(ValueError, match=r"positions must be integers \(M, axes\) = \(12, 2\).*got None"):
        generate(model, [[5]], num_tokens=2)
    with pytest.raises(ValueError, match=r"positions reach \[15, 14\], but the tables have \[13, 13\] rows"):
        generate(model, [[5]], num_tokens=2, positions=positions + 11)


def test_a_prompt_may_fill_the_context_but_for_one_place():
    full = [3 + place % 8 for place in range(CONTEXT - 1)]
    found = generate(MODEL, [full, [], full[1:]], num_tokens=1, temperature=0)
    assert rows(found) == [by_hand(MODEL, prompt, 1, 1) for prompt in (full, [], full[1:])]
    generate(MODEL, [[], [], []], num_tokens=CONTEXT, temperature=1.0)


def test_a_row_is_sampled_as_it_would_be_alone():
    alone = generate(MODEL, PROMPTS[:1], num_tokens=6, seed=5)
    assert rows(generate(MODEL, PROMPTS, num_tokens=6, seed=5))[:1] == rows(alone)


def test_the_same_seed_gives_the_same_tokens():
    many = [[5]] * 3
    one, same, other = (rows(generate(MODEL, many, num_tokens=6, seed=seed)) for seed in (1, 1, 2))
    assert one == same != other
    assert len({tuple(row) for row in one}) > 1  # rows draw on their own


def test_the_stream_is_what_is_generated():
    settings = FILTERED | {"seed": 4, "temperature": 1.3}
    found = generate(MODEL, PROMPTS, **settings)
    streamed = np.stack(list(stream(MODEL, PROMPTS, **settings)), axis=1)
    np.testing.assert_array_equal(streamed, found.tokens[:, : streamed.shape[1]])
    assert (found.lengths <= streamed.shape[1]).all()


def test_one_compilation_for_all_lengths_settings_and_seeds(monkeypatch):
    model = make(num_latents=LATENTS, max_context=CONTEXT + 1)  # a structure that no other test has compiled
    traced, advance = [], decoding._advance
    monkeypatch.setattr(decoding, "_advance", lambda *given: traced.append(1) or advance(*given))
    so_far = []
    for seed, (length, num_tokens) in enumerate([(0, 3), (1, 7), (9, 2), (4, 4)]):
        prompts = [[5] * length, [6] * (length // 2), [7]]
        generate(model, prompts, num_tokens=num_tokens, temperature=seed / 2, top_p=1 - seed / 10, seed=seed)
        so_far.append(len(traced))
    assert 0 < so_far[0] == so_far[-1]


@pytest.mark.parametrize("token", [PAD, SOS])
def test_padding_and_start_are_never_sampled(token):
    model = preferring(token, num_latents=LATENTS)
    for settings in ({"temperature": 0}, {"temperature": 5.0}, {"top_k": 1, "top_p": 0.1, "min_p": 0.5}):
        found = generate(model, [[], [5], [6]], num_tokens=4, stop_tokens=(), **settings)
        assert not np.isin(found.tokens, [PAD, SOS]).any()
        assert found.lengths.tolist() == [4, 4, 4]


def test_what_is_forbidden_never_comes():
    found = generate(preferring(7, num_latents=LATENTS), [[7]] * 3, num_tokens=6, forbidden_tokens=[7, EOS])
    assert not np.isin(found.tokens, [PAD, EOS, SOS, 7]).any()


def test_a_row_ends_with_its_stop_token():
    model = preferring(EOS, num_latents=LATENTS)
    found = generate(model, PROMPTS, num_tokens=5)
    np.testing.assert_array_equal(found.tokens, [[EOS, 0, 0, 0, 0]] * 3)
    assert found.lengths.tolist() == [1, 1, 1]
    assert len(list(stream(model, PROMPTS, **FILTERED))) == 1
    found = generate(MODEL, [[5]] * 3, num_tokens=6, stop_tokens=[8, 9], temperature=2.0, seed=1)
    assert 1 < found.lengths.min() + found.lengths.max() < 12  # some end early
    for row, length in zip(found.tokens, found.lengths, strict=True):
        assert not np.isin(row[: length - 1], [8, 9]).any()
        assert length == 6 or row[length - 1] in (8, 9)


def test_a_stop_token_that_never_comes_lets_a_row_go_on_to_the_length_asked_for():
    settings = {"num_tokens": 6, "forbidden_tokens": [8, EOS]}
    found = generate(MODEL, PROMPTS, stop_tokens=[8], **settings)
    assert found.lengths.tolist() == [6, 6, 6] and not np.isin(found.tokens, [PAD, 8]).any()
    np.testing.assert_array_equal(found.tokens, generate(MODEL, PROMPTS, stop_tokens=(), **settings).tokens)


def test_ended_rows_change_nothing_for_the_others():
    settings = {"num_tokens": 6, "temperature": 0}
    kept = rows(generate(MODEL, PROMPTS, stop_tokens=(), **settings))
    stop = kept[0][1]
    found = rows(generate(MODEL, PROMPTS, stop_tokens=[stop], **settings))
    for row, full in zip(found, kept, strict=True):
        end = full.index(stop) + 1 if stop in full else len(full)
        assert row == full[:end]


def test_a_rolling_cache_is_exact_until_the_first_latent_gives_way():
    exact, rolling = (
        generate(MODEL, [[5, 6, 7]] * 3, num_tokens=9, temperature=0, refill_to=1, rolling=rolling, stop_tokens=())
        for rolling in (False, True)
    )
    period = make_plan(MODEL, 1, rolling=False).period
    np.testing.assert_array_equal(exact.tokens[:, :period], rolling.tokens[:, :period])


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ([], {}, "0 prompts and num_tokens=2: give at least one prompt"),
        ([[5]], {"num_tokens": 0}, "num_tokens=0: give at least one prompt"),
        ([[5] * 11], {}, "The longest prompt has 11 tokens, and 2 more are asked for.*its last 10 tokens"),
        ([[5] * 13], {}, "The longest prompt has 13 tokens, and 2 more are asked for.*its last 10 tokens"),
        ([[5]], {"num_tokens": 12}, "The longest prompt has 1 tokens, and 12 more"),
        ([[5, 11]], {}, "Prompt 0 has tokens from 5 to 11; expected numbers below 11"),
        ([[5], [5, 0]], {}, r"Prompt 1 has tokens from 0 to 5; expected .* without padding \(0\)"),
        ([[SOS, 5]], {}, r"without the start token \(2\), which is put first by itself"),
        ([[0.5]], {}, "Prompt 0 must be a sequence of token numbers; got float64"),
        ([5, 6], {}, r"got int64 of shape \(\). One prompt is given as \[prompt\]"),
        ([[5, -1]], {}, "Prompt 0 has tokens from -1 to 5; expected numbers below 11"),
        ([[5, 0, 5]], {}, r"Prompt 0 has tokens from 0 to 5; expected .* without padding \(0\)"),
        ([[5]], {"temperature": -1.0}, "temperature=-1.0 must be at least 0"),
        ([[5]], {"temperature": float("nan")}, "temperature=nan must be at least 0"),
        ([[5]], {"top_p": 0.0}, "top_p=0.0 must be above 0 and at most 1"),
        ([[5]], {"top_p": 1.5}, "top_p=1.5 must be above 0 and at most 1"),
        ([[5]], {"top_p": -0.5}, "top_p=-0.5 must be above 0 and at most 1"),
        ([[5]], {"top_k": 0}, "top_k=0 must be at least 1"),
        ([[5]], {"min_p": 1.5}, "min_p=1.5 must be from 0 to 1"),
        ([[5]], {"refill_to": 0}, "refill_to=0 must be from 1 to the model's 3 latents"),
        ([[5]], {"refill_to": 4}, "refill_to=4 must be from 1 to the model's 3 latents"),
        ([[5]], {"stop_tokens": [11]}, r"stop_tokens \[11\] must be numbers from 0 to 10"),
        ([[5]], {"forbidden_tokens": range(VOCABULARY)}, "forbidden_tokens leaves no token"),
    ],
)
def test_what_means_nothing_is_named(prompts, options, message):
    for function in (generate, stream):
        with pytest.raises(ValueError, match=message):
            function(MODEL, prompts, **{"num_tokens": 2, **options})


def test_a_model_without_positions_from_the_data_is_named():
    with pytest.raises(ValueError, match="takes its positions from the data"):
        generate(make(position_source="terminal"), [[5]], num_tokens=2)
