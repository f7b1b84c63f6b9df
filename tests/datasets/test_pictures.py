"""Pictures and sounds as events: nothing is lost but what is said to be, and places are those of the release."""

import numpy as np
import pytest

from perceiver_lab.datasets import crop_events, events_picture, halve, picture_events, sound_events, tokens_sound
from perceiver_lab.datasets.pictures import sound_tokens
from perceiver_lab.ops import mulaw_decode
from perceiver_lab.ops.sequences import SOS

PICTURE = np.random.default_rng(0).integers(0, 256, (3, 4, 2), dtype=np.uint8)


def test_values_follow_each_other_row_by_row_and_channel_by_channel():
    record = picture_events()({"image": PICTURE, "label": 7})
    assert set(record) == {"events", "positions", "label"} and record["events"][0] == SOS
    for place, (row, column, channel) in enumerate(np.ndindex(PICTURE.shape), start=1):
        assert record["events"][place] == 3 + PICTURE[row, column, channel]
        assert record["positions"][place].tolist() == [column + 2, row + 2, channel + 2]
    assert record["positions"][0].tolist() == [1, 1, 1]
    np.testing.assert_array_equal(events_picture(record["events"], PICTURE.shape), PICTURE)


def test_levels_leave_low_bits_out_and_what_is_missing_is_dark():
    events = picture_events(16)({"image": PICTURE})["events"]
    assert events.max() < 3 + 16
    again = events_picture(events, PICTURE.shape, 16)
    np.testing.assert_array_equal(again // 16, PICTURE // 16)
    assert np.abs(again.astype(int) - PICTURE).max() <= 8
    half = events_picture(events[:13], PICTURE.shape, 16).reshape(-1)
    np.testing.assert_array_equal(half[:12], again.reshape(-1)[:12])
    assert not half[12:].any()


def test_half_the_resolution_is_the_mean_of_four():
    image = np.array([[0, 1, 255, 255], [2, 4, 255, 255]], np.uint8)[..., None]
    np.testing.assert_array_equal(halve({"image": image})["image"][..., 0], [[1, 255]])


def test_a_crop_takes_the_places_of_its_inputs_along():
    record = picture_events()({"image": PICTURE})
    for seed in range(20):
        crop = crop_events(10, 4)(record, np.random.default_rng(seed))
        count = int((crop["inputs"] != 0).sum())
        assert crop["positions"].shape == (10, 3) and not crop["positions"][count:].any()
        start = next(at for at in range(25) if (record["events"][at : at + count] == crop["inputs"][:count]).all())
        np.testing.assert_array_equal(crop["positions"][:count], record["positions"][start : start + count])


def test_every_level_of_a_sound_comes_back_and_louder_is_more():
    levels = np.unique(mulaw_decode(np.arange(256, dtype=np.uint8)))
    tokens = sound_tokens(levels)
    assert tokens[0] == SOS and (np.diff(tokens[1:]) > 0).all() and 3 <= tokens[1] and tokens[-1] == 258
    np.testing.assert_array_equal(tokens_sound(tokens), levels)
    record = {"sound": levels[:, None], "length": 100, "label": 3}
    padded = sound_events(120)(record)
    np.testing.assert_array_equal(padded["events"][:101], sound_events()(record)["events"])
    assert padded["events"].shape == (120,) and not padded["events"][101:].any() and padded["label"] == 3


def test_what_is_no_picture_and_no_sound():
    with pytest.raises(ValueError, match="levels=10 must be a power of two"):
        picture_events(10)
    with pytest.raises(ValueError, match="wants a record with an 'image' .* got float32"):
        picture_events()({"image": np.zeros((2, 2, 1), np.float32)})
    with pytest.raises(ValueError, match="3 x 4 pixels cannot be halved"):
        halve({"image": PICTURE})
    with pytest.raises(ValueError, match="5 events after the start token"):
        events_picture(np.full(6, 3), (2, 2, 1))
    with pytest.raises(ValueError, match="from 20 to 20; a picture .* from 0 to 15"):
        events_picture(np.array([2, 23]), (2, 2, 1), 16)
    with pytest.raises(ValueError, match="A clip of 11 events does not fit into 5"):
        sound_events(5)({"sound": np.zeros((20, 1), np.float32), "length": 10})
    with pytest.raises(ValueError, match="Tokens from 2 to 400 were given"):
        tokens_sound(np.array([2, 400]))
