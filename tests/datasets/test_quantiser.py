"""The residual quantiser: each stage says more, codes come back, and what ships is as good as it is said to be."""

import numpy as np
import pytest

from perceiver_lab.datasets.quantiser import (
    ResidualQuantiser,
    code_events,
    events_codes,
    fit_quantiser,
    signal_to_noise,
    spoken_quantiser,
)
from perceiver_lab.datasets.sound import spoken_digits
from perceiver_lab.ops.sequences import SOS

BOOKS = np.array([[[0, 0], [4, 4]], [[1, 0], [0, 1]]], np.float32)  # two stages of two codes for two samples


def clip(number):
    digits = spoken_digits()
    return digits.record(int(digits.where("test", "take")[number]))


def test_codes_by_hand():
    small = ResidualQuantiser(codebooks=BOOKS)
    assert (small.frame, small.vocabulary) == (2, 3 + 4)
    codes = small.encode(np.array([4, 5.1, 0.9, 0, 7]))  # the seventh sample is no frame
    assert codes.tolist() == [[1, 1], [0, 0]]
    np.testing.assert_allclose(small.decode(codes), [4, 5, 1, 0])
    np.testing.assert_allclose(small.decode(codes[:, :1]), [4, 4, 0, 0])


def test_each_stage_leaves_less_over():
    rng = np.random.default_rng(0)
    clips = [np.convolve(rng.normal(size=2000), np.ones(8) / 8, "same") for _ in range(3)]
    fitted = fit_quantiser(clips, stages=3, codes=16, frame=4)
    assert fitted.codebooks.shape == (3, 16, 4)
    codes = fitted.encode(clips[0])
    quality = [signal_to_noise(clips[0], fitted.decode(codes[:, :stages])) for stages in (1, 2, 3)]
    assert quality[0] > 3 and np.diff(quality).min() > 1
    with pytest.raises(ValueError, match="15 frames are too few for 16 codes"):
        fit_quantiser([np.zeros(60)], codes=16, frame=4)


def test_what_ships():
    quantiser = spoken_quantiser()
    assert quantiser.codebooks.shape == (4, 256, 16) and quantiser.vocabulary == 1027
    samples = [clip(number)["sound"][: clip(number)["length"], 0] for number in range(0, 100, 4)]
    samples = np.concatenate([one[: len(one) // 16 * 16] / np.abs(one).max() for one in samples])
    assert 14.5 < signal_to_noise(samples, quantiser.decode(quantiser.encode(samples))) < 16


def test_events_and_back():
    record = clip(0)
    events = code_events()(record)["events"]
    samples = record["sound"][: record["length"], 0]
    codes = spoken_quantiser().encode(samples / np.abs(samples).max())
    assert events[0] == SOS and len(events) == 1 + codes.size
    np.testing.assert_array_equal(events_codes(events), codes)
    np.testing.assert_array_equal(events_codes(events[:-1]), codes[:-1])  # a frame that is not whole is left out
    padded = code_events(2001)(record)
    assert padded["events"].shape == (2001,) and not padded["events"][len(events) :].any() and "sound" not in padded


def test_what_does_not_fit():
    small = ResidualQuantiser(codebooks=BOOKS)
    with pytest.raises(ValueError, match="1 samples are less than a frame, 2"):
        small.encode(np.zeros(1))
    for codes in (np.zeros((3, 3), int), np.array([[2, 0]]), np.array([[-1, 0]])):
        with pytest.raises(ValueError, match="expected at most 2 stages, with numbers from 0 to 1"):
            small.decode(codes)
    with pytest.raises(ValueError, match="does not fit into 50"):
        code_events(50)(clip(0))
    with pytest.raises(ValueError, match="a token stands where a code of another stage should"):
        events_codes(np.array([SOS, 3, 3, 3, 3]))
