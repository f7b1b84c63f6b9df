"""The sense mixer's Python side: what is mixed, what is said, what a page keeps, bad input."""

import io
import json
import wave

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.explorers import SenseMixer
from perceiver_lab.explorers.base import key_of
from perceiver_lab.explorers.mixer_model import decibels, frame_bytes

from .mixers import CLASSES, LABELS, SAMPLES, VIDEO, clips, make_mixer, make_model
from .painters import make_model as make_byte_model


def said_by_the_model(**senses):
    model = make_model()
    found = model.decode(model.encode(model.input_adapter({name: jnp.asarray(clip) for name, clip in senses.items()})))
    return {**found, "label": jax.nn.softmax(found["label"])}


def test_answers_are_the_models_own(mixer):
    examples = clips()
    found = mixer.mix(video=[1, 100, 0], sound=[3, 100, 0])
    expected = said_by_the_model(video=examples["video"][1:2], sound=examples["sound"][3:4])
    assert np.allclose(found["probabilities"], expected["label"][0], atol=1e-5)
    assert np.allclose(found["video"], expected["video"][0], atol=1e-5)
    assert np.allclose(found["sound"], expected["sound"][0], atol=1e-5)
    error = np.mean((np.asarray(expected["video"][0]) - examples["video"][1]) ** 2)
    assert found["psnr"] == pytest.approx(10 * np.log10(4 / error), abs=0.02)
    clean = examples["sound"][3, :, 0]
    noise = np.mean((np.asarray(expected["sound"][0]) - clean) ** 2)
    assert found["snr"] == pytest.approx(10 * np.log10(np.mean(clean**2) / noise), abs=0.02)


def test_a_removed_sense_is_one_that_the_model_is_not_given(mixer):
    examples = clips()
    for sense, gone in (("video", "sound"), ("sound", "video")):
        found = mixer.mix(**{sense: [2, 100, 0], gone: [0, 0, 0]})
        expected = said_by_the_model(**{sense: examples[sense][2:3]})
        assert np.allclose(found["probabilities"], expected["label"][0], atol=1e-5)
        assert np.allclose(found["video"], expected["video"][0], atol=1e-5)
        other = mixer.mix(**{sense: [2, 100, 0], gone: [3, 0, 0]})
        assert np.array_equal(found["probabilities"], other["probabilities"])


def test_nothing_given_is_answered_from_the_tokens(mixer):
    found = mixer.mix(video=[0, 0, 0], sound=[1, 0, 0])
    assert np.allclose(found["probabilities"].sum(), 1, atol=1e-5)


def test_volume_lifts_ink_off_paper_and_voice_out_of_silence(mixer):
    examples = clips()
    assert np.allclose(mixer.desk.mixed("video", 0, 50, 0), -1 + (examples["video"][0] + 1) / 2, atol=1e-6)
    assert np.allclose(mixer.desk.mixed("sound", 0, 10, 0), examples["sound"][0] / 10, atol=1e-6)
    assert np.array_equal(mixer.desk.mixed("sound", 2, 100, 0), examples["sound"][2])


def test_noise_is_as_strong_as_said_and_stays_the_same(mixer):
    voice = clips()["sound"][1, : SAMPLES * 3 // 4]
    rms = np.sqrt(np.mean(voice**2))
    noise = mixer.desk.mixed("sound", 1, 0, 50)
    assert np.std(noise) == pytest.approx(rms / 2, rel=0.06)
    assert np.allclose(mixer.desk.mixed("sound", 1, 0, 10) * 5, noise, atol=1e-5)
    paper = mixer.desk.mixed("video", 1, 0, 10) + 1
    assert paper[paper > 0].mean() == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.15)
    assert not np.allclose(mixer.desk.mixed("video", 2, 0, 10), mixer.desk.mixed("video", 1, 0, 10))
    for sense in ("video", "sound"):
        assert np.abs(mixer.desk.mixed(sense, 3, 100, 400)).max() == 1


def test_clips_come_as_bytes(mixer, ask):
    _, [frames] = ask(mixer, {"what": "clip", "sense": "video", "channel": [1, 50, 20]})
    levels = np.frombuffer(frames, np.uint8).reshape(VIDEO)
    expected = mixer.desk.mixed("video", 1, 50, 20)
    assert np.abs(levels - (expected + 1) * 127.5).max() <= 0.51
    _, [wav] = ask(mixer, {"what": "clip", "sense": "sound", "channel": [1, 50, 20]})
    assert np.allclose(heard(wav), mixer.desk.mixed("sound", 1, 50, 20)[:, 0], atol=1e-4)


def heard(wav):
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767


def test_the_answer_comes_with_frames_and_sound(mixer, ask):
    channels = {"video": [0, 100, 30], "sound": [2, 40, 0]}
    reply, [frames, wav] = ask(mixer, {"what": "mix", **channels})
    found = mixer.mix(**channels)
    assert np.allclose(reply["probabilities"], found["probabilities"], atol=1e-5)
    assert (reply["psnr"], reply["snr"]) == (found["psnr"], found["snr"])
    assert frames == frame_bytes(found["video"])
    assert np.allclose(heard(wav), np.clip(found["sound"], -1, 1), atol=1e-4)


def test_what_lies_beyond_is_cut_off():
    assert frame_bytes(np.array([-2.0, -1, 0, 1, 3]).reshape(5, 1, 1, 1)) == bytes([0, 0, 128, 255, 255])


def test_decibels():
    clean = np.array([1.0, -1.0])
    assert decibels(clean, np.array([1.0, 0.0]), 4.0) == pytest.approx(10 * np.log10(8), abs=0.01)
    assert decibels(clean, clean, 4.0) is None
    assert decibels(np.zeros(2), clean, 0.0) is None


def test_training_on_does_not_reach_the_mixer():
    model = nnx.clone(make_model())
    mixer = SenseMixer(model, clips())
    before = mixer.mix()["probabilities"]
    model.latents[...] = jnp.zeros_like(model.latents[...])
    assert np.array_equal(mixer.mix()["probabilities"], before)


def test_the_first_answers_come_along():
    mixer = make_mixer(shown=1, said=2, video_volume=0, video_noise=50, sound_noise=10)
    assert mixer.channel("video") == [1, 0, 0]
    asks = [json.loads(key) for key, *_ in mixer.first_answers]
    assert asks[0] == {"what": "mix", "video": [1, 0, 0], "sound": [2, 100, 10]}
    assert {"what": "clip", "sense": "sound", "channel": [2, 100, 10]} in asks


def test_the_first_frame_says_what_is_given_and_answered(mixer):
    probabilities = mixer.mix()["probabilities"]
    alt = mixer.first_frame().alt
    assert "the video of a 0 at volume 100 % with noise 0 % and the sound of a 0" in alt
    assert f"says {probabilities.argmax()} with probability {probabilities.max():.2f}" in alt
    mixer.sound_volume = 0
    assert "and no sound" in mixer.first_frame().alt


@pytest.mark.parametrize(
    ("trait", "value"),
    [("shown", 4), ("said", -1), ("video_volume", 3), ("sound_volume", 101), ("sound_noise", 7), ("frame", 4)],
)
def test_state_that_does_not_exist(mixer, trait, value):
    with pytest.raises(ValueError, match=f"{trait}={value} is not at this mixer: it has 4 examples of 4 frames"):
        setattr(mixer, trait, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sound": None}, "have no sound"),
        ({"video": np.zeros((4, 8, 8, 1), np.float32)}, r"expected video \(B, T, H, W, 1\)"),
        ({"sound": np.zeros((3, SAMPLES, 1), np.float32)}, "one label each"),
        ({"video": np.zeros((4, *VIDEO), np.uint8)}, "the examples' video is uint8|The examples' video is uint8"),
        ({"sound": np.full((4, SAMPLES, 1), 2.0, np.float32)}, "expected floats in"),
        ({"label": np.array([0, 1, 2, CLASSES])}, "knows the classes 0 to 2"),
    ],
)
def test_examples_that_do_not_fit(unchecked, change, message):
    examples = {name: value for name, value in (clips() | change).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        SenseMixer(make_model(), examples)


def test_models_that_do_not_fit(unchecked):
    with pytest.raises(ValueError, match="has mask tokens for \\[\\] and queries for \\['label', 'sound', 'video'\\]"):
        SenseMixer(make_model(tokens=False), clips())
    with pytest.raises(ValueError, match="reads, hides and answers label, sound and video"):
        SenseMixer(make_byte_model(), clips())


def test_names_that_do_not_fit(unchecked):
    with pytest.raises(ValueError, match="2 class names, and this model knows 3"):
        SenseMixer(make_model(), clips(), class_names=["zero", "one"])
    mixer = SenseMixer(make_model(), clips(), class_names=["zero", "one", "two"])
    assert "the video of a zero" in mixer.first_frame().alt


def test_clips_that_are_not_there(mixer):
    with pytest.raises(ValueError, match="no video number 4"):
        mixer.mix(video=[4, 100, 0])
    with pytest.raises(ValueError, match="no smell number 0"):
        mixer.answer({"what": "clip", "sense": "smell", "channel": [0, 100, 0]})


def test_a_page_holds_what_it_offers(mixer):
    mixer.shown, mixer.said, mixer.sound_noise, mixer.video_volume = 1, 2, 75, 40
    state, answers = mixer.export()
    facts, kept = state["facts"], {key_of(ask) for ask, _ in answers}
    # The two are of one class: the page has one of another, to show one and say the other.
    assert (facts["examples"], facts["volumes"], facts["noises"]) == ([0, 1], [0, 100], [0, 100, 400])
    assert (state["shown"], state["said"], state["sound_noise"], state["video_volume"]) == (1, 0, 100, 100)
    levels = [[0, 0], [100, 0], [100, 100], [100, 400]]
    channels = [[number, *level] for number in (0, 1) for level in levels]
    assert len(kept) == len(answers) == 8 * 8 + 2 * 8
    for video in channels:
        assert key_of({"what": "clip", "sense": "video", "channel": video}) in kept
        assert all(key_of({"what": "mix", "video": video, "sound": sound}) in kept for sound in channels)
    assert mixer.export(examples=[3])[0]["shown"] == 3


@pytest.mark.parametrize("examples", [[], [4], [0, -1]])
def test_a_page_of_examples_that_are_not_there(mixer, examples):
    with pytest.raises(ValueError, match="not at this mixer, which has 0 to 3"):
        mixer.export(examples=examples)


def test_repr(mixer):
    assert repr(mixer) == "SenseMixer(4 examples of 4 frames of 8 x 8 and 800 samples)"
    assert LABELS == tuple(mixer.facts["labels"])
