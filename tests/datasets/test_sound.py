"""Spoken digits: the clips, their splits, and what transforms do to them."""

import numpy as np
import pytest

from perceiver_lab.datasets import sound as sounds
from perceiver_lab.datasets.sound import NUM_SAMPLES, RATE, SPEAKERS, one_second, spoken_digits
from perceiver_lab.ops import mulaw_decode

RNG = np.random.default_rng(0)


def record(length=3000, **more):
    sound = np.zeros((NUM_SAMPLES, 1), np.float32)
    sound[:length, 0] = RNG.uniform(-0.5, 0.5, length)
    sound.flags.writeable = False
    return {"sound": sound, "length": length, "label": 3, **more}


def test_the_clips():
    clips = spoken_digits()
    assert len(clips.codes) == len(clips.label) == len(clips.speaker) == len(clips.take) == 500
    assert {(label, speaker) for label, speaker in zip(clips.label, clips.speaker, strict=True)} == {
        (label, speaker) for label in range(10) for speaker in range(5)
    }
    assert min(map(len, clips.codes)) > 1000 and max(map(len, clips.codes)) <= NUM_SAMPLES
    made = clips.record(7)
    assert made["sound"].shape == (NUM_SAMPLES, 1) and made["sound"].dtype == np.float32
    np.testing.assert_array_equal(made["sound"][: made["length"], 0], mulaw_decode(clips.codes[7]))
    assert not made["sound"][made["length"] :].any()
    assert (made["label"], made["speaker"], made["take"]) == (0, 0, 7)


def test_the_file_is_coded_as_the_standard_says():
    """Speech is smooth and has no constant part; decoded by another law it is neither."""
    samples = np.concatenate([mulaw_decode(codes) for codes in spoken_digits().codes])
    assert np.diff(samples).std() < 0.6 * samples.std()
    assert abs(samples.mean()) < 0.05 * samples.std()


@pytest.mark.parametrize(("held_out", "counts"), [("take", (400, 100)), ("speaker", (400, 100))])
def test_splits_share_nothing(held_out, counts):
    clips = spoken_digits()
    train, test = (clips.where(part, held_out) for part in ("train", "test"))
    assert (len(train), len(test)) == counts and not set(train) & set(test)
    for numbers in (train, test):
        assert np.bincount(clips.label[numbers]).tolist() == [len(numbers) // 10] * 10
    if held_out == "take":
        assert set(clips.take[test]) == {0, 1} and not {0, 1} & set(clips.take[train])
        assert set(clips.speaker[test]) == set(clips.speaker[train]) == set(range(5))
    else:
        assert {SPEAKERS[number] for number in clips.speaker[test]} == {"yweweler"}
        assert len(set(clips.speaker[train])) == 4


def test_unknown_parts_are_named():
    for part, held_out in (("validation", "take"), ("test", "digit")):
        with pytest.raises(ValueError, match=f"part='{part}', held_out='{held_out}': expected 'train' or 'test'"):
            spoken_digits().where(part, held_out)


def test_a_recording_becomes_a_second():
    short, long = RNG.uniform(-1, 1, 100), RNG.uniform(-1, 1, (9000, 1))
    made = one_second(short, rate=RATE)
    np.testing.assert_array_equal(made[:100, 0], short.astype(np.float32))
    assert made.shape == (NUM_SAMPLES, 1) and not made[100:].any()
    np.testing.assert_array_equal(one_second(long, rate=RATE), long[:NUM_SAMPLES].astype(np.float32))


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(100), 44100, r"has 44100 samples a second.*hear 8000. Resample it first.*resample_poly"),
        (np.zeros((100, 2)), RATE, r"shape \(100, 2\); expected one channel.*samples.mean\(axis=1\)"),
        (np.zeros((1, 100, 1)), RATE, "expected one channel"),
        (np.zeros(0), RATE, "This sound is empty"),
        (np.full(10, 300.0), RATE, "reach 300; expected -1 to 1. Divide 16-bit samples by 32768"),
        (np.full(10, np.nan), RATE, "reach nan"),
    ],
)
def test_recordings_that_cannot_be_heard(samples, rate, message):
    with pytest.raises(ValueError, match=message):
        one_second(samples, rate=rate)


def test_shifting_moves_the_clip_whole_and_anywhere():
    given = record(7990)
    begins = set()
    for seed in range(60):
        moved = sounds.shift_sound(given, np.random.default_rng(seed))
        begin = int(np.flatnonzero(moved["sound"])[0])
        begins.add(begin)
        np.testing.assert_array_equal(moved["sound"][begin : begin + 7990], given["sound"][:7990])
        assert np.count_nonzero(moved["sound"]) == np.count_nonzero(given["sound"])
        assert moved["label"] == 3 and "length" not in moved
    assert begins == set(range(11))
    centred = sounds.center_sound(record(3000))["sound"]
    assert np.flatnonzero(centred)[0] == 2500 and np.flatnonzero(centred)[-1] == 5499
    with pytest.raises(ValueError, match="center_sound wants the record's 'length'.*was it moved already"):
        sounds.center_sound(moved)


def test_speed_changes_pitch_and_length():
    """A sine of 400 Hz, played at other speeds, keeps its shape and has another pitch."""
    tone = np.zeros((NUM_SAMPLES, 1), np.float32)
    tone[:4000, 0] = np.sin(2 * np.pi * 400 * np.arange(4000) / RATE)
    lengths = []
    for seed in range(20):
        played = sounds.change_speed(0.2)({"sound": tone, "length": 4000}, np.random.default_rng(seed))
        length = played["length"]
        lengths.append(length / 4000)
        turns = (np.diff(np.sign(played["sound"][: length - 2, 0])) != 0).sum()
        assert turns == pytest.approx(400, abs=3)  # two for each of 200 periods
        assert not played["sound"][length:].any()
    assert 1 / 1.2 - 0.001 <= min(lengths) < 0.9 and 1.1 < max(lengths) <= 1.2


def test_what_runs_over_the_second_is_cut():
    for seed in range(10):
        played = sounds.change_speed(0.5)(record(7900), np.random.default_rng(seed))
        assert played["sound"].shape == (NUM_SAMPLES, 1) and played["length"] <= NUM_SAMPLES


def test_loudness():
    even = sounds.even_loudness(record())
    assert np.abs(even["sound"]).max() == pytest.approx(1)
    silence = {"sound": np.zeros((NUM_SAMPLES, 1), np.float32)}
    assert not sounds.even_loudness(silence)["sound"].any()
    softer = [sounds.turn_down(12.0)(even, np.random.default_rng(seed))["sound"] for seed in range(50)]
    peaks = np.array([np.abs(sound).max() for sound in softer])
    assert peaks.min() == pytest.approx(10 ** (-12 / 20), abs=0.05) and peaks.max() == pytest.approx(1, abs=0.05)


def test_noise():
    quiet = {"sound": np.zeros((NUM_SAMPLES, 1), np.float32)}
    levels = [sounds.add_noise(0.1)(quiet, np.random.default_rng(seed))["sound"].std() for seed in range(50)]
    assert 0 <= min(levels) < 0.02 and 0.08 < max(levels) < 0.102
    loud = {"sound": np.ones((NUM_SAMPLES, 1), np.float32)}
    noisy = sounds.add_noise(0.5)(loud, np.random.default_rng(0))["sound"]
    assert noisy.max() == 1 and noisy.min() < 0.9 and noisy.dtype == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sounds.change_speed(0), "a number above 0, at most 0.5"),
        (lambda: sounds.turn_down(-3), "decibels above 0"),
        (lambda: sounds.add_noise(1), "between 0 and 1"),
    ],
)
def test_settings_that_mean_nothing(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_chance_is_the_records_own():
    given = record()
    for transform in (sounds.shift_sound, sounds.change_speed(0.1), sounds.turn_down(6.0), sounds.add_noise(0.1)):
        one, again, other = (transform(given, np.random.default_rng(seed))["sound"] for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, again)
        assert (one != other).any() and one.dtype == np.float32
