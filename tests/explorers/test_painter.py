"""The mask painter's Python side: what is asked, what is said, what a page keeps, bad input."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import ByteOutput
from perceiver_lab.datasets import encode_text, hide_ids, pad_ids
from perceiver_lab.explorers import MaskPainter
from perceiver_lab.explorers.base import key_of
from perceiver_lab.models.baselines import Bert, BertConfig

from .painters import LENGTH, TEXTS, make_counts, make_model, make_painter
from .playgrounds import make_model as make_picture_model


def log_probabilities(ids, model=None, mask=None):
    logits = (make_model() if model is None else model)(jnp.asarray(ids)[None], mask=mask)
    return np.asarray(jax.nn.log_softmax(logits[0].astype(jnp.float32)))


def test_answers_are_the_models_own(painter, ask):
    hidden = [2, 9, 10, 39]
    ids = encode_text(TEXTS[0])
    rows = log_probabilities(hide_ids(ids, hidden))
    reply, buffers = ask(painter, {"what": "fill", "text": TEXTS[0], "hidden": hidden})
    assert buffers == []
    assert len(reply["guesses"]) == len(hidden)
    for place, guess in zip(hidden, reply["guesses"], strict=True):
        order = np.argsort(-rows[place])
        assert [byte for byte, _ in guess["top"]] == (order[:5] - 6).tolist()
        assert np.allclose([share for _, share in guess["top"]], np.exp(rows[place][order[:5]]), atol=1e-5)
        own = rows[place][ids[place]]
        assert guess["bits"] == pytest.approx(-own / np.log(2), abs=2e-3)
        assert guess["rank"] == 1 + list(order).index(ids[place])
    assert reply["bits"] == pytest.approx(np.mean([guess["bits"] for guess in reply["guesses"]]), abs=2e-3)


def test_nothing_is_read_after_the_end_of_a_short_text(painter):
    text = TEXTS[1]
    ids = hide_ids(encode_text(text), [3, 4])
    whole = pad_ids(ids, LENGTH)
    rows = log_probabilities(whole, mask=jnp.asarray(whole > 0)[None])
    for place, guess in zip([3, 4], painter.fill(text, [3, 4])["guesses"], strict=True):
        assert guess["bits"] == pytest.approx(-rows[place][encode_text(text)[place]] / np.log(2), abs=2e-3)


def test_what_is_hidden_is_not_read(painter):
    other = "Rxmeo" + TEXTS[0][5:]
    assert painter.fill(TEXTS[0], [1])["guesses"][0]["top"] == painter.fill(other, [1])["guesses"][0]["top"]
    assert painter.fill(TEXTS[0], [2])["guesses"][0]["top"] != painter.fill(other, [2])["guesses"][0]["top"]


def test_many_maskings_are_the_same_as_one_by_one(painter):
    maskings = [[i, i + 1] for i in range(35)]
    together = painter.filler.fill(TEXTS[0], maskings)
    for places, found in list(zip(maskings, together, strict=True))[::17]:
        alone = painter.fill(TEXTS[0], places)
        assert alone["counts"] == found["counts"]
        assert alone["bits"] == pytest.approx(found["bits"], abs=2e-3)
        assert [guess["rank"] for guess in alone["guesses"]] == [guess["rank"] for guess in found["guesses"]]


def test_counting_sees_what_the_model_sees(painter):
    hidden = np.zeros((1, LENGTH), bool)
    hidden[0, [1, 2, 9]] = True
    ids = encode_text(TEXTS[0])[None]
    expected = make_counts().bits(ids, hidden, ~hidden, left=2, right=2).mean()
    assert painter.fill(TEXTS[0], [1, 2, 9])["counts"] == pytest.approx(expected, abs=1e-3)
    assert MaskPainter(make_model(), TEXTS).fill(TEXTS[0], [1, 2, 9])["counts"] is None


def test_a_transformer_can_be_asked_as_well():
    rngs = nnx.Rngs(1)
    config = BertConfig(channels=16, num_layers=1, num_heads=2)
    bert = Bert(config, input_adapter=make_model().input_adapter, output_adapter=ByteOutput(), rngs=rngs)
    painter = MaskPainter(bert, TEXTS)
    rows = log_probabilities(hide_ids(encode_text(TEXTS[0]), [5]), bert)
    own = rows[5][encode_text(TEXTS[0])[5]]
    assert painter.fill(TEXTS[0], [5])["bits"] == pytest.approx(-own / np.log(2), abs=2e-3)


def test_training_on_does_not_reach_the_painter():
    model = nnx.clone(make_model())
    painter = MaskPainter(model, TEXTS)
    before = painter.fill(TEXTS[0], [0])
    model.latents[...] = jnp.zeros_like(model.latents[...])
    assert painter.fill(TEXTS[0], [0]) == before


def test_it_begins_with_every_seventh_byte_of_the_first_text(painter):
    assert (painter.text, painter.hidden, painter.cursor) == (TEXTS[0], [3, 10, 17, 24, 31, 38], 3)
    [[key, reply, _]] = painter.first_answers
    assert json.loads(key) == {"what": "fill", "text": TEXTS[0], "hidden": painter.hidden}
    assert reply == painter.fill(TEXTS[0], painter.hidden)
    short = make_painter(texts=["O!"])
    assert (short.hidden, short.cursor) == ([1], 1)


def test_a_shorter_text_has_fewer_places(painter):
    painter.cursor, painter.hidden = 38, [19, 3, 3, 38]
    assert painter.hidden == [3, 19, 38]
    painter.text = TEXTS[1]
    assert (painter.hidden, painter.cursor) == ([3, 19], len(TEXTS[1].encode()) - 1)


def test_the_front_end_sets_text_and_places_together(painter):
    painter.set_state({"hidden": [0, 1], "text": "No", "cursor": 1})
    assert (painter.text, painter.hidden, painter.cursor) == ("No", [0, 1], 1)


def test_the_first_frame_says_what_is_hidden_and_guessed(painter):
    alt = painter.first_frame().alt
    found = painter.fill(painter.text, painter.hidden)
    assert "40 bytes of text, 6 of them hidden" in alt
    assert f"{found['bits']:.2f} bits per hidden byte" in alt
    assert "asked for nothing" in make_painter(hidden=[]).first_frame().alt


def test_bytes_that_are_no_ascii_are_drawn(painter):
    painter.text, painter.hidden = TEXTS[1], [3, 4, 5]
    assert painter.first_frame().html().startswith("<img")


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("hidden", [40], "not in the text, whose 40 bytes are numbered 0 to 39"),
        ("hidden", [-1], "not in the text"),
        ("cursor", 40, "not in the text"),
        ("text", "", "has 0 bytes; this model reads from 1 to 40"),
        ("text", "é" * 21, "has 42 bytes"),
        ("text", "\ud800", "must be UTF-8"),
    ],
)
def test_state_that_does_not_exist(painter, trait, value, message):
    with pytest.raises(ValueError, match=message):
        setattr(painter, trait, value)


@pytest.mark.parametrize(
    ("model", "texts", "message"),
    [
        (make_model, [], "no text"),
        (make_model, ["x" * 41], "has 41 bytes"),
        (make_model, ["Café".encode()[:4]], "begin and end where characters do"),
        (make_model, [7], "must be UTF-8"),
        (make_picture_model, TEXTS, "does not read bytes"),
    ],
)
def test_arguments_that_do_not_fit(unchecked, model, texts, message):
    with pytest.raises(ValueError, match=message):
        MaskPainter(model(), texts)


@pytest.mark.parametrize("hidden", [[], [40], [-1]])
def test_places_that_are_not_there(painter, hidden):
    with pytest.raises(ValueError, match="numbered from 0"):
        painter.fill(TEXTS[0], hidden)


def test_a_page_holds_what_it_offers(painter):
    painter.hidden = [0, 30]
    state, answers = painter.export(texts=[1], longest=3)
    kept = {key_of(ask) for ask, _ in answers}
    assert len(kept) == len(answers)
    assert state["facts"]["texts"] == [TEXTS[1], TEXTS[0]]
    assert state["facts"]["longest"] == 3
    size = len(TEXTS[1].encode())
    runs = [[0], [size - 1], [size - 3, size - 2, size - 1]]
    words = [[0, 1, 2, 3, 4], [7, 8, 9, 10, 11, 12], [15, 16, 17, 18, 19]]
    smudges = [[0, 7, 14], [6, 13]]
    for hidden in (*runs, *words, *smudges):
        assert key_of({"what": "fill", "text": TEXTS[1], "hidden": hidden}) in kept
    assert key_of({"what": "fill", "text": TEXTS[0], "hidden": [0, 30]}) in kept


@pytest.mark.parametrize(
    ("reduction", "message"),
    [({"texts": [2]}, "not in this painter, which has 0 to 1"), ({"longest": 0}, "at least one byte")],
)
def test_a_page_that_cannot_be(painter, reduction, message):
    with pytest.raises(ValueError, match=message):
        painter.export(**reduction)


def test_repr(painter):
    assert repr(painter) == "MaskPainter(2 texts, at most 40 bytes)"
