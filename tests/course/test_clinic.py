"""The clinic: each sick model shows its sign to the tool that is said to find it, and the sound one does not."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.adapters import ImageInput, PositionQueries, TokenInput
from perceiver_lab.course.clinic import AILMENTS, ailing
from perceiver_lab.datasets import shipped
from perceiver_lab.introspect import ablate, attention_maps, reach
from perceiver_lab.layers import FourierPositions
from perceiver_lab.models import Decoder, PerceiverAR, PerceiverARConfig, PerceiverConfig, PerceiverIO
from perceiver_lab.ops import fourier_features, grid_coordinates
from tests.drawn import drawn


@pytest.fixture(scope="module")
def sound():
    """The shipped reader of 8 x 8 digits."""
    return recipes.load_shipped(recipes.get("digits_perceiver"))[0]


@pytest.fixture(scope="module")
def digits():
    """100 of the real ones, most of which it has learnt from: it is the sick ones that are examined."""
    images, labels = shipped.small_digits()
    return jnp.asarray(images[:100, ..., None] / 8 - 1, jnp.float32), np.asarray(labels[:100])


@nnx.jit
def say(model, x, mask=None):
    return model(x, mask=mask)


def accuracy(model, digits):
    return float((np.asarray(say(model, digits[0])).argmax(axis=-1) == digits[1]).mean())


def maps_of(model, x, **options):
    return {one.name: one.weights for one in attention_maps(model, x, **options)[1]}


def looked_at(weights):
    """How many elements a row looks at: the exponential of its entropy."""
    return np.exp(-(weights * np.log(np.maximum(weights, 1e-30))).sum(axis=-1))


def test_the_patient_is_sound_and_stays_so(sound, digits):
    assert accuracy(sound, digits) > 0.95
    before = jax.tree.map(np.asarray, nnx.state(sound))
    for name in ("positions dropped", "one-hot softmax", "dead latents", "float16 overflow"):
        ailing(name, sound)
    jax.tree.map(np.testing.assert_array_equal, before, jax.tree.map(np.asarray, nnx.state(sound)))


def test_positions_dropped(sound, digits):
    sick = ailing("positions dropped", sound)
    assert accuracy(sick, digits) < 0.5
    order = np.random.default_rng(0).permutation(64)
    shuffled = digits[0].reshape(100, 64, 1)[:, order].reshape(digits[0].shape)
    moved = {name: np.abs(say(one, digits[0]) - say(one, shuffled)).max() for name, one in
             (("sick", sick), ("sound", sound))}  # fmt: skip
    assert moved["sick"] < 1e-4 and moved["sound"] > 1


def test_one_hot_softmax(sound, digits):
    sick = ailing("one-hot softmax", sound)
    looked = {name: np.median(looked_at(maps_of(one, digits[0])["read 0"])) for name, one in
              (("sick", sick), ("sound", sound))}  # fmt: skip
    assert looked["sick"] < 1.2 and looked["sound"] > 3


def test_dead_latents(sound, digits):
    sick, few = ailing("dead latents", sound), digits[0][:8]
    alone = np.eye(16, dtype=bool)
    masks = np.concatenate([~alone, alone])
    found = {name: ablate(one, few, masks) for name, one in (("sick", sick), ("sound", sound))}
    moved = {name: np.abs(one.ablated - one.intact[None]).max() for name, one in found.items()}
    assert moved["sick"] < 1e-4 and moved["sound"] > 1
    rows = maps_of(sick, few)["read 0"]
    np.testing.assert_allclose(rows, np.broadcast_to(rows[:, :, :1], rows.shape), atol=1e-6)


def test_float16_overflow(sound, digits):
    few = digits[0][:8]
    sick, cured = (ailing("float16 overflow", sound, dtype=dtype) for dtype in ("float16", "bfloat16"))
    logits, maps = attention_maps(sick, few)
    assert not np.isfinite(logits).all()
    assert np.isfinite(maps[0].weights).all() and not np.isfinite(maps[1].weights).all()
    np.testing.assert_allclose(say(cured, few), say(sound, few), atol=0.5)
    assert (np.asarray(say(cured, few)).argmax(-1) == np.asarray(say(sound, few)).argmax(-1)).all()
    small = ailing("float16 overflow", sound, drift=0)
    assert np.isfinite(say(small, few)).all(), "the drift is what overflows"


def test_inverted_mask(sound, digits):
    sick, few = ailing("inverted mask", sound), digits[0][:8]
    np.testing.assert_allclose(say(sick, few), say(sound, few), atol=1e-5)
    mask = np.broadcast_to(np.arange(64)[None] < 48, (8, 64))
    on_valid = {name: maps_of(one, few, mask=mask)["read 0"][..., :48].sum(axis=-1) for name, one in
                (("sick", sick), ("sound", sound))}  # fmt: skip
    assert on_valid["sick"].max() == 0 and on_valid["sound"].min() > 1 - 1e-5
    changed = jnp.asarray(np.where(np.arange(8)[:, None, None] < 6, 0, few).astype(np.float32))
    np.testing.assert_array_equal(say(sick, changed, jnp.asarray(mask)), say(sick, few, jnp.asarray(mask)))


def test_wrong_band_spacing(sound, digits):
    sick = ailing("wrong band spacing", sound)
    assert accuracy(sick, digits) < accuracy(sound, digits) - 0.1
    bands = {name: np.asarray(one.input_adapter.positions()) for name, one in (("sick", sick), ("sound", sound))}
    there = fourier_features(grid_coordinates((8, 8)), num_bands=4, max_resolution=(8, 8))
    np.testing.assert_allclose(bands["sound"], there, atol=1e-6)
    same = np.abs(bands["sick"] - there).max(axis=0) < 1e-5
    # Two coordinates; then sines and cosines of both axes: frequencies 1, 2, 4, 8 against 1, 2, 3, 4. On eight pixels
    # 3 and 4 have the same sine.
    assert same.tolist() == [True] * 2 + [True, True, True, False] * 2 + [True, True, False, False] * 2
    shapes = [[leaf.shape for leaf in jax.tree.leaves(nnx.state(one, nnx.Param))] for one in (sick, sound)]
    assert shapes[0] == shapes[1]


@pytest.fixture(scope="module")
def reader():
    config = PerceiverARConfig(
        num_latents=4, latent_channels=16, max_context=10, num_self_attends=1, num_cross_heads=2, num_self_heads=2,
        rotary_fraction=1.0,
    )  # fmt: skip

    def build():
        rngs = nnx.Rngs(0)
        return PerceiverAR(config, input_adapter=TokenInput(12, 16, rngs=rngs), zero_output=False, rngs=rngs)

    return drawn(build)


@nnx.jit
def laid_out(model, tokens):
    placement = model.place(tokens)
    return placement, model.embed(tokens, placement.positions)


def test_leak_of_the_future(reader):
    tokens = jnp.asarray(np.random.default_rng(0).integers(1, 12, (2, 10)))
    leaks = {}
    for name, model in (("sick", ailing("leak of the future", reader)), ("sound", reader)):
        placement, inputs = laid_out(model, tokens)

        def answer(inputs, model=model, placement=placement):
            return model.predict(model.process(model.read(inputs, placement), placement))

        leaks[name] = reach(answer, inputs, placement.latent_index).leaks
    assert leaks["sound"] == []
    assert {(one.place, one.later) for one in leaks["sick"]} == {(6, 7), (7, 8), (8, 9)}


def test_shared_decoder_query():
    config = PerceiverConfig(num_latents=4, latent_channels=16, num_self_attends_per_block=1, num_self_heads=2)
    queries = PositionQueries(FourierPositions((4, 4), num_bands=2))

    def build():
        rngs = nnx.Rngs(0)
        decoder = Decoder(queries, 16, output_channels=1, qk_channels=16, rngs=rngs)
        return PerceiverIO(config, input_adapter=ImageInput((4, 4, 1), num_bands=2), decoder=decoder, rngs=rngs)

    model, images = drawn(build), jnp.asarray(np.random.default_rng(0).standard_normal((2, 4, 4, 1), np.float32))
    sick = ailing("shared decoder query", model)
    outputs = {name: np.asarray(say(one, images)) for name, one in (("sick", sick), ("sound", model))}
    assert np.ptp(outputs["sick"], axis=1).max() < 1e-6 < 1e-3 < np.ptp(outputs["sound"], axis=1).min()
    np.testing.assert_allclose(outputs["sick"][:, 0], outputs["sound"][:, 0], atol=1e-6)
    rows = maps_of(sick, images)["decode"]
    np.testing.assert_allclose(rows, np.broadcast_to(rows[:, :, :1], rows.shape), atol=1e-7)


def test_eight_ailments_and_their_texts(sound, reader):
    assert len(AILMENTS) == 8
    for one in AILMENTS.values():
        assert all(getattr(one, field.name) for field in dataclasses.fields(one))
    with pytest.raises(ValueError, match="The clinic knows no 'flu'; it knows 'positions dropped', "):
        ailing("flu", sound)
    with pytest.raises(ValueError, match="Perceiver cannot have 'leak of the future', for it has no reader"):
        ailing("leak of the future", sound)
    with pytest.raises(ValueError, match="PerceiverAR cannot have 'dead latents'"):
        ailing("dead latents", reader)
