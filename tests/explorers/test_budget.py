"""The token budget's Python side: what is looked at, what is said, what a page keeps, bad input."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.datasets import encode_text, pad_ids
from perceiver_lab.datasets.bytes import EOS, PAD
from perceiver_lab.datasets.captions_text import CHUNK, IMAGE
from perceiver_lab.explorers import TokenBudget
from perceiver_lab.explorers.base import key_of
from perceiver_lab.recipes.captions_measure import pixels, write_on

from .budgets import LONGEST, SIDE, TEXTS, TOKENS, clips, make_budget, make_model

see = nnx.jit(lambda model, shown, mask: model.see(shown, frame_mask=mask, interpolate=True))


@pytest.fixture(scope="module")
def budget():
    return make_budget()


@pytest.mark.parametrize(
    ("frames", "order", "dropped"), [(4, "as filmed", [1]), (2, "reversed", []), (6, "shuffled", [])]
)
def test_tokens_are_the_models_own(budget, frames, order, dropped):
    numbers = budget.numbers(frames, order)
    assert len(set(numbers)) == frames and (
        order == "shuffled" or numbers == sorted(numbers, reverse=order != "as filmed")
    )
    tokens, maps = budget.look(0, frames, order, dropped)
    there = ~np.isin(np.arange(frames), dropped)
    shown = jnp.asarray(clips()[0][numbers])[None, None]
    expected = np.asarray(see(make_model(), pixels(shown), jnp.asarray(there[None, None])))
    np.testing.assert_allclose(tokens, expected[0, 0], atol=1e-4)
    assert [one.shape for one in maps] == [(TOKENS, frames * 16 + TOKENS)] * 2
    np.testing.assert_allclose(maps[0].sum(axis=1), 1, atol=1e-5)
    for place in dropped:
        assert maps[0][:, 16 * place : 16 * (place + 1)].max() == 0


def test_what_is_said_is_what_the_model_writes(budget):
    said = budget.say(question="first?", frames=4)
    prompt = np.concatenate([[IMAGE], encode_text("first? ")])
    shown = clips()[0][budget.numbers(4, "as filmed")]
    there = np.ones((1, 1, 4), bool)
    ids = write_on(make_model(), pad_ids(prompt, CHUNK)[None], np.array([len(prompt)]), shown[None, None], there)[0]
    written = ids[len(prompt) :]
    written = written[written != PAD]
    assert bytes((written[written >= 6] - 6).astype(np.uint8)).decode(errors="replace") == said.text
    assert 0 <= said.probability <= 1 and said.shares.sum() == pytest.approx(1, abs=1e-4)
    assert EOS not in written[:-1]


def test_tokens_are_taken_away_from_the_end(budget):
    for count in (1, TOKENS - 1):
        shares = budget.say(tokens=count).shares
        assert shares[:count].sum() == pytest.approx(1, abs=1e-4) and not shares[count:].any()
    nothing = [budget.say(tokens=0, example=number) for number in (0, 1)]
    assert nothing[0].text == nothing[1].text and not nothing[0].shares.any()
    tokens, _ = budget.look(0, 4, "as filmed")
    changed = tokens + np.array([[0], [0], [1], [1]], np.float32)
    kept = np.arange(TOKENS) < 2
    one, other = (budget.model.say(these, kept, "") for these in (tokens, changed))
    assert one.text == other.text and one.probability == pytest.approx(other.probability, rel=1e-5)


def test_training_on_does_not_reach_the_explorer():
    model = nnx.clone(make_model())
    budget = TokenBudget(model, clips(), TEXTS)
    before = budget.say().probability
    model.resampler.latents.table[...] = jnp.zeros_like(model.resampler.latents.table[...])
    budget._looks.clear()
    assert budget.say().probability == before


def test_answers_of_the_front_end(budget, ask):
    _, [frames] = ask(budget, {"what": "clip", "example": 1})
    assert np.array_equal(np.frombuffer(frames, np.uint8).reshape(LONGEST, SIDE, SIDE, 3), clips()[1])
    clip = {"example": 0, "frames": 3, "order": "reversed", "dropped": [2]}
    reply, buffers = ask(budget, {"what": "look", **clip})
    assert reply == {"numbers": [5, 2, 0]} and len(buffers) == 2
    found = np.frombuffer(buffers[1], np.float32).reshape(TOKENS, -1)
    np.testing.assert_array_equal(found, budget.look(**clip)[1][1])
    reply, _ = ask(budget, {"what": "say", **clip, "tokens": 2, "question": "last?"})
    said = budget.say(2, "last?", **clip)
    assert reply["text"] == said.text and reply["probability"] == round(said.probability, 5)
    assert {key for key, *_ in budget.first_answers} == {key_of(one) for one in budget.asks()}


def test_the_first_frame_and_a_page(budget):
    alt = budget.first_frame().alt
    assert f"4 of {LONGEST} frames of a clip, as filmed, become {TOKENS} tokens" in alt and TEXTS[0] in alt
    other = make_budget(order="shuffled", frames=5, tokens=3, dropped=[1], question="last?")
    state, answers = other.export()
    facts = state["facts"]
    assert (facts["counts"], facts["budgets"], facts["examples"]) == ([1, 4, 6], [1, 2, 4], [0])
    assert (state["order"], state["frames"], state["tokens"], state["dropped"]) == ("as filmed", 4, 2, [])
    kept = {key_of(one) for one, _ in answers}
    assert len(kept) == len(answers) == 1 + 3 * 2 + 3 * 2 * 3 * 3
    assert key_of({"what": "clip", "example": 0}) in kept
    assert repr(budget) == f"TokenBudget(2 clips of {LONGEST} frames, {TOKENS} tokens)"
    with pytest.raises(ValueError, match="not in this explorer, which has 0 to 1"):
        budget.export(examples=[2])


@pytest.mark.parametrize(
    ("trait", "value"),
    [
        ("example", 2),
        ("frames", 7),
        ("order", "sideways"),
        ("dropped", [6]),
        ("tokens", 5),
        ("token", 4),
        ("question", "why?"),
    ],
)
def test_state_that_does_not_exist(budget, trait, value):
    with pytest.raises(ValueError, match=f"{trait}=.* does not exist here: there are 2 clips of 6 frames, 4 tokens"):
        setattr(budget, trait, value)


def test_bad_input(budget, unchecked):
    with pytest.raises(ValueError, match="got Flamingo with MeanPooling"):
        TokenBudget(make_model("mean"), clips(), TEXTS)
    with pytest.raises(ValueError, match="got Linear with NoneType"):
        TokenBudget(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), clips(), TEXTS)
    with pytest.raises(ValueError, match="a text for each; got .* and 1 texts"):
        TokenBudget(make_model(), clips(), TEXTS[:1])
    with pytest.raises(ValueError, match="of 2 frames or more"):
        TokenBudget(make_model(), clips()[:, :1], TEXTS)
    with pytest.raises(ValueError, match="no clip 5 with 2 frames"):
        budget.look(5, 2, "reversed")
    with pytest.raises(ValueError, match="no answer to 'smell'"):
        budget.answer({"what": "smell"})
