"""Perceiver IO asked in every way: cells, positions, groups, chunks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab import adapters
from perceiver_lab.layers import FourierPositions, LearnedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from perceiver_lab.ops import grid_coordinates

CONFIG = PerceiverConfig(num_latents=5, latent_channels=8, num_self_attends_per_block=1, num_self_heads=2)
IMAGES = jax.random.normal(jax.random.key(0), (2, 4, 6, 3))
SOUND = jax.random.normal(jax.random.key(1), (2, 12, 1))


def image_input():
    return adapters.ImageInput((4, 6, 3), num_bands=2)


def zooming():
    """Reads an image and paints one of 5 x 7."""
    rngs = nnx.Rngs(0)
    queries = adapters.PositionQueries(FourierPositions((5, 7), num_bands=2))
    output = adapters.LinearOutput(6, 3, grid=(5, 7), rngs=rngs)
    decoder = Decoder(queries, 8, output_channels=6, rngs=rngs)
    return PerceiverIO(CONFIG, input_adapter=image_input(), decoder=decoder, output_adapter=output, rngs=rngs)


def flow():
    """Answers at its inputs, which are its queries."""
    rngs = nnx.Rngs(0)
    inputs = image_input()
    decoder = Decoder(adapters.InputQueries(inputs.num_channels), 8, output_channels=2, rngs=rngs)
    return PerceiverIO(
        CONFIG, input_adapter=inputs, decoder=decoder, output_adapter=adapters.FlowOutput((4, 6)), rngs=rngs
    )


def several(subsampling="grid"):
    """Reads an image and a sound, reconstructs both and says a class."""
    rngs = nnx.Rngs(0)

    def asked(positions):
        return adapters.PositionQueries(positions, subsampling=subsampling)

    made = adapters.multimodal_adapters(
        [
            adapters.Modality(
                name="image",
                input_adapter=image_input(),
                queries=asked(FourierPositions((4, 6), num_bands=2)),
                output_adapter=adapters.LinearOutput(6, 3, grid=(4, 6), rngs=rngs),
            ),
            adapters.Modality(
                name="audio",
                input_adapter=adapters.GridInput(
                    adapters.AudioPatches(12, samples_per_patch=2), FourierPositions((6,), num_bands=2)
                ),
                queries=asked(FourierPositions((6,), num_bands=3)),
                output_adapter=adapters.AudioOutput(6, 2, rngs=rngs),
            ),
            adapters.Modality(
                name="class",
                queries=asked(LearnedPositions((1,), 4, rngs=rngs)),
                output_adapter=adapters.LinearOutput(6, 9, only_query=True, rngs=rngs),
            ),
        ],
        rngs=rngs,
    )
    decoder = Decoder(made.queries, 8, output_channels=6, rngs=rngs)
    return PerceiverIO(
        CONFIG, input_adapter=made.input_adapter, decoder=decoder, output_adapter=made.output_adapter, rngs=rngs
    )


BATCH = {"image": IMAGES, "audio": SOUND}


def with_features():
    """Queries of position and of what was seen there, through a batch norm."""
    rngs = nnx.Rngs(0)
    features = adapters.Convolutions((16, 24, 3), channels=3, rngs=rngs)
    inputs = adapters.GridInput(features, FourierPositions(features.grid, num_bands=2))
    queries = adapters.PositionQueries(FourierPositions(features.grid, num_bands=2), feature_channels=3)
    return PerceiverIO(
        CONFIG, input_adapter=inputs, decoder=Decoder(queries, 8, output_channels=6, rngs=rngs), rngs=rngs
    )


def test_encode_is_read_and_process():
    model = zooming()
    inputs = model.embed(IMAGES)
    np.testing.assert_allclose(model.process(model.read(inputs)), model.encode(inputs), atol=1e-6)


def test_outputs_are_on_their_grid_and_a_selection_of_them_is_a_list():
    model = zooming()
    whole = model(IMAGES)
    assert whole.shape == (2, 5, 7, 3)
    cells = jnp.array([[34, 0], [8, 8]])
    found = model(IMAGES, cells=cells)
    np.testing.assert_allclose(found[1], whole.reshape(2, 35, 3)[1, cells[1]], atol=1e-5)
    with pytest.raises(ValueError, match="cells from 0 to 35 were asked for, but there are 35"):
        model(IMAGES, cells=jnp.array([0, 35]))


def test_any_position_can_be_asked_for():
    model = zooming()
    grid = jnp.broadcast_to(grid_coordinates((5, 7))[None], (2, 35, 2))
    np.testing.assert_allclose(model(IMAGES, query_positions=grid), model(IMAGES).reshape(2, 35, 3), atol=1e-5)
    fine = jnp.broadcast_to(grid_coordinates((10, 11))[None], (2, 110, 2))
    assert model(IMAGES, query_positions=fine).shape == (2, 110, 3)


def test_inputs_as_queries_whole_and_in_part():
    model = flow()
    whole = model(IMAGES)
    assert whole.shape == (2, 4, 6, 2)
    cells = jnp.array([3, 20])
    np.testing.assert_allclose(model(IMAGES, cells=cells), whole.reshape(2, 24, 2)[:, cells], atol=1e-5)
    latents = model.encode(model.embed(IMAGES))
    np.testing.assert_allclose(model.decode(latents, inputs=model.embed(IMAGES)), whole, atol=1e-5)
    with pytest.raises(ValueError, match="queries of this model are its inputs: give them to the decoder too"):
        model.decode(latents)


def test_groups_have_outputs_by_name():
    model = several()
    outputs = model(BATCH)
    assert {name: array.shape for name, array in outputs.items()} == {
        "audio": (2, 12),
        "class": (2, 9),
        "image": (2, 4, 6, 3),
    }
    cells = {"image": jnp.array([5, 1]), "audio": jnp.array([[4], [0]])}
    part = model(BATCH, cells=cells)
    np.testing.assert_allclose(part["image"], outputs["image"].reshape(2, 24, 3)[:, cells["image"]], atol=1e-5)
    np.testing.assert_allclose(part["audio"][0], outputs["audio"][0, 8:10], atol=1e-5)
    np.testing.assert_allclose(part["class"], outputs["class"], atol=1e-5)
    only = model(BATCH, cells={"image": jnp.zeros(0, int), "audio": jnp.zeros(0, int)})
    assert list(only) == ["class"]
    np.testing.assert_allclose(only["class"], outputs["class"], atol=1e-5)


def test_ready_queries_of_several_groups_stay_decoded():
    model = several()
    latents = model.encode(model.embed(BATCH))
    assert model.decode(latents, queries=model.decoder.queries(latents)).shape == (2, 31, 6)


@pytest.mark.parametrize("build", [zooming, flow, several], ids=["positions", "inputs", "groups"])
@pytest.mark.parametrize("num_chunks", [1, 4, 100])
def test_chunks_give_the_whole(build, num_chunks):
    model = build()
    inputs = model.embed(BATCH if build is several else IMAGES)
    latents = model.encode(inputs)
    whole = model.decode(latents, inputs=inputs)
    found = model.decode_in_chunks(latents, inputs=inputs, num_chunks=num_chunks)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5), found, whole)


def test_chunks_of_a_selection_of_positions_and_of_masked_queries():
    model = several()
    latents = model.encode(model.embed(BATCH))
    asked = {
        "cells": {"audio": jnp.array([[5, 0, 2], [1, 1, 4]])},
        "positions": {"image": jax.random.uniform(jax.random.key(2), (2, 7, 2), minval=-1)},
        "query_mask": jax.random.bernoulli(jax.random.key(3), 0.5, (2, 3 + 1 + 7)),
    }
    whole, found = model.decode(latents, **asked), model.decode_in_chunks(latents, num_chunks=3, **asked)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5), found, whole)
    unmasked = model.decode(latents, cells=asked["cells"], positions=asked["positions"])
    assert float(jnp.abs(unmasked["image"] - whole["image"]).max()) > 1e-3


def test_the_release_s_chunks_have_coordinates_of_their_own():
    model = several("release")
    latents = model.encode(model.embed(BATCH))
    whole, found = model.decode(latents), model.decode_in_chunks(latents, num_chunks=3)
    assert float(jnp.abs(whole["image"] - found["image"]).max()) > 1e-3
    np.testing.assert_allclose(whole["class"], found["class"], atol=1e-5)
    cells = {"image": jnp.arange(24), "audio": jnp.arange(6)}
    np.testing.assert_allclose(found["image"].reshape(2, 24, 3), model.decode(latents, cells=cells)["image"], atol=1e-5)


def test_features_are_part_of_the_queries_and_seen_once():
    model, images = with_features(), jax.random.normal(jax.random.key(4), (2, 16, 24, 3))
    whole = model(images)
    assert whole.shape == (2, 24, 6)
    np.testing.assert_allclose(model(images, cells=jnp.array([7, 2])), whole[:, jnp.array([7, 2])], atol=1e-5)
    inputs, features = model.embed(images), model.query_features(images)
    found = model.decode_in_chunks(model.encode(inputs), features=features, num_chunks=5)
    np.testing.assert_allclose(found, whole, atol=1e-5)
    model(images, train=True)
    assert model.input_adapter.feature_layer.downsample.norms[0].steps[...] == 1
    with pytest.raises(ValueError, match="These queries take features"):
        model.decode(model.encode(inputs))


def test_groups_can_have_features():
    rngs = nnx.Rngs(0)
    inputs = adapters.MultimodalInput({"image": image_input()}, rngs=rngs)
    seen = adapters.PositionQueries(FourierPositions((4, 6), num_bands=1), feature_channels=3)
    queries = adapters.MultimodalQueries({"image": seen}, rngs=rngs)
    decoder = Decoder(queries, 8, output_channels=6, rngs=rngs)
    model = PerceiverIO(CONFIG, input_adapter=inputs, decoder=decoder, rngs=rngs)
    assert model({"image": IMAGES}).shape == (2, 24, 6)
    np.testing.assert_array_equal(model.query_features({"image": IMAGES})["image"], IMAGES.reshape(2, 24, 3))


@given(st.integers(1, 5), st.integers(0, 2**31))
@settings(max_examples=6)
def test_padding_of_bytes_changes_no_valid_output(valid, seed):
    rngs = nnx.Rngs(0)
    decoder = Decoder(
        adapters.PositionQueries(LearnedPositions((6,), 8, rngs=rngs)), 8, output_channels=None, rngs=rngs
    )
    inputs = adapters.ByteInput(8, 6, vocabulary=20, rngs=rngs)
    model = PerceiverIO(
        CONFIG, input_adapter=inputs, decoder=decoder, output_adapter=adapters.ByteOutput(20), rngs=rngs
    )
    ids = jax.random.randint(jax.random.key(seed), (2, 6), 0, 20)
    mask = jnp.broadcast_to(jnp.arange(6)[None] < valid, (2, 6))
    found = model(ids, mask=mask, query_mask=mask)
    other = model(jnp.where(mask, ids, 19 - ids), mask=mask, query_mask=mask)
    np.testing.assert_allclose(found[:, :valid], other[:, :valid], atol=1e-5)
    np.testing.assert_allclose(found[:, valid:], jnp.broadcast_to(found[:1, -1:], (2, 6 - valid, 20)), atol=1e-5)


def test_decoding_in_chunks_takes_the_memory_of_one():
    """50,176 pixels in 16 chunks: at most 1.2 times what one chunk takes, and the picture itself."""
    rngs = nnx.Rngs(0)
    queries = adapters.PositionQueries(FourierPositions((224, 224), num_bands=64))
    config = PerceiverConfig(num_latents=64, latent_channels=64, num_self_attends_per_block=1)
    decoder = Decoder(queries, 64, output_channels=16, rngs=rngs)
    output = adapters.LinearOutput(16, 3, grid=(224, 224), rngs=rngs)
    model = PerceiverIO(config, input_adapter=image_input(), decoder=decoder, output_adapter=output, rngs=rngs)
    graphdef, state = nnx.split(model)
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
