"""Gated cross-attention: nothing at first, then what the mask allows."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.layers import record_attention
from perceiver_lab.models import GatedConfig, GatedCrossAttention, GatedLayers
from tests.drawn import drawn, normal

SMALL = GatedConfig(channels=8, media_channels=6, num_heads=2, head_dim=5, widening_factor=2)
IDEFICS = {"norm": "rms", "head_norm": True, "gated_mlp_channels": 12, "activation": "silu", "vector_gates": True,
           "media_norm": False}  # fmt: skip


@functools.cache
def new(idefics=False):
    """As users get it."""
    return GatedCrossAttention(dataclasses.replace(SMALL, **IDEFICS if idefics else {}), rngs=nnx.Rngs(0))


@functools.cache
def make(gate=0.5, **changes):
    """Weights of NumPy and gates that are open. Tests do not change it."""
    layer = drawn(lambda: GatedCrossAttention(dataclasses.replace(SMALL, **changes), rngs=nnx.Rngs(0)))
    layer.attention_gate[...] = jnp.full(layer.attention_gate.shape, gate)
    layer.mlp_gate[...] = jnp.full(layer.mlp_gate.shape, -gate)
    return layer


@nnx.jit
def run(layer, text, media, **options):
    return layer(text, media, **options)


TEXT, MEDIA = normal(2, 5, 8), normal(2, 3, 4, 6, seed=1)
SOME = jnp.asarray(np.random.default_rng(2).random((2, 5, 3)) < 0.5).at[0, 0].set(False).at[1, 1].set(True)


@pytest.mark.parametrize("idefics", [False, True])
def test_closed_gates_change_no_bit(idefics):
    layer = new(idefics)
    assert not np.asarray(layer.attention_gate[...]).any() and not np.asarray(layer.mlp_gate[...]).any()
    np.testing.assert_array_equal(run(layer, TEXT, MEDIA, mask=SOME), TEXT)


@pytest.mark.parametrize("idefics", [False, True])
def test_at_first_only_the_gates_have_gradients(idefics):
    grads = nnx.state(nnx.jit(nnx.grad(lambda layer: (layer(TEXT, MEDIA) ** 3).sum()))(new(idefics)))
    found = {name: max(np.abs(leaf).max() for leaf in jax.tree.leaves(part)) for name, part in grads.items()}
    assert {name for name, largest in found.items() if largest > 0} == {"attention_gate", "mlp_gate"}


def test_it_is_what_it_says():
    @nnx.jit
    def by_hand(layer):
        attended = layer.attention(layer.text_norm(TEXT), layer.media_norm(MEDIA.reshape(2, 12, 6)))
        text = TEXT + jnp.tanh(0.5) * attended
        return text + jnp.tanh(-0.5) * layer.mlp(layer.mlp_norm(text))

    np.testing.assert_allclose(run(make(), TEXT, MEDIA), by_hand(make()), atol=1e-6)


@pytest.mark.parametrize("blind", ["zero", "uniform"])
def test_only_what_may_be_seen_is_seen(blind):
    layer = make(blind=blind)
    out = run(layer, TEXT, MEDIA, mask=SOME)
    for image in range(3):
        moved = np.abs(run(layer, TEXT, MEDIA.at[:, image].multiply(-1.0), mask=SOME) - out).max(axis=-1) > 1e-7
        seen = np.asarray(SOME[..., image])
        leak = ~np.asarray(SOME).any(axis=-1) & (blind == "uniform")
        np.testing.assert_array_equal(moved, seen | leak)


def test_a_token_that_sees_nothing_gets_the_mlp_alone():
    layer = make()
    out = run(layer, TEXT, MEDIA, mask=SOME)
    mlp = nnx.jit(lambda layer: jnp.tanh(layer.mlp_gate[...])[None, None] * layer.mlp(layer.mlp_norm(TEXT)))
    alone = np.asarray(TEXT) + mlp(layer)
    np.testing.assert_allclose(out[0, 0], alone[0, 0], atol=1e-6)
    silent = run(layer, TEXT, MEDIA, reads=jnp.zeros((2, 5), bool))
    np.testing.assert_allclose(silent, alone, atol=1e-6)


def test_the_leak_is_the_average_of_all_images():
    layer = make(blind="uniform", media_norm=False)
    attention = layer.attention
    value = np.asarray(MEDIA).reshape(2, 12, 6).mean(axis=1) @ np.asarray(attention.value.kernel[...])
    average = value @ np.asarray(attention.output.kernel[...])
    none = jnp.zeros((2, 5, 3), bool)
    found = nnx.jit(lambda layer, *given: layer.attend(*given))(layer, TEXT, MEDIA, none)
    np.testing.assert_allclose(found, np.broadcast_to(average[:, None], found.shape), atol=1e-5)


def test_rms_norms_and_swiglu_are_what_they_are_called():
    layer = make(**IDEFICS)
    x = np.asarray(TEXT, np.float64)
    scale = np.asarray(layer.mlp_norm.scale[...])
    normed = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale
    call = nnx.jit(lambda part, x: part(x))
    np.testing.assert_allclose(call(layer.mlp_norm, TEXT), normed, atol=1e-5)
    kernel = {name: np.asarray(getattr(layer.mlp, name).kernel[...], float) for name in ("gate", "expand", "contract")}
    gate = normed @ kernel["gate"]
    expected = (gate / (1 + np.exp(-gate)) * (normed @ kernel["expand"])) @ kernel["contract"]
    np.testing.assert_allclose(call(layer.mlp, jnp.asarray(normed, jnp.float32)), expected, atol=1e-5)
    assert layer.attention_gate.shape == (8,) and layer.attention.query_norm.scale.shape == (5,)


def test_layers_stand_before_every_k_th_block():
    layers = drawn(lambda: GatedLayers(SMALL, 7, every=3, rngs=nnx.Rngs(0)))
    assert len(layers.layers) == 3
    for layer in layers.layers:
        layer.attention_gate[...] = jnp.ones(1)
    before = nnx.jit(lambda layers: [layers(block, TEXT, MEDIA) for block in range(7)])(layers)
    moved = [bool(np.abs(text - TEXT).max()) for text in before]
    assert moved == [True, False, False, True, False, False, True]
    names = []

    def look(layers):
        with record_attention() as maps:
            layers(3, TEXT, MEDIA)
        names.extend(one.name for one in maps)

    nnx.eval_shape(look, layers)
    assert names == ["gated 1"]
    with pytest.raises(ValueError, match="num_blocks=7 and every=0 must be at least 1"):
        GatedLayers(SMALL, 7, every=0, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("text", "media", "options", "message"),
    [
        (normal(2, 5, 7), MEDIA, {}, r"a language model of 8 channels and reads text \(B, N, 8\); got \(2, 5, 7\)"),
        (TEXT, normal(2, 3, 4, 8), {}, r"Media must be \(B, images, tokens, 6\).*B = 2; got \(2, 3, 4, 8\)"),
        (TEXT, normal(3, 3, 4, 6), {}, r"with the text's B = 2; got \(3, 3, 4, 6\)"),
        (TEXT, normal(2, 12, 6), {}, r"Media must be \(B, images, tokens, 6\)"),
        (TEXT, MEDIA, {"mask": jnp.ones((2, 5, 12), bool)}, r"mask must be .*\(B, N, images\) = \(2, 5, 3\)"),
        (TEXT, MEDIA, {"reads": jnp.ones((2, 3), bool)}, r"reads must be .*\(B, N\) = \(2, 5\)"),
    ],
)
def test_what_does_not_fit(text, media, options, message):
    with pytest.raises(ValueError, match=message):
        make()(text, media, **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head_dim": 0}, "head_dim=0 must be at least 1"),
        ({"norm": "batch"}, "norm='batch' is unknown; choose one of layer, rms"),
        ({"blind": "all"}, "blind='all' is unknown; choose one of zero, uniform"),
        ({"activation": "tanh"}, "activation='tanh' is unknown"),
    ],
)
def test_choices_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)
