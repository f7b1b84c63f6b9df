"""Spoken digits: what the recipes read, and that a clip that occurs often counts once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.adapters import MultimodalInput, OneHotInput
from perceiver_lab.datasets.moving_digits import moving_digit
from perceiver_lab.datasets.sound import spoken_digits
from perceiver_lab.recipes import spoken

NAMES = ("spoken_waveform", "spoken_mel", "spoken_convnet", "spoken_video")
SMALL = {"model.num_latents": 4, "model.latent_channels": 16, "model.qk_channels": 16}


def records(count=12, video=False):
    clips, rng = spoken_digits(), np.random.default_rng(0)
    made = [clips.record(number) for number in range(0, 500, 500 // count)][:count]
    if not video:
        return made
    ink = np.zeros((28, 28), np.uint8)
    ink[6:20, 8:16] = 200
    return [{**record, "video": moving_digit(ink, rng)} for record in made]


@pytest.fixture
def with_records(monkeypatch):
    monkeypatch.setattr(recipes.Recipe, "_source", lambda self, split: records(video=self.name == "spoken_video"))


@pytest.mark.parametrize("name", NAMES)
def test_one_loss_and_what_is_measured(name, with_records):
    recipe = recipes.get(name)
    recipe = recipe if name == "spoken_convnet" else recipe.override(SMALL)
    batch = next(recipe.train_batches("ci"))
    assert batch["sound"].shape == (8, 8000, 1) and batch["sound"].dtype == np.float32
    assert np.abs(batch["sound"]).max() <= 1 and "length" not in batch
    model = recipe.make_model(nnx.Rngs(0))
    arrays = {key: jnp.asarray(value) for key, value in batch.items() if key != "record"}
    loss, report = recipe.loss(model, arrays, nnx.Rngs(0))
    assert float(loss) == pytest.approx(np.log(10), rel=1e-3)  # logits start from zero
    assert set(report) == {"accuracy"}
    numbers = recipe.metrics(model, "ci")
    assert numbers["total"] == 12 and 0 <= numbers["accuracy_low"] <= numbers["accuracy"] <= numbers["accuracy_high"]


def test_sizes():
    for name in NAMES:
        assert recipes.get(name).num_parameters() * 4 < 2 * 2**20
    waveform, mel = (recipes.get(name) for name in ("spoken_waveform", "spoken_mel"))
    assert (waveform.model, waveform.data, waveform.optimizer) == (mel.model, mel.data, mel.optimizer)
    shapes = {
        name: nnx.eval_shape(lambda name=name: recipes.get(name).make_model(nnx.Rngs(0))).input_adapter
        for name in ("spoken_waveform", "spoken_mel")
    }
    assert {name: (one.num_elements, one.num_channels) for name, one in shapes.items()} == {
        "spoken_waveform": (200, 57),
        "spoken_mel": (100, 49),
    }


@pytest.fixture(scope="module")
def with_video():
    recipe = recipes.get("spoken_video").override(SMALL)
    model = recipe.make_model(nnx.Rngs(0))
    model.output_adapter.linear.kernel[...] += jax.random.normal(jax.random.key(1), (16, 10))
    return model


def senses(count=3):
    rng = np.random.default_rng(1)
    return {
        "sound": jnp.asarray(rng.uniform(-1, 1, (count, 8000, 1)), jnp.float32),
        "video": jnp.asarray(rng.uniform(-1, 1, (count, 8, 32, 32, 1)), jnp.float32),
    }


def test_one_sense_alone_does_not_depend_on_the_other(with_video):
    batch = senses()
    said = spoken.predict_senses(with_video, batch)
    other = spoken.predict_senses(with_video, {**batch, "video": -batch["video"]})
    np.testing.assert_allclose(said["sound"], other["sound"], atol=1e-5)
    assert np.abs(said["both"] - other["both"]).max() > 1e-3
    other = spoken.predict_senses(with_video, {**batch, "sound": 0 * batch["sound"]})
    np.testing.assert_allclose(said["video"], other["video"], atol=1e-5)
    mask = spoken.only(with_video.input_adapter, "video", 3)
    assert mask.shape == (3, 612) and not mask[:, :100].any() and mask[:, 100:].all()


def test_video_is_lost_in_training_at_its_rate(with_video):
    batch = senses(200)
    kept = with_video.input_adapter.drop_mask(batch, jax.random.key(0))
    assert kept[:, :100].all()
    assert 1 - float(kept[:, 100:].mean()) == pytest.approx(0.3, abs=0.08)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (lambda: {"sound": senses()["sound"]}, r"reads the modalities .* got \['sound'\]. .* no mask tokens"),
        (lambda: {**senses(), "smell": jnp.zeros((3, 2))}, r"got \['smell', 'sound', 'video'\]. It knows no others"),
        (lambda: {**senses(), "sound": jnp.zeros((3, 4000, 1))}, r"reads batches \(B, 8000, 1\).*\(3, 4000, 1\)"),
        (lambda: {**senses(), "sound": jnp.zeros((3, 8000, 2))}, r"reads batches \(B, 8000, 1\).*\(3, 8000, 2\)"),
        (lambda: {**senses(), "video": jnp.zeros((3, 8, 48, 48, 1))}, r"reads batches \(B, 8, 32, 32, 1\).*48, 48"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(x, message, with_video):
    with pytest.raises(ValueError, match=message):
        with_video(x())


class Echo(nnx.Module):
    """Says what the first sample of the sound, or the first pixel of the video, says."""

    def __init__(self):
        parts = {"sound": OneHotInput(1), "video": OneHotInput(1)}  # one element each
        self.input_adapter = MultimodalInput(parts, rngs=nnx.Rngs(0))

    def __call__(self, x, *, mask=None, train=False, rngs=None):
        sound, video = x["sound"][:, 0, 0], x["video"][:, 0, 0, 0, 0]
        said = video if mask is None else jnp.where(mask[:, 0], sound, video)
        return jax.nn.one_hot(said.astype(int), 10)


def test_each_clip_counts_once_for_sound_alone():
    """Nine records of one clip that is heard rightly and one of a clip that is not: a half, not 0.9."""
    label = np.array([3] * 9 + [4])
    batch = {
        "sound": np.full((10, 8000, 1), 3.0, np.float32), "video": np.zeros((10, 8, 32, 32, 1), np.float32),
        "label": label, "speaker": np.zeros(10, int), "take": np.ones(10, int),
    }  # fmt: skip
    batch["video"][:, 0, 0, 0, 0] = label
    numbers = spoken.measure_senses(Echo(), [batch])
    assert numbers["accuracy"] == numbers["video_accuracy"] == 1.0
    assert (numbers["sound_accuracy"], numbers["sound_total"], numbers["total"]) == (0.5, 2, 10)
    assert len(set(spoken.clip_names({"speaker": np.arange(5), "label": np.arange(5), "take": np.arange(5)}))) == 5
