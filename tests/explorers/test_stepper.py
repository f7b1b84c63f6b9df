"""The decode stepper: its tokens are those of `generate`, its cache holds what it says, and an edit spoils no more."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.datasets import chorales
from perceiver_lab.explorers import DecodeStepper
from perceiver_lab.generation import generate
from perceiver_lab.ops import filter_logits
from perceiver_lab.ops.sequences import EOS, SOS

from .steppers import CONTEXT, LATENTS, PROMPTS, REFILL_TO, make_model, make_stepper

GIVEN = chorales.grid_events(PROMPTS["rising"])[1:-1].tolist()


@pytest.fixture(scope="module")
def stepper():
    return make_stepper()


def test_steps_are_those_of_generate_and_back_takes_them_back(stepper):
    settings = {"temperature": 1.5, "top_p": 0.9}
    stepper.temperature, stepper.top_p, stepper.seed = 1.5, 0.9, 3
    new = stepper.step() + stepper.step(2) + stepper.step(9)
    found = generate(
        make_model(), [GIVEN], num_tokens=12, num_channels=4, refill_to=REFILL_TO, seed=3, **settings
    ).tokens[0]
    assert new == found[: len(new)].tolist() and (len(new) == 12 or new[-1] == EOS)
    stepper.back(5)
    assert stepper.tokens == GIVEN + new[:-5] and stepper.place == len(stepper.tokens)
    assert stepper.step(5) == new[-5:]
    stepper.back(99)
    assert stepper.tokens == GIVEN


def walked(stepper, tokens):
    """Caches after each of some tokens, and logits."""
    return [stepper.writer.after(tokens[:place], len(GIVEN)) for place in range(len(GIVEN), len(tokens) + 1)]


def test_the_cache_holds_what_is_said_and_answers_as_a_full_pass(stepper):
    tokens = GIVEN + GIVEN[:8]
    found = walked(stepper, tokens)
    for place, (_, cache) in enumerate(found, len(GIVEN)):
        held = stepper.writer.held(place, len(GIVEN))
        latents = np.asarray(cache.latent_key[0])
        inputs = np.asarray(cache.input_key[0])
        assert sorted(latents[latents <= CONTEXT].tolist()) == list(range(held.first_latent, held.num_events))
        assert sorted(inputs[inputs <= CONTEXT].tolist()) == list(range(held.num_events))
        assert REFILL_TO <= held.num_latents <= LATENTS
    events = jnp.asarray([[SOS, *tokens]])
    once = make_model()(events, num_latents=held.num_latents)[0, -1]
    np.testing.assert_allclose(found[-1][0], once, atol=2e-4)


def entries(cache):
    """Keys and values by place: of inputs, and of latents in all layers."""
    read = np.concatenate([np.asarray(one[0]).reshape(one.shape[1], -1) for one in cache.read], axis=1)
    layers = np.concatenate(
        [np.asarray(one[:, 0]).transpose(1, 0, 2, 3).reshape(one.shape[2], -1) for one in cache.layers], axis=1
    )
    keys = np.asarray(cache.input_key[0]), np.asarray(cache.latent_key[0])
    return [
        {int(place): row for place, row in zip(key, rows, strict=True) if place <= CONTEXT}
        for key, rows in zip(keys, (read, layers), strict=True)
    ]


def test_an_edit_spoils_one_input_and_the_latents_from_its_place_on():
    stepper, other = make_stepper(scale=1), make_stepper(scale=1)  # unsure, each latent looks at all places
    for place in (2, len(GIVEN) + 1):
        stepper.tokens = GIVEN + [token + 2 for token in GIVEN[:6]]
        before = entries(stepper.writer.after(stepper.tokens, len(GIVEN))[1])
        inputs, latents = stepper.edit(place, 1)
        after = entries(stepper.writer.after(stepper.tokens, len(GIVEN))[1])
        changed = [
            [key for key in one if not np.array_equal(one[key], now[key])]
            for one, now in zip(before, after, strict=True)
        ]
        held = stepper.writer.held(len(stepper.tokens), len(GIVEN))
        assert changed == [[place + 1], list(range(max(place + 1, held.first_latent), held.num_events))]
        assert (inputs, latents) == tuple(map(len, changed))
        anew = entries(other.writer.after(stepper.tokens, len(GIVEN))[1])
        for one, now in zip(after, anew, strict=True):
            assert all(np.allclose(one[key], now[key], atol=1e-5) for key in one)


def test_what_the_front_end_is_told(stepper, ask):
    stepper.tokens = GIVEN
    reply, (chances, tiles, peaks) = ask(stepper, stepper._ask_next(GIVEN, 0, len(GIVEN)))
    assert reply["held"] == [len(GIVEN) + 1, len(GIVEN) + 1 - REFILL_TO, 0]
    logits, _ = stepper.writer.after(GIVEN, len(GIVEN))
    may = np.array([EOS, *range(3, 3 + chorales.VALUES)])  # the soprano's turn
    expected = np.asarray(jax.nn.log_softmax(filter_logits(jnp.asarray(logits[may]))))
    np.testing.assert_allclose(np.frombuffer(chances, np.float32), expected, atol=1e-5)
    weights = np.frombuffer(tiles, np.uint8) / 255 * np.frombuffer(peaks, np.float32)
    assert weights.shape == (len(GIVEN) + 1,) and weights.sum() == pytest.approx(1, abs=0.06)
    full = stepper.writer.looks(GIVEN)
    np.testing.assert_allclose(full.sum(axis=1), 1, atol=1e-5)
    assert not full[np.triu_indices(len(full), 1)].any()
    _, (rows, _) = ask(stepper, stepper._ask_looks([*GIVEN, EOS]))
    assert len(rows) == len(GIVEN) // 4 * (len(GIVEN) + 1)
    new, _ = ask(stepper, {"what": "draw", "prompt": 1, "text": stepper._ask_next(GIVEN, 1, 20)["text"], "count": 3,
                           "temperature": 0.0, "top_p": 1.0, "seed": 0})  # fmt: skip
    assert 1 <= len(new["tokens"]) <= 3


def test_first_frame_and_page():
    stepper = make_stepper(prompt=1)
    assert repr(stepper) == "DecodeStepper(2 prompts, 8 latents, R=4)"
    assert "5 sixteenths in four voices, 5 of them given; 0 tokens were sampled" in stepper.first_frame().alt
    assert [note.pitch for note in stepper.notes()][:4] == [48, 57, 65, 72]
    state, answers = stepper.export(temperatures=(0.0, 1.3), bars=1, steps=3, given_bars=1)
    (prompt,) = state["facts"]["prompts"]
    assert state["prompt"] == 0 and prompt["name"] == "the model, after falling"
    assert (
        state["tokens"] == prompt["tokens"]
        and len(prompt["tokens"]) % 4 == 0
        and state["place"] == len(state["tokens"])
    )
    assert str(stepper.tokens)[1:-1] not in str([state, [ask for ask, _ in answers]])  # prompts are not ours to pass on
    takes = state["facts"]["takes"]
    assert [take["temperature"] for take in takes] == [0.0, 1.3]
    assert all(take["tokens"][: len(prompt["tokens"])] == prompt["tokens"] for take in takes)
    assert {ask["what"] for ask, _ in answers} == {"next", "looks"} and len(answers) >= 6
    with pytest.raises(ValueError, match="at least one temperature"):
        stepper.export(temperatures=())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompts": {}}, "at least one prompt, of at least one sixteenth"),
        ({"prompts": {"one": [5, 4, 3, 9]}}, "no tokens of a chorale.*the voices take turns"),
        ({"prompts": {"long": GIVEN * 3}}, "72 tokens; behind the start token there is room for 63"),
        ({"refill_to": 9}, "refill_to=9 must be from 1 to the model's 8 latents"),
        ({"prompt": 2}, "prompt=2 is out of range: it may be 0 to 1"),
        ({"place": 25}, "place=25 is out of range: it may be 0 to 24"),
        ({"temperature": -1.0}, "temperature=-1.0 must be at least 0"),
        ({"top_p": 0.0}, "top_p=0.0 must be above 0"),
        ({"tokens": [EOS, *GIVEN[1:]]}, "the end comes last or not at all"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        make_stepper(**change)


def test_other_models_and_edits_are_refused(stepper):
    with pytest.raises(ValueError, match="Linear does not write chorales: the decode stepper takes a PerceiverAR"):
        DecodeStepper(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), PROMPTS)
    for place, semitones in ((0, 40), (len(GIVEN) + 50, 1)):
        with pytest.raises(ValueError, match=f"At place {place} no tone begins that can be moved by {semitones}"):
            stepper.edit(place, semitones)
