"""Perceiver IO asked in every way: cells, positions, groups, chunks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab import adapters
from perceiver_lab.layers import FourierPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from perceiver_lab.ops import grid_coordinates
from tests.drawn import drawn, normal
from tests.models.askable import (
    BATCH,
    CONFIG,
    IMAGES,
    bytes_in_and_out,
    flow,
    image_input,
    several,
    with_features,
    zooming,
)


@nnx.jit
def ask(model, x, **asked):
    return model(x, **asked)


@nnx.jit
def begin(model, x):
    """The inputs, and what the encoder makes of them."""
    inputs = model.embed(x)
    return inputs, model.encode(inputs)


@nnx.jit
def decode(model, latents, **asked):
    return model.decode(latents, **asked)


@nnx.jit(static_argnames="num_chunks")
def decode_in_chunks(model, latents, num_chunks, **asked):
    return model.decode_in_chunks(latents, num_chunks=num_chunks, **asked)


def test_encode_is_read_and_process():
    @nnx.jit
    def both(model, x):
        inputs = model.embed(x)
        return model.process(model.read(inputs)), model.encode(inputs)

    steps, whole = both(zooming(), IMAGES)
    np.testing.assert_allclose(steps, whole, atol=1e-6)


def test_outputs_are_on_their_grid_and_a_selection_of_them_is_a_list():
    model = zooming()
    whole = np.asarray(ask(model, IMAGES))
    assert whole.shape == (2, 5, 7, 3)
    cells = np.array([[34, 0], [8, 8]])
    found = ask(model, IMAGES, cells=jnp.asarray(cells))
    np.testing.assert_allclose(found[1], whole.reshape(2, 35, 3)[1, cells[1]], atol=1e-5)
    with pytest.raises(ValueError, match="cells from 0 to 35 were asked for, but there are 35"):
        model.decode(jnp.zeros((2, 5, 8)), cells=jnp.array([0, 35]))


def test_any_position_can_be_asked_for():
    model = zooming()
    grid = jnp.broadcast_to(grid_coordinates((5, 7))[None], (2, 35, 2))
    whole = np.asarray(ask(model, IMAGES)).reshape(2, 35, 3)
    np.testing.assert_allclose(ask(model, IMAGES, query_positions=grid), whole, atol=1e-5)
    fine = jnp.broadcast_to(grid_coordinates((10, 11))[None], (2, 110, 2))
    found = nnx.eval_shape(lambda model, x, fine: model(x, query_positions=fine), model, IMAGES, fine)
    assert found.shape == (2, 110, 3)


def test_inputs_as_queries_whole_and_in_part():
    model = flow()
    inputs, latents = begin(model, IMAGES)
    whole = np.asarray(ask(model, IMAGES))
    assert whole.shape == (2, 4, 6, 2)
    cells = np.array([3, 20])
    found = ask(model, IMAGES, cells=jnp.asarray(cells))
    np.testing.assert_allclose(found, whole.reshape(2, 24, 2)[:, cells], atol=1e-5)
    np.testing.assert_allclose(decode(model, latents, inputs=inputs), whole, atol=1e-5)
    with pytest.raises(ValueError, match="queries of this model are its inputs: give them to the decoder too"):
        model.decode(latents)


def test_groups_have_outputs_by_name():
    model = several()
    outputs = jax.tree.map(np.asarray, ask(model, BATCH))
    assert {name: array.shape for name, array in outputs.items()} == {
        "audio": (2, 12),
        "class": (2, 9),
        "image": (2, 4, 6, 3),
    }
    cells = {"image": jnp.array([5, 1]), "audio": jnp.array([[4], [0]])}
    part = ask(model, BATCH, cells=cells)
    np.testing.assert_allclose(part["image"], outputs["image"].reshape(2, 24, 3)[:, [5, 1]], atol=1e-5)
    np.testing.assert_allclose(part["audio"][0], outputs["audio"][0, 8:10], atol=1e-5)
    np.testing.assert_allclose(part["class"], outputs["class"], atol=1e-5)
    only = ask(model, BATCH, cells={"image": jnp.zeros(0, int), "audio": jnp.zeros(0, int)})
    assert list(only) == ["class"]
    np.testing.assert_allclose(only["class"], outputs["class"], atol=1e-5)


def test_ready_queries_of_several_groups_stay_decoded():
    def decode_ready(model, latents):
        return model.decode(latents, queries=model.decoder.queries(latents))

    assert nnx.eval_shape(decode_ready, several(), jnp.zeros((2, 5, 8))).shape == (2, 31, 6)


@pytest.mark.parametrize(
    ("build", "num_chunks"),
    [(zooming, 4), (flow, 4), (several, 1), (several, 4), (several, 100)],
    ids=["positions", "inputs", "groups whole", "groups", "more chunks than queries"],
)
def test_chunks_give_the_whole(build, num_chunks):
    model, x = build(), BATCH if build is several else IMAGES
    inputs, latents = begin(model, x)
    found = decode_in_chunks(model, latents, num_chunks, inputs=inputs)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5), found, ask(model, x))


def test_chunks_of_a_selection_of_positions_and_of_masked_queries():
    model, generator = several(), np.random.default_rng(2)
    _, latents = begin(model, BATCH)
    asked = {
        "cells": {"audio": jnp.array([[5, 0, 2], [1, 1, 4]])},
        "positions": {"image": jnp.asarray(generator.uniform(-1, 1, (2, 7, 2)).astype(np.float32))},
        "query_mask": jnp.asarray(generator.random((2, 3 + 1 + 7)) < 0.5),
    }
    whole, found = decode(model, latents, **asked), decode_in_chunks(model, latents, 3, **asked)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5), found, whole)
    unmasked = decode(model, latents, **asked | {"query_mask": jnp.ones((2, 11), bool)})
    assert np.abs(unmasked["image"] - whole["image"]).max() > 1e-3


def test_the_release_s_chunks_have_coordinates_of_their_own():
    model = several("release")
    latents = normal(2, 5, 8, seed=3)
    whole, found = decode(model, latents), decode_in_chunks(model, latents, 3)
    assert np.abs(whole["image"] - found["image"]).max() > 1e-3
    np.testing.assert_allclose(whole["class"], found["class"], atol=1e-5)
    cells = {"image": jnp.arange(24), "audio": jnp.arange(6)}
    selected = decode(model, latents, cells=cells)["image"]
    np.testing.assert_allclose(np.asarray(found["image"]).reshape(2, 24, 3), selected, atol=1e-5)


def test_features_are_part_of_the_queries_and_seen_once():
    model, images = nnx.clone(with_features()), normal(2, 16, 24, 3, seed=4)
    whole = np.asarray(ask(model, images))
    assert whole.shape == (2, 24, 6)
    cells = np.array([7, 2])
    np.testing.assert_allclose(ask(model, images, cells=jnp.asarray(cells)), whole[:, cells], atol=1e-5)

    @nnx.jit
    def chunk_by_chunk(model, images):
        latents, features = model.encode(model.embed(images)), model.query_features(images)
        return model.decode_in_chunks(latents, features=features, num_chunks=5)

    np.testing.assert_allclose(chunk_by_chunk(model, images), whole, atol=1e-5)
    nnx.jit(lambda model, images: model(images, train=True))(model, images)
    assert model.input_adapter.feature_layer.downsample.norms[0].steps[...] == 1
    with pytest.raises(ValueError, match="These queries take features"):
        model.decode(jnp.zeros((2, 5, 8)))


def test_groups_can_have_features():
    def build():
        rngs = nnx.Rngs(0)
        inputs = adapters.MultimodalInput({"image": image_input()}, rngs=rngs)
        seen = adapters.PositionQueries(FourierPositions((4, 6), num_bands=1), feature_channels=3)
        queries = adapters.MultimodalQueries({"image": seen}, rngs=rngs)
        decoder = Decoder(queries, 8, output_channels=6, rngs=rngs)
        return PerceiverIO(CONFIG, input_adapter=inputs, decoder=decoder, rngs=rngs)

    model = drawn(build)
    assert nnx.eval_shape(lambda model, x: model(x), model, {"image": IMAGES}).shape == (2, 24, 6)
    np.testing.assert_array_equal(model.query_features({"image": IMAGES})["image"], IMAGES.reshape(2, 24, 3))


@given(st.integers(1, 5), st.integers(0, 2**31))
@settings(max_examples=6)
def test_padding_of_bytes_changes_no_valid_output(valid, seed):
    model = bytes_in_and_out()
    ids = np.random.default_rng(seed).integers(20, size=(2, 6), dtype=np.int32)
    mask = np.broadcast_to(np.arange(6) < valid, (2, 6))
    masks = {"mask": jnp.asarray(mask), "query_mask": jnp.asarray(mask)}
    found = np.asarray(ask(model, jnp.asarray(ids), **masks))
    other = np.asarray(ask(model, jnp.asarray(np.where(mask, ids, 19 - ids)), **masks))
    np.testing.assert_allclose(found[:, :valid], other[:, :valid], atol=1e-5)
    np.testing.assert_allclose(found[:, valid:], np.broadcast_to(found[:1, -1:], (2, 6 - valid, 20)), atol=1e-5)


def test_decoding_in_chunks_takes_the_memory_of_one():
    """50,176 pixels in 16 chunks: at most 1.2 times what one chunk takes, and the picture itself."""

    def build():
        rngs = nnx.Rngs(0)
        queries = adapters.PositionQueries(FourierPositions((224, 224), num_bands=64))
        config = PerceiverConfig(num_latents=64, latent_channels=64, num_self_attends_per_block=1)
        decoder = Decoder(queries, 64, output_channels=16, rngs=rngs)
        output = adapters.LinearOutput(16, 3, grid=(224, 224), rngs=rngs)
        return PerceiverIO(config, input_adapter=image_input(), decoder=decoder, output_adapter=output, rngs=rngs)

    graphdef, state = nnx.split(drawn(build))
    latents = jax.ShapeDtypeStruct((1, 64, 64), jnp.float32)

    def memory(call, *arrays):
        compiled = jax.jit(lambda state, *arrays: call(nnx.merge(graphdef, state), *arrays)).lower(state, *arrays)
        analysis = compiled.compile().memory_analysis()
        return analysis.temp_size_in_bytes, analysis.output_size_in_bytes

    whole, picture = memory(lambda model, latents: model.decode_in_chunks(latents, num_chunks=16), latents)
    cells = jax.ShapeDtypeStruct((3136,), jnp.int32)
    chunk, _ = memory(lambda model, latents, cells: model.decode(latents, cells=cells), latents, cells)
    everything, _ = memory(lambda model, latents: model.decode(latents), latents)
    assert picture >= 50_176 * 3 * 4
    assert whole <= 1.2 * chunk + picture
    assert everything > 8 * chunk


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model, latents: model.decode_in_chunks(latents, num_chunks=0), "num_chunks=0 must be at least 1"),
        (
            lambda model, latents: model.decode_in_chunks(latents, num_chunks=2, cells=jnp.array([99])),
            "cells from 99 to 99",
        ),
        (
            lambda model, latents: model.decode_in_chunks(latents, num_chunks=2, query_mask=jnp.ones((2, 3), bool)),
            r"query_mask must be a bool array of shape \(B, O\) = \(2, 35\)",
        ),
        (
            lambda model, latents: model.decode(latents, cells=jnp.array([0]), positions=jnp.zeros((2, 1, 2))),
            "give `cells` or `positions`, not both",
        ),
    ],
)
def test_what_cannot_be_decoded_is_named(call, message):
    model = zooming()
    with pytest.raises(ValueError, match=message):
        call(model, jnp.zeros((2, 5, 8)))
