"""The context ruler: what it tells of a model at every place, and its count of FLOPs against the library's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import presets, recipes
from perceiver_lab.explorers import ContextRuler
from perceiver_lab.explorers.ruler_model import middle_of, perceiver_ar_flops, transformer_flops
from perceiver_lab.introspect import attention_maps, cost

from .rulers import LENGTH, SEQUENCES, make_model, make_ruler


@pytest.fixture(scope="module")
def ruler():
    return make_ruler(place=9)


def test_what_is_said_is_what_the_model_says(ruler):
    reply, buffers = ruler.answer({"what": "read", "sequence": 1})
    tokens = SEQUENCES[1]
    assert reply["tokens"] == tokens.tolist() and set(reply["said"]) == {"1", "4"}
    places = np.array([3, 9, LENGTH - 2])
    reads = jnp.asarray(np.where(np.arange(LENGTH - 1) <= places[:, None], tokens[:-1], 0))
    for count in (1, 4):
        ask = nnx.jit(lambda model, reads, count=count: jax.nn.softmax(model(reads, num_latents=count)[:, -1]))
        for place, chances in zip(places, np.asarray(ask(make_model(), reads)), strict=True):
            told = reply["said"][str(count)][place]
            assert told["truth"] == pytest.approx(float(chances[tokens[place + 1]]), abs=1e-4)
            assert [token for token, _ in told["top"]] == np.argsort(-chances, stable=True)[:3].tolist()
    tiles = np.frombuffer(buffers[0], np.uint8).reshape(3, LENGTH - 1, LENGTH - 1)
    peaks = np.frombuffer(buffers[1], np.float32).reshape(3, LENGTH - 1)
    _, maps = attention_maps(make_model(), tokens[None, :-1])
    maps = np.concatenate([maps[0].weights[0].mean(axis=0, keepdims=True), maps[0].weights[0]])
    np.testing.assert_allclose((tiles / 255 * peaks[..., None])[:, -4:], maps, atol=3e-3)
    assert not tiles[:, *np.triu_indices(LENGTH - 1, 1)].any()


def test_state_first_frame_and_page(ruler):
    assert repr(ruler) == "ContextRuler(2 sequences of 16 tokens, place=9, num_latents=4)"
    assert ruler.facts["middles"] == [8, 8] and ruler.facts["choices"] == [1, 4]
    assert "the latent at place 9 of 15 may see places 0 to 9. It looks most at place" in ruler.first_frame().alt
    assert ruler.weights()[10:].max() == 0 and ruler.weights().sum() == pytest.approx(1, abs=1e-5)
    _, answers = ruler.export()
    assert [ask["sequence"] for ask, _ in answers] == [0, 1]


def test_a_mirror_is_found():
    assert middle_of(np.array([2, 7, 8, 8, 7, 1])) == 3
    assert middle_of(np.array([2, 7, 8, 8, 9, 1])) is None
    assert middle_of(np.array([2, 7, 8, 7, 1])) is None


def test_flops_are_those_that_the_library_counts():
    for name, context, counted in (
        ("copy_ar", 64, perceiver_ar_flops(64, 16, channels=64, num_layers=1)),
        ("copy_transformer", 64, transformer_flops(64, channels=64, num_layers=1)),
    ):
        model = nnx.eval_shape(lambda name=name: recipes.get(name).make_model(nnx.Rngs(0)))
        assert cost(model, jax.ShapeDtypeStruct((1, context), jnp.int32)).flops == counted
    released = nnx.eval_shape(lambda: presets.get("copy_131k_ar")(rngs=nnx.Rngs(0)))
    assert cost(released, jax.ShapeDtypeStruct((1, 2048), jnp.int32)).flops == perceiver_ar_flops(2048, 1024)


def test_more_latents_than_inputs_are_not_counted():
    ruler = make_ruler(context=64, latents=4096)
    assert ruler.flops() == {"Perceiver AR": perceiver_ar_flops(64, 64), "Transformer": transformer_flops(64)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"place": 15}, "place=15 is out of range: it may be 0 to 14"),
        ({"head": 2}, "head=2"),
        ({"sequence": -1}, "sequence=-1"),
        ({"num_latents": 3}, r"num_latents=3 is not one of the choices, \[1, 4\]"),
        ({"context": 32}, "context=32 is out of range: it may be 64 to 131,072"),
        ({"latents": 0}, "latents=0"),
        ({"choices": (0, 4)}, r"latents=\[0, 4\]: a sequence of 16 tokens is read by 1 to 15"),
        ({"sequences": [[2, 5, 6, 1] * 5]}, r"integers \(number, M\).*3 to 17; got int64 of shape \(1, 20\)"),
        ({"sequences": [[2, 5, 0, 1]]}, "tokens from 1 to 258, without padding"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        make_ruler(**change)


def test_another_model_is_refused():
    with pytest.raises(ValueError, match="Linear is no PerceiverAR: the context ruler"):
        ContextRuler(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), SEQUENCES)
