"""Lesson 08: what its text claims of the data and of the shipped weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import pipeline
from perceiver_lab.datasets.moving_digits import PARTS, clips_of
from perceiver_lab.datasets.sound import RATE, SPEAKERS, spoken_digits
from perceiver_lab.introspect import attention_maps
from perceiver_lab.ops import log_mel, mel
from perceiver_lab.recipes import senses_tasks
from perceiver_lab.recipes.spoken import clip_names

pytestmark = pytest.mark.usefixtures("optimised")


def words(digit, speaker, take=0):
    """A clip's log-mel spectrogram (stretches, bands) and the frequencies on which the bands peak."""
    clips = spoken_digits()
    chosen = (clips.label == digit) & (clips.speaker == SPEAKERS.index(speaker)) & (clips.take == take)
    sound = clips.record(int(np.flatnonzero(chosen)[0]))["sound"][:, 0]
    bands = np.asarray(log_mel(jnp.asarray(sound)[None], num_bands=32, window=256, hop=80, rate=RATE))[0]
    peaks = 700 * (10 ** (np.linspace(0, float(mel(RATE / 2)), 34)[1:-1] / 2595) - 1)
    return bands, peaks


@pytest.mark.parametrize(
    ("digit", "stretches", "low", "high"),
    [(3, slice(3, 12), 1200, 1800), (3, slice(20, 32), 3000, 4000), (8, slice(0, 33), 2000, 2700)],
)
def test_the_strongest_frequency_above_1200_hz(digit, stretches, low, high):
    bands, peaks = words(digit, "jackson")
    upper = peaks > 1200
    threes = bands[stretches][:, upper].reshape(-1, 3, upper.sum()).mean(axis=1)
    found = peaks[upper][threes.argmax(axis=1)]
    assert (low < found).all() and (found < high).all()


def test_numbers_of_clips():
    counts = [len(clips_of(spoken_digits(), part)) for part in PARTS]
    assert counts == [320, 80, 100]


@functools.cache
def shipped(name):
    """A recipe, its shipped model and what is known of it."""
    recipe = recipes.get(name)
    return recipe, *recipes.load_shipped(recipe)


def test_the_reader_of_samples_has_learned_its_training_clips():
    about = shipped("spoken_waveform")[2]
    losses = [one["loss"] for one in about["history"] if "loss" in one][-20:]
    assert 0.08 < np.mean(losses) < 0.13
    assert about["metrics"]["loss"] == pytest.approx(0.68, abs=0.01)


def test_shares_of_weight_on_the_word():
    sound = jnp.asarray(next(recipes.get("spoken_mel").test_batches("ci"))["sound"])
    for name, share in (("waveform", 0.99), ("mel", 0.76)):
        _, maps = attention_maps(shipped(f"spoken_{name}")[1], sound)
        weights = dict(maps)["read 0"].mean(axis=1)
        loud = np.square(np.asarray(sound)[..., 0]).reshape(len(sound), weights.shape[-1], -1).mean(axis=-1)
        loud = loud > 0.01 * loud.max(axis=1, keepdims=True)
        assert float((weights * loud[:, None]).sum(axis=-1).mean()) == pytest.approx(share, abs=0.006)


@pytest.fixture(scope="module")
def asked():
    """200 test pairs, the number of another digit's pair for each, and a function from senses to probabilities."""
    recipe, model, _ = shipped("senses_autoencoder")
    pairs = next(
        pipeline(
            recipe.data.name,
            split="test[:200]",
            batch_size=200,
            transforms=recipe.data.test_transforms,
            repeat=False,
            shuffle=False,
        )
    )
    rng, labels = np.random.default_rng(8), pairs["label"]
    others = np.array([rng.choice(np.flatnonzero(labels != label)) for label in labels])
    nothing = {name: jnp.zeros(0, int) for name in ("sound", "video")}

    @nnx.jit
    def ask(model, x, hidden):
        return jax.nn.softmax(senses_tasks.answer(model, x, hidden=hidden, cells=nothing)["label"])

    def asking(**x):
        x, hidden = filled(pairs, x)
        hundreds = [
            ask(model, *({name: part[start : start + 100] for name, part in one.items()} for one in (x, hidden)))
            for start in range(0, len(x["sound"]), 100)
        ]
        return np.concatenate(hundreds)

    return pairs, others, asking


def filled(pairs, x):
    """The same senses with those that are missing hidden: to the model the same, and one program for all of them."""
    length = len(next(iter(x.values())))
    hidden = {name: np.full(length, name not in x) for name in ("sound", "video")}
    return {name: x.get(name, np.zeros_like(pairs[name][:length])) for name in hidden}, hidden


def who(asked, volume):
    """Shares of labels that were seen, heard and neither, and how sure the model is of them."""
    pairs, others, ask = asked
    chances = ask(video=pairs["video"], sound=np.float32(volume) * pairs["sound"][others])
    seen, heard = ((chances.argmax(axis=-1) == pairs["label"][those]) for those in (np.arange(200), others))
    return seen.mean(), heard.mean(), (~seen & ~heard).mean(), chances.max(axis=-1).mean()


def test_in_a_conflict_the_ear_wins_and_nothing_hesitates(asked):
    seen, heard, neither, sure = who(asked, 1.0)
    assert (seen, heard, neither) == pytest.approx((0.08, 0.785, 0.135), abs=0.07)
    assert sure == pytest.approx(0.93, abs=0.02)


def test_a_softer_voice_does_not_give_way_to_the_eye(asked):
    assert who(asked, 0.2)[::2] == pytest.approx((1 / 3, 1 / 2), abs=0.08)
    assert who(asked, 0.0)[2] == pytest.approx(3 / 4, abs=0.07)


def test_silence_and_an_empty_page_are_not_a_mask_token(asked):
    pairs, _, ask = asked
    video, sound = pairs["video"], pairs["sound"]
    right = {
        name: (ask(**x).argmax(axis=-1) == pairs["label"]).mean()
        for name, x in {
            "video": {"video": video},
            "silent": {"video": video, "sound": np.zeros_like(sound)},
            "sound": {"sound": sound},
            "empty": {"sound": sound, "video": np.full_like(video, -1)},
        }.items()
    }
    assert right["video"] > 0.87 and right["silent"] < 0.25
    assert right["sound"] > 0.93 and 0.1 < right["sound"] - right["empty"] < 0.3


def test_a_strangers_voice(asked):
    batches = shipped("senses_autoencoder")[0].override({"data.test": "test_speaker"}).test_batches("full")
    clips = {}
    for batch in batches:
        for number, name in enumerate(clip_names(batch)):
            clips.setdefault(name, (batch["sound"][number], batch["label"][number]))
    sound, label = map(np.stack, zip(*clips.values(), strict=True))
    said = asked[2](sound=sound).argmax(axis=-1)
    assert (len(label), int((said == label).sum())) == (100, 74)


def test_what_the_picture_owes_to_the_voice(asked):
    pairs = asked[0]
    model = shipped("senses_autoencoder")[1]

    @nnx.jit
    def call(model, x, hidden):
        return senses_tasks.answer(model, x, hidden=hidden, cells={"sound": jnp.zeros(0, int)})["video"]

    video, sound = pairs["video"][:50], pairs["sound"][:50]
    answers = {name: np.asarray(call(model, *filled(pairs, x))) for name, x in {
        "both": {"video": video, "sound": sound}, "video": {"video": video}, "sound": {"sound": sound},
    }.items()} | {"mean": pairs["video"].mean(axis=0)}  # fmt: skip
    psnr = {
        name: 10 * np.log10(4 / np.square(said - video).mean(axis=(1, 2, 3, 4))).mean()
        for name, said in answers.items()
    }
    assert psnr["both"] == pytest.approx(psnr["video"], abs=0.1)
    assert psnr["sound"] == pytest.approx(psnr["mean"], abs=0.2)


def test_a_late_voice_scores_worse_than_silence(asked):
    true = asked[0]["sound"][..., 0].astype(np.float64)
    power = np.square(true).mean(axis=1)
    late = np.square(np.roll(true, 8, axis=1) - true).mean(axis=1)
    assert (10 * np.log10(power / late)).mean() < -3
    assert (10 * np.log10(4 / power)).mean() == pytest.approx(24, abs=0.5)
