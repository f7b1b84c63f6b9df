"""Moving digits: real ink on its way, real clips of the same digit, and nothing shared between the parts."""

import numpy as np
import pytest

from perceiver_lab.datasets import arrays, load, shipped
from perceiver_lab.datasets.moving_digits import choose_clip, clips_of, moving_digit
from perceiver_lab.datasets.senses import ask_some, hide_one, scale_video
from perceiver_lab.datasets.sound import SPEAKERS, spoken_digits

INK = shipped.mnist_digits("test")[0]


def places(video):
    """First inked row and column of each frame."""
    return [[int(np.flatnonzero(frame.any(axis=axis))[0]) for axis in (1, 0)] for frame in video[..., 0]]


def test_every_frame_shows_the_same_ink():
    for index in range(40):
        video = moving_digit(INK[index], np.random.default_rng([3, index]))
        assert video.shape == (8, 32, 32, 1) and video.dtype == np.uint8
        levels = np.sort(INK[index][INK[index] > 0])
        for frame in video:
            np.testing.assert_array_equal(np.sort(frame[frame > 0]), levels)


def test_it_moves_steadily_and_turns_back_at_edges():
    turned, steps = 0, []
    for index in range(60):
        path = np.array(places(moving_digit(INK[index], np.random.default_rng([3, index]))))
        step = np.diff(path, axis=0)
        assert np.abs(step).max() <= 4  # at most 3 pixels, rounded at both ends
        steps.append(np.abs(step).mean())
        for along in step.T:
            signs = np.sign(along[np.abs(along) > 1])
            changes = (np.diff(signs) != 0).sum()
            assert changes <= 2
            turned += changes > 0
    assert 0.8 < np.mean(steps) < 2 and turned > 5


def test_an_example_depends_on_nothing_but_its_generator():
    one, again, other = (moving_digit(INK[0], np.random.default_rng([3, index])) for index in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


@pytest.mark.parametrize("ink", [np.zeros((28, 28), np.uint8), INK[:1], INK[0].astype(np.float32)])
def test_what_is_no_digit_is_refused(ink):
    with pytest.raises(ValueError, match=r"expected uint8 of shape \(28, 28\) with ink"):
        moving_digit(ink, np.random.default_rng(0))


def test_parts_share_no_clip_and_the_fifth_speaker_is_apart():
    clips = spoken_digits()
    parts = {part: clips_of(clips, part) for part in ("train", "test", "test_speaker")}
    assert {part: len(numbers) for part, numbers in parts.items()} == {"train": 320, "test": 80, "test_speaker": 100}
    assert len(set(np.concatenate(list(parts.values())))) == 500
    assert {SPEAKERS[number] for number in clips.speaker[parts["test_speaker"]]} == {"yweweler"}
    assert set(clips.speaker[parts["train"]]) == set(clips.speaker[parts["test"]]) == {0, 1, 2, 3}
    with pytest.raises(ValueError, match="part must be one of train, test, test_speaker; got 'speaker'"):
        clips_of(clips, "speaker")


def test_a_clip_says_the_digit():
    clips, rng = spoken_digits(), np.random.default_rng(0)
    numbers = clips_of(clips, "test")
    chosen = {choose_clip(clips, numbers, 4, rng) for _ in range(200)}
    assert len(chosen) == 8 and set(clips.label[list(chosen)]) == {4} and chosen <= set(numbers.tolist())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_set():
    counts = {part: len(load("moving_digits", part)) for part in ("train", "test", "test_speaker")}
    assert counts == {"train": 6000, "test": 1000, "test_speaker": 1000}
    test, other = (arrays("moving_digits", part) for part in ("test", "test_speaker"))
    labels = shipped.mnist_digits("test")[1]
    for part, speakers in ((test, {0, 1, 2, 3}), (other, {4})):
        np.testing.assert_array_equal(part["label"], labels)
        assert set(part["speaker"]) == speakers
    clips = spoken_digits()
    for row in (0, 500, 999):
        (number,) = np.flatnonzero(
            (clips.label == labels[row]) & (clips.speaker == test["speaker"][row]) & (clips.take == test["take"][row])
        )
        np.testing.assert_array_equal(test["sound"][row], clips.record(int(number))["sound"])
        ink = INK[row][INK[row] > 0]
        np.testing.assert_array_equal(np.sort(test["video"][row, 5][test["video"][row, 5] > 0]), np.sort(ink))
    assert set(test["take"]) == {0, 1} and (test["video"] != other["video"]).any()


def test_scaling():
    video = moving_digit(INK[0], np.random.default_rng(0))
    scaled = scale_video({"video": video})["video"]
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, video / 127.5 - 1, atol=1e-6)
    with pytest.raises(ValueError, match="was it scaled already"):
        scale_video({"video": scaled})


def test_hiding_one_of_several():
    record = {"sound": 0, "video": 1, "label": 2}
    seen = []
    for seed in range(400):
        hidden = hide_one(("sound", "video"), 0.5)(record, np.random.default_rng(seed))
        assert {"sound", "video", "label"} < hidden.keys()
        seen.append((bool(hidden["hidden_sound"]), bool(hidden["hidden_video"])))
    shares = {pair: seen.count(pair) / 400 for pair in set(seen)}
    assert set(shares) == {(False, False), (True, False), (False, True)}
    assert shares[(False, False)] == pytest.approx(0.5, abs=0.08)
    assert shares[(True, False)] == pytest.approx(0.25, abs=0.07)
    for wrong in (("sound", 0.5), ((), 0.5), (("sound",), 1.5)):
        with pytest.raises(ValueError, match="expected a tuple of names, and a rate"):
            hide_one(*wrong)
    with pytest.raises(ValueError, match="was given a record without smell"):
        hide_one(("smell",), 0.5)(record, np.random.default_rng(0))


def test_asking_for_some():
    asked = ask_some("video", 50, of=100)({"label": 1}, np.random.default_rng(0))
    assert asked["video_cells"].dtype == np.int32 and len(set(asked["video_cells"].tolist())) == 50
    assert asked["video_cells"].max() < 100 and asked["label"] == 1
    for count, of in ((0, 10), (11, 10), (2.5, 10), (True, 10)):
        with pytest.raises(ValueError, match="at least 1 and at most as many"):
            ask_some("video", count, of=of)
