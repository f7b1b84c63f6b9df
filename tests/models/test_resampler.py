"""The resampler: the paper's formulas, what it reads, what it refuses."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.layers import record_attention
from perceiver_lab.models import Resampler, ResamplerConfig
from tests.drawn import drawn, normal

SMALL = ResamplerConfig(
    latent_channels=8, num_latents=3, num_layers=2, num_heads=2, head_dim=5, widening_factor=2, max_frames=4
)


@functools.cache
def make(**changes):
    """Weights of NumPy, so that every norm and every embedding counts. Tests do not change them."""
    return drawn(lambda: Resampler(dataclasses.replace(SMALL, **changes), rngs=nnx.Rngs(0)))


@nnx.jit
def run(model, clips, **options):
    return model(clips, **options)


def shape_of(model, *shape, **options):
    """Of what the model makes of clips of a shape."""
    return nnx.eval_shape(lambda model: model(jnp.zeros(shape), **options), model).shape


def norm64(layer, x):
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return centred / deviation * np.asarray(layer.scale[...], float) + np.asarray(layer.bias[...], float)


def by_hand(model, clip):
    """One clip (T, S, D), in float64, from the formulas of the paper."""
    kernel = lambda layer: np.asarray(layer.kernel[...], np.float64)  # noqa: E731
    x_f = (np.asarray(clip, np.float64) + np.asarray(model.times.frames.table[...])[: len(clip), None]).reshape(-1, 8)
    x = np.asarray(model.latents.table[...], np.float64)
    for layer in model.layers:
        queries = norm64(layer.latent_norm, x)
        read = np.concatenate([norm64(layer.media_norm, x_f), queries])
        q, k, v = (
            rows @ kernel(one)
            for rows, one in (
                (queries, layer.attention.query),
                (read, layer.attention.key),
                (read, layer.attention.value),
            )
        )
        heads = []
        for head in (slice(0, 5), slice(5, 10)):
            weights = np.exp(q[:, head] @ k[:, head].T / np.sqrt(5))
            heads.append(weights / weights.sum(-1, keepdims=True) @ v[:, head])
        x = x + np.concatenate(heads, axis=-1) @ kernel(layer.attention.output)
        inner = np.maximum(norm64(layer.mlp_norm, x) @ kernel(layer.mlp.expand), 0) ** 2
        x = x + inner @ kernel(layer.mlp.contract)
    return x


def test_it_computes_the_paper_s_formulas():
    model, clips = make(), normal(2, 3, 5, 8)
    found = run(model, clips)
    assert found.shape == (2, 3, 8)
    for row in range(2):
        np.testing.assert_allclose(found[row], by_hand(model, clips[row]), atol=2e-5)


def test_any_number_of_frames_gives_as_many_tokens():
    model = make()
    for frames in (1, 2, 4):
        assert shape_of(model, 2, frames, 5, 8) == (2, 3, 8)
    np.testing.assert_allclose(run(model, normal(2, 5, 8)), run(model, normal(2, 5, 8)[:, None]), atol=1e-6)


def test_several_images_of_a_text_are_read_one_by_one():
    model, clips = make(), normal(2, 3, 4, 5, 8)
    whole = run(model, clips)
    assert whole.shape == (2, 3, 3, 8)
    np.testing.assert_allclose(whole[:, 1], run(model, clips[:, 1]), atol=1e-6)


def test_frames_on_their_own():
    model = make(flatten_time=False)
    clips = normal(2, 4, 5, 8)
    tokens = run(model, clips)
    assert tokens.shape == (2, 4, 3, 8) and shape_of(model, 2, 5, 8) == (2, 1, 3, 8)
    np.testing.assert_allclose(tokens[:, :2], run(model, clips[:, :2]), atol=1e-6)
    assert shape_of(model, 2, 3, 4, 5, 8) == (2, 3, 4, 3, 8)


def test_order_is_known_by_the_time_embeddings_alone():
    clips = normal(2, 3, 5, 8)
    model = make()
    assert np.abs(run(model, clips) - run(model, clips[:, ::-1])).max() > 1e-3
    blind = make(max_frames=None)
    np.testing.assert_allclose(run(blind, clips), run(blind, clips[:, ::-1]), atol=1e-5)


def test_images_of_a_text_may_have_embeddings_too():
    model = make(max_media=3)
    clips = jnp.broadcast_to(normal(1, 1, 2, 5, 8), (1, 3, 2, 5, 8))
    tokens = run(model, clips)
    assert np.abs(tokens[:, 0] - tokens[:, 1]).max() > 1e-3
    with pytest.raises(ValueError, match=r"4 images or clips were given, but there are embeddings for 3 \(max_media\)"):
        model(normal(1, 4, 2, 5, 8))


def test_missing_frames_change_nothing():
    model = make()
    clips = normal(2, 4, 5, 8)
    mask = jnp.asarray(np.arange(4) < np.array([[2], [4]]))
    masked = run(model, clips, mask=mask)
    np.testing.assert_allclose(masked[0], run(model, clips[:, :2])[0], atol=1e-5)
    np.testing.assert_allclose(masked[1], run(model, clips)[1], atol=1e-5)
    np.testing.assert_array_equal(run(model, clips.at[0, 2:].set(9.0), mask=mask), masked)
    assert np.isfinite(run(model, clips, mask=jnp.zeros((2, 4), bool))).all()  # latents still read themselves


def test_more_frames_than_time_embeddings():
    model = make()
    with pytest.raises(ValueError, match=r"6 frames, but there are time embeddings for 4 .* with interpolate=True"):
        model(normal(1, 6, 5, 8))
    assert shape_of(model, 1, 6, 5, 8, interpolate=True) == (1, 3, 8)
    clips = normal(2, 3, 5, 8)
    spreading = nnx.jit(lambda model, clips: model(clips, interpolate=True))
    np.testing.assert_array_equal(spreading(model, clips), run(model, clips))  # nothing to spread
    spread = model.times(jnp.zeros((1, 1, 7, 1, 8)), interpolate=True)[0, 0, :, 0]
    table = np.asarray(model.times.frames())
    np.testing.assert_allclose(spread[::2], table, atol=1e-6)
    np.testing.assert_allclose(spread[1::2], (table[1:] + table[:-1]) / 2, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 5, 7), (2, 8), (2, 3, 0, 8), (1, 2, 3, 4, 5, 8)])
def test_what_it_cannot_read(shape):
    with pytest.raises(ValueError, match=r"reads images \(B, S, 8\), clips .* nothing empty; got"):
        make()(jnp.zeros(shape))


def test_another_width_goes_through_a_linear_layer():
    model = make(input_channels=6)
    assert model.projection.kernel.shape == (6, 8) and make().projection is None
    assert shape_of(model, 2, 3, 5, 6) == (2, 3, 8)
    with pytest.raises(ValueError, match=r"clips \(B, T, S, 6\)"):
        model(normal(2, 3, 5, 8))


def test_masks_of_another_shape():
    with pytest.raises(ValueError, match=r"mask must be a bool array of shape \(B, T\) or \(B, I, T\) = \(2, 3\)"):
        make()(normal(2, 3, 5, 8), mask=jnp.ones((2, 5), bool))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_latents": 0}, "num_latents=0 must be at least 1"),
        ({"max_frames": 0}, "max_frames=0 must be at least 1"),
        ({"activation": "tanh"}, "activation='tanh' is unknown"),
    ],
)
def test_sizes_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)


def test_no_linear_layer_has_a_bias():
    model = make(head_norm=True, final_norm=True)
    names = [".".join(map(str, path)) for path, _ in jax.tree_util.tree_leaves_with_path(nnx.state(model, nnx.Param))]
    biases = [name for name in names if "bias" in name]
    assert biases and all("norm" in name for name in biases)


def test_weights_are_recorded_layer_by_layer():
    names = []

    @nnx.jit
    def look(model, clips):
        with record_attention() as maps:
            model(clips)
        names.extend(one.name for one in maps)
        return maps[0].weights

    weights = look(make(), normal(2, 3, 5, 8))
    assert names == ["layer 0", "layer 1"]
    assert weights.shape == (2, 2, 3, 3 * 5 + 3)
    np.testing.assert_allclose(np.asarray(weights).sum(-1), 1, atol=1e-5)


def test_gradients_reach_everything():
    model = make(max_media=2, final_norm=True, head_norm=True, input_channels=6)
    grads = nnx.jit(nnx.grad(lambda model: (model(normal(2, 2, 4, 5, 6)) ** 3).mean()))(model)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(grads))
