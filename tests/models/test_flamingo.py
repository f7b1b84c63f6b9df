"""The whole: closed gates change nothing, text sees what was announced, what is frozen stays."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import ByteInput, ByteOutput, FrameInput
from perceiver_lab.models import Flamingo, GatedConfig, GatedLayers, Resampler, ResamplerConfig
from perceiver_lab.models.baselines import BertConfig, CausalTransformer
from perceiver_lab.ops.media import image_mask, images_so_far
from tests.drawn import drawn, normal

IMAGE = 4
RESAMPLER = ResamplerConfig(
    latent_channels=8, num_latents=3, num_layers=1, num_heads=2, head_dim=4, widening_factor=2, max_frames=2
)
GATED = GatedConfig(channels=12, media_channels=8, num_heads=2, head_dim=4, widening_factor=2)
IDS = jnp.array([[9, 4, 20, 30, 4, 40, 50], [4, 60, 4, 70, 80, 90, 0]], jnp.int32)


def language(rngs):
    config = BertConfig(channels=12, num_layers=2, num_heads=2, widening_factor=2)
    return CausalTransformer(config, input_adapter=ByteInput(8, 9, rngs=rngs), output_adapter=ByteOutput(), rngs=rngs)


ALL_FRAMES = jnp.ones((2, 2, 2), bool)


@functools.cache
def spoken():
    """The language model alone."""
    return drawn(lambda: language(nnx.Rngs(0)))


@functools.cache
def make(gate=0.0, **options):
    """With weights of NumPy, and all gates at one value. Tests do not change it."""
    rngs = nnx.Rngs(0)
    model = drawn(
        lambda: Flamingo(
            language(rngs),
            image_id=IMAGE,
            vision=FrameInput((8, 8, 3), (4, 8), rngs=rngs),
            resampler=Resampler(RESAMPLER, rngs=rngs),
            gated=GatedLayers(GATED, 2, rngs=rngs),
            **options,
        )
    )
    for layer in model.gated.layers:
        layer.attention_gate[...] = layer.mlp_gate[...] = jnp.full(1, gate)
    return model


@nnx.jit
def call(model, *given, **options):
    return model(*given, **options)


def frames(seed=0, images=2):
    return jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, (2, images, 2, 8, 8, 3)).astype(np.float32))


def test_closed_gates_leave_the_language_model():
    """Bit for bit; compiled, to rounding: two programs may be fused in two ways."""
    model = make()
    alone, shown = model(IDS), model.read(IDS, see(model, frames()))
    np.testing.assert_array_equal(np.asarray(shown).view(np.uint32), np.asarray(alone).view(np.uint32))
    np.testing.assert_allclose(call(model, IDS, frames()), call(model, IDS), atol=2e-6)
    assert np.abs(call(make(gate=0.5), IDS, frames()) - alone).max() > 1e-3


@pytest.mark.parametrize("attend", ["last", "previous"])
def test_a_token_sees_what_was_announced(attend):
    model, shown = make(gate=0.5, attend=attend), frames()
    out = call(model, IDS, shown)
    for image in range(2):
        moved = np.abs(call(model, IDS, shown.at[:, image].multiply(-1.0)) - out).max(axis=-1) > 1e-7
        for row in range(2):
            places = np.flatnonzero(np.asarray(IDS[row]) == IMAGE)
            # Later tokens also see it through the text: nothing before its marker may move, and all from there on may.
            assert not moved[row, : places[image]].any() and moved[row, places[image]]
    # What a gated layer itself lets through: with one block, only the tokens of the last image.
    attended = nnx.jit(lambda layer, *given: layer.attend(*given))
    media = see(model, shown)
    mask = np.asarray(attended(model.gated.layers[0], jnp.ones((2, 7, 12)), media, visible(attend)))
    assert (mask[0, 0] == 0).all() and (np.abs(mask[0, 1:]).max(axis=-1) > 0).all()


@nnx.jit
def see(model, shown):
    return model.see(shown)


def visible(attend):
    return image_mask(images_so_far(IDS == IMAGE), 2, attend=attend)


def test_the_last_image_only_in_one_layer():
    """The second image's tokens do not depend on the first one, but through what the text keeps."""
    model = make(gate=0.5)
    layer, text = model.gated.layers[0], normal(2, 7, 12, seed=1)
    media = see(model, frames())
    out = call(layer, text, media, mask=visible("last"))
    other = call(layer, text, media.at[:, 0].multiply(-1.0), mask=visible("last"))
    moved = np.abs(other - out).max(axis=-1) > 1e-7
    np.testing.assert_array_equal(moved, [[0, 1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0]])


def test_a_mask_of_one_s_own():
    model = make(gate=0.5)
    nothing = jnp.zeros((2, 7, 2), bool)
    blind = call(model, IDS, frames(), mask=nothing, frame_mask=ALL_FRAMES)
    np.testing.assert_array_equal(blind, call(model, IDS, frames(1), mask=nothing, frame_mask=ALL_FRAMES))
    with pytest.raises(ValueError, match="lets token 0 of text 0 see image 0, which is announced only later"):
        model.read(IDS, see(model, frames()), mask=jnp.ones((2, 7, 2), bool))
    inside = call(model, IDS, frames(), mask=jnp.ones((2, 7, 2), bool), frame_mask=ALL_FRAMES)
    np.testing.assert_allclose(inside, call(make(gate=0.5, attend="previous"), IDS, frames()), atol=1e-5)


def test_more_markers_than_images():
    with pytest.raises(ValueError, match="announces 2 images, but 1 were given"):
        make().read(IDS, see(make(), frames(images=1)))


def test_no_gradient_reaches_what_is_frozen():
    model = make(gate=0.5)

    def loss(model, shown):
        return (model(IDS, shown) ** 2).mean()

    grads = nnx.state(nnx.jit(nnx.grad(loss))(model, frames()))
    for part in ("language_model", "vision"):
        assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(grads[part])), part
    for part in ("resampler", "gated"):
        assert all(np.asarray(leaf).any() for leaf in jax.tree.leaves(grads[part])), part
    alone = nnx.state(nnx.jit(nnx.grad(lambda model: (model(IDS) ** 2).mean()))(model))
    assert all(np.asarray(leaf).any() for leaf in jax.tree.leaves(alone["language_model"]))


def test_a_longer_clip_than_in_training():
    model = make(gate=0.5)
    longer = jnp.repeat(frames(), 2, axis=2)
    with pytest.raises(ValueError, match="4 frames, but there are time embeddings for 2"):
        call(model, IDS, longer)
    shown = nnx.eval_shape(lambda model, longer: model(IDS, longer, interpolate=True), model, longer)
    assert shown.shape == (2, 7, 262)


def test_missing_frames_are_not_seen():
    model, shown, everything = make(gate=0.5), frames(), jnp.ones((2, 7, 2), bool)
    frame_mask = jnp.asarray([[[True, False], [True, True]]] * 2)
    out = call(model, IDS, shown, mask=everything, frame_mask=frame_mask)
    changed = shown.at[:, 0, 1].set(0.5)
    np.testing.assert_array_equal(call(model, IDS, changed, mask=everything, frame_mask=frame_mask), out)
    assert np.abs(call(model, IDS, changed, mask=everything, frame_mask=ALL_FRAMES) - out).max() > 1e-4


def test_a_model_without_eyes():
    model = Flamingo(spoken(), image_id=IMAGE)
    np.testing.assert_array_equal(call(model, IDS), call(model.language_model, IDS))
    with pytest.raises(ValueError, match="This model is a language model alone"):
        model(IDS, frames())
    with pytest.raises(ValueError, match="needs vision, resampler and gated layers; without: vision, gated"):
        Flamingo(model.language_model, image_id=IMAGE, resampler=make().resampler)


def test_an_unknown_way_to_attend():
    with pytest.raises(ValueError, match="attend='next' is unknown"):
        make(attend="next")


def test_parts_of_different_widths():
    model = nnx.clone(make())
    model.gated = drawn(lambda: GatedLayers(dataclasses.replace(GATED, media_channels=7), 2, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match=r"Media must be \(B, images, tokens, 7\).*got \(2, 2, 3, 8\)"):
        call(model, IDS, frames())


def test_reading_from_left_to_right():
    """The language model alone: an answer depends on what came before, and on nothing else."""
    model = spoken()
    out = call(model, IDS)
    changed = call(model, IDS.at[0, 3].set(33))
    moved = np.abs(changed - out).max(axis=-1) > 1e-7
    np.testing.assert_array_equal(moved, [[0, 0, 0, 1, 1, 1, 1], [0] * 7])
    np.testing.assert_allclose(call(model, IDS[:, :4]), out[:, :4], atol=1e-5)
    seen = []

    def listen(model):
        return model(IDS, before=lambda number, elements: seen.append((number, elements.shape)) or elements)

    nnx.eval_shape(listen, model)
    assert seen == [(0, (2, 7, 12)), (1, (2, 7, 12))]
