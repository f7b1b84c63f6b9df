"""Events: what is read is one event ahead of what is to be said, and no event is favoured by the crops."""

import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_lab.datasets import crop_events, decode_ids, events_text, load, mirrored, plays, text_events
from perceiver_lab.datasets.events import EOS, FIRST_SYMBOL, MIRRORED, PAD, SOS, TOKENS
from perceiver_lab.ops import inputs_and_targets, sequences


def test_the_special_tokens_are_those_of_the_model():
    assert (PAD, EOS, SOS) == (sequences.PAD, sequences.EOS, sequences.SOS)
    assert FIRST_SYMBOL == sequences.NUM_SPECIAL_TOKENS


def test_text_there_and_back():
    events = text_events("Nay, é!")
    np.testing.assert_array_equal(events[:3], [SOS, ord("N") + 3, ord("a") + 3])
    assert events.dtype == np.int32 and len(events) == 9 and events_text(events) == "Nay, é!"
    every = bytes(range(256))
    np.testing.assert_array_equal(text_events(every)[1:], np.arange(3, TOKENS))
    assert events_text([SOS, EOS, PAD]) == ""
    with pytest.raises(ValueError, match="Tokens from 4 to 259 were given, but they go from 0 to 258"):
        events_text(np.array([4, 259]))


def test_a_mirrored_sequence():
    events = mirrored(10, np.random.default_rng(0))
    assert (events[0], events[-1]) == (SOS, EOS) and events.dtype == np.int32 and len(events) == 10
    np.testing.assert_array_equal(events[1:5], events[8:4:-1])
    drawn = np.concatenate([mirrored(64, np.random.default_rng(seed))[1:32] for seed in range(200)])
    assert drawn.min() == FIRST_SYMBOL and drawn.max() == TOKENS - 1
    for length in (2, 7):
        with pytest.raises(ValueError, match=f"has an even length of at least 4, got {length}"):
            mirrored(length, np.random.default_rng(0))


def cropped(events, context, fewest, count=400):
    crop = crop_events(context, fewest)
    return [crop({"events": events, "other": 1}, np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize(("context", "fewest"), [(5, 2), (5, 5), (12, 3), (20, 20)])
def test_crops(context, fewest):
    events = np.concatenate([[SOS], np.arange(3, 14)]).astype(np.int32)  # 12 events
    ends = set()
    for record in cropped(events, context, fewest):
        inputs, targets = record["inputs"], record["targets"]
        assert inputs.shape == targets.shape == (context,) and inputs.dtype == targets.dtype == np.int32
        assert record["other"] == 1 and "events" not in record
        count = int((inputs != PAD).sum())
        np.testing.assert_array_equal(inputs[1:count], targets[: count - 1])
        assert not targets[count:].any() and (targets[:count] != PAD).all()
        end = int(np.flatnonzero(events == targets[count - 1])[0]) + 1
        assert count == min(context, end - 1)
        np.testing.assert_array_equal(inputs[:count], events[end - count - 1 : end - 1])
        ends.add(end)
    assert ends == set(range(min(fewest + 1, 12), 13))


def test_a_crop_is_the_shift_of_the_library():
    events = mirrored(12, np.random.default_rng(3))
    record = crop_events(12, 12)({"events": events}, np.random.default_rng(0))
    padded = jnp.asarray(np.concatenate([events, [PAD]]))[None]
    for found, expected in zip((record["inputs"], record["targets"]), inputs_and_targets(padded), strict=True):
        np.testing.assert_array_equal(found, expected[0])


def test_what_cannot_be_cropped():
    for fewest in (0, 6):
        with pytest.raises(ValueError, match=f"fewest={fewest} must be from 1 to the context, 5"):
            crop_events(5, fewest)
    for events in (np.array([2]), np.array([2, 0, 4]), np.array([2.0, 4.0]), np.ones((2, 3), int)):
        with pytest.raises(ValueError, match="wants a record with 'events', integers .* without padding"):
            crop_events(5, 2)({"events": events}, np.random.default_rng(0))


def test_mirrored_records(prepared):
    train, test = (load("mirrored", part, data_dir=prepared) for part in ("train", "test"))
    assert (len(train), len(test)) == (8000, 1000)
    for record in (train[0], train[7999], test[5]):
        events = record["events"]
        assert events.shape == (MIRRORED,) and (events[0], events[-1]) == (SOS, EOS)
        np.testing.assert_array_equal(events[1:32], events[62:31:-1])
    assert (train[0]["events"] != test[0]["events"]).any()


def test_runs_of_plays(prepared):
    train, test = (load("shakespeare/events", part, data_dir=prepared) for part in ("train", "test"))
    assert (len(train), len(test)) == (935, 17)
    assert events_text(train[0]["events"]).startswith("First Citizen:\nBefore we proceed")
    assert {len(record["events"]) for record in (train[0], train[934])} == {2049}
    np.testing.assert_array_equal(train[1]["events"][1:1025], train[0]["events"][1025:])
    for index in (0, 16):
        np.testing.assert_array_equal(test[index]["events"], text_events(plays.texts("test")[index]))
        assert len(test[index]["events"]) == 8193


def test_long_stretches(prepared):
    train, test = (load("shakespeare/long", part, data_dir=prepared) for part in ("train", "test"))
    assert (len(train), len(test)) == (935, 136)
    events = load("shakespeare/events", "train", data_dir=prepared)
    for index in (0, 934):
        assert decode_ids(train[index]["bytes"]) == events_text(events[index]["events"])
    told = b"".join(decode_ids(test[index]["bytes"]).encode() for index in range(len(test)))
    assert told == b"".join(plays.texts("test")) and {len(one["bytes"]) for one in (test[0], test[135])} == {1024}


def test_any_training_window_lies_in_a_stretch():
    text = plays.texts("train")[0]
    stretches = set(plays.long_stretches("train"))
    for start in (0, 1, 1023, 1024, len(text) - 1025):
        window = text[start : start + 1025]
        first = min(start // 1024 * 1024, len(text) - 2048)
        assert text[first : first + 2048] in stretches and window in text[first : first + 2048]
