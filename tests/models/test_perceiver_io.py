"""Perceiver IO: what its queries get, and what they cannot see."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import ImageInput, MultimodalInput, OneHotInput, OnlyQuery, PositionQueries
from perceiver_lab.layers import FourierPositions, record_attention
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from tests.drawn import drawn, normal

CONFIG = PerceiverConfig(num_latents=5, latent_channels=8, num_self_attends_per_block=1, num_self_heads=2)
IMAGES = normal(2, 4, 6, 3)


def make(**options):
    """With weights of NumPy."""
    return drawn(lambda: new(**options))


def new(*, output_adapter=None, input_adapter=None, **decoder):
    rngs = nnx.Rngs(0)
    queries = PositionQueries(FourierPositions((3, 4), num_bands=2))
    built = Decoder(queries, 8, **{"output_channels": 7, "rngs": rngs, **decoder})
    adapter = ImageInput((4, 6, 3), num_bands=2) if input_adapter is None else input_adapter(rngs)
    return PerceiverIO(CONFIG, input_adapter=adapter, decoder=built, output_adapter=output_adapter, rngs=rngs)


@pytest.fixture(scope="module")
def model():
    return make()


@nnx.jit(static_argnames="train")
def call(model, x, **options):
    return model(x, **options)


@nnx.jit
def encode(model, inputs, mask=None):
    return model.encode(inputs, mask=mask)


@nnx.jit
def decode(model, latents, **options):
    return model.decode(latents, **options)


LATENTS = normal(2, 5, 8, seed=1)


def largest(one, other):
    return np.abs(np.asarray(one) - np.asarray(other)).max()


def test_one_output_per_query(model):
    outputs = np.asarray(call(model, IMAGES))
    assert outputs.shape == (2, 12, 7)
    assert outputs.std(axis=1).min() > 0


def test_the_call_is_its_steps(model):
    @nnx.jit
    def steps(model, x):
        latents = model.encode(model.embed(x))
        some = model.decode(latents, queries=model.decoder.queries(latents)[:, 3:4])
        return model.decode(latents), some, model(x)

    whole, some, called = (np.asarray(part) for part in steps(model, IMAGES))
    np.testing.assert_allclose(whole, called, atol=1e-6)
    np.testing.assert_allclose(some, called[:, 3:4], atol=1e-6)


def test_outputs_can_be_asked_for_one_at_a_time(model):
    cells = np.array([11, 5])
    np.testing.assert_allclose(call(model, IMAGES, cells=jnp.asarray(cells)), call(model, IMAGES)[:, cells], atol=1e-6)


def test_queries_that_are_the_same_for_every_example_are_made_once(model, monkeypatch):
    expected, asked, decode = np.asarray(call(model, IMAGES)), [], type(model.decoder).__call__
    some, each = np.array([3, 1]), np.array([[3, 1], [0, 2]])
    np.testing.assert_allclose(call(model, IMAGES, cells=jnp.asarray(some)), expected[:, some], atol=1e-6)
    found = call(model, IMAGES, cells=jnp.asarray(each))
    np.testing.assert_allclose(found[1], expected[1, each[1]], atol=1e-6)

    def spy(decoder, latents, queries, **masks):
        asked.append(len(queries))
        return decode(decoder, latents, queries, **masks)

    monkeypatch.setattr(type(model.decoder), "__call__", spy)
    for options in ({"cells": jnp.asarray(some)}, {"cells": jnp.asarray(each)}, {}):
        nnx.eval_shape(lambda model, x, options: model(x, **options), model, IMAGES, options)
    assert asked == [1, 2, 1]


def test_a_masked_query_gives_one_constant_and_leaves_the_others_alone(model):
    mask = np.ones((2, 12), bool)
    mask[:, 4] = mask[1, 9] = False
    outputs = np.asarray(call(model, IMAGES, query_mask=jnp.asarray(mask)))
    unmasked = np.asarray(call(model, IMAGES))
    np.testing.assert_allclose(outputs[mask], unmasked[mask], atol=1e-6)
    np.testing.assert_allclose(outputs[~mask], np.broadcast_to(outputs[0, 4], (3, 7)), atol=1e-6)
    assert np.abs(outputs - unmasked)[0, 4].max() > 1e-3


def test_a_latent_that_is_off_leaves_no_trace(model):
    on = jnp.ones((2, 5), bool).at[:, 2].set(False)
    valid = jnp.ones((2, 12), bool).at[:, 0].set(False)
    for query_mask in (None, valid):
        outputs = decode(model, LATENTS, latent_mask=on, query_mask=query_mask)
        changed = decode(model, LATENTS.at[:, 2].add(9.0), latent_mask=on, query_mask=query_mask)
        np.testing.assert_allclose(outputs, changed, atol=1e-6)


def test_padding_changes_no_output(model):
    inputs = model.embed(IMAGES)
    padded = jnp.asarray(np.pad(inputs, [(0, 0), (0, 5), (0, 0)], constant_values=7.0))
    mask = jnp.asarray(np.broadcast_to(np.arange(padded.shape[1]) < inputs.shape[1], padded.shape[:2]))
    np.testing.assert_allclose(encode(model, padded, mask), encode(model, inputs), atol=1e-5)


def test_without_projection_outputs_are_as_wide_as_the_queries():
    model = make(output_channels=None)
    assert nnx.eval_shape(lambda model: model(IMAGES), model).shape == (2, 12, model.decoder.queries.num_channels)
    assert model.decoder.num_channels == model.decoder.queries.num_channels


def test_the_query_residual_is_left_out_unless_asked_for(model):
    with_residual, without = nnx.clone(model), model
    with_residual.decoder = make(use_query_residual=True).decoder
    nnx.update(with_residual.decoder, nnx.state(without.decoder))  # the same weights
    assert largest(decode(with_residual, LATENTS), decode(without, LATENTS)) > 1e-3


def test_an_output_adapter_takes_the_only_query():
    model = make(output_adapter=OnlyQuery())
    assert nnx.eval_shape(lambda model: model(IMAGES, cells=jnp.array([3])), model).shape == (2, 7)


def test_attention_is_recorded_as_decode(model):
    recorded = []

    def look(model):
        with record_attention() as maps:
            model(IMAGES)
        recorded.extend(maps)

    nnx.eval_shape(look, model)
    assert [entry.name for entry in recorded] == ["read 0", "block 0 layer 0", "decode"]
    assert recorded[-1].weights.shape == (2, 1, 12, 5)


def test_masked_and_dropped_modalities_get_their_random_numbers():
    def modalities(rngs):
        adapters = {"image": ImageInput((4, 6, 3), num_bands=2), "label": OneHotInput(4)}
        return MultimodalInput(adapters, mask_rates={"image": 0.5}, drop_rates={"image": 0.5}, rngs=rngs)

    model = make(input_adapter=modalities)
    batch = {"image": IMAGES, "label": jnp.eye(4)[:2]}
    one, same, other = (call(model, batch, rngs=nnx.Rngs(mask=seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert largest(one, other) > 0
    assert call(model, batch, train=True, rngs=nnx.Rngs(mask=0, modality=1)).shape == (2, 12, 7)
    with pytest.raises(ValueError, match="masked at random, with rate 0.5"):
        call(model, batch)


def test_dropping_without_random_numbers_is_named():
    def modalities(rngs):
        return MultimodalInput({"label": OneHotInput(4)}, drop_rates={"label": 0.5}, rngs=rngs)

    with pytest.raises(ValueError, match=r"drops modalities at random, at rates \(0.5,\)"):
        call(make(input_adapter=modalities), {"label": jnp.eye(4)}, train=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latents": jnp.zeros((2, 5, 9))}, "latents must be .* D = 8; got shape"),
        ({"queries": jnp.zeros((2, 3, 4))}, "queries must be .* E = 10; got shape"),
        ({"queries": jnp.zeros((3, 3, 10))}, "B = 2, the latents' batch size"),
        ({"query_mask": jnp.ones((2, 4), bool)}, r"query_mask must be a bool array of shape \(B, O\) = \(2, 3\)"),
        ({"query_mask": jnp.ones((2, 3))}, "query_mask must be a bool array"),
        ({"latent_mask": jnp.ones((2, 3), bool)}, r"latent_mask must be a bool array of shape \(B, N\) = \(2, 5\)"),
    ],
)
def test_what_does_not_fit_is_named(model, arguments, message):
    given = {"latents": jnp.zeros((2, 5, 8)), "queries": jnp.zeros((2, 3, 10)), **arguments}
    with pytest.raises(ValueError, match=message):
        model.decoder(given.pop("latents"), given.pop("queries"), **given)


def test_a_decoder_for_other_latents_is_named():
    rngs = nnx.Rngs(0)
    decoder = Decoder(PositionQueries(FourierPositions((2,), num_bands=1)), 12, output_channels=3, rngs=rngs)
    with pytest.raises(ValueError, match="reads latents of 12 channels, but latent_channels is 8"):
        PerceiverIO(CONFIG, input_adapter=ImageInput((4, 6, 3), num_bands=2), decoder=decoder, rngs=rngs)


def test_more_heads_than_divide_the_width_are_named():
    with pytest.raises(ValueError, match="num_heads=3 does not divide qk_channels=8"):
        make(num_heads=3)


def test_outputs_can_start_from_zero(model):
    beginner = nnx.clone(model)
    beginner.decoder.output = nnx.jit(lambda: new(zero_output=True).decoder.output)()
    np.testing.assert_array_equal(call(beginner, IMAGES), 0.0)
