"""The cache of a Perceiver AR: token by token it says what one call on everything says, while nothing gives way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.layers import SinusoidalPositions
from perceiver_lab.models import PerceiverAR, PerceiverARConfig, empty_cache, extend
from perceiver_lab.ops.sequences import NOWHERE
from tests.drawn import drawn

CONTEXT, LATENTS = 9, 4
TOKENS = np.random.default_rng(0).integers(3, 11, size=(2, CONTEXT + 1), dtype=np.int32)


def make(rotary=True, **sizes):
    config = PerceiverARConfig(
        **{
            "num_latents": LATENTS,
            "latent_channels": 8,
            "max_context": CONTEXT,
            "num_self_attends": 2,
            "num_cross_heads": 2,
            "num_self_heads": 4,
            "rotary_fraction": 1.0 if rotary else 0.0,
            **sizes,
        }
    )
    positions = [] if rotary else [SinusoidalPositions(CONTEXT + 1, 12)]

    def build():
        adapter = TokenInput(11, 12, positions=positions, rngs=nnx.Rngs(0))
        return PerceiverAR(config, input_adapter=adapter, zero_output=False, rngs=nnx.Rngs(1))

    return drawn(build)


MODELS = {"rotary": make(), "absolute": make(rotary=False)}
extended = nnx.jit(extend, static_argnames=("num_latents",))
called = nnx.jit(lambda model, tokens, positions: model(tokens, positions=positions))


def begin(model, tokens):
    """Four tokens, of which the last two become latents."""
    return more(model, empty_cache(model, 2), tokens[:, :4], num_latents=2)


def more(model, cache, tokens, num_latents=None):
    logits, cache = extended(model, cache, jnp.asarray(tokens), num_latents=num_latents)
    return np.asarray(logits), cache


def whole(model, tokens, start=1):
    """One call on all tokens, which is the same program for any number of them: what is missing is padding."""
    tokens = np.pad(tokens, [(0, 0), (0, CONTEXT - tokens.shape[1])])
    places = np.where(tokens > 0, start + np.arange(CONTEXT, dtype=np.int32), 0)[..., None]
    return np.asarray(called(model, jnp.asarray(tokens), jnp.asarray(places)))


@pytest.mark.parametrize("kind", MODELS)
def test_token_by_token_is_one_call(kind):
    model = MODELS[kind]
    expected = whole(model, TOKENS[:, :6])  # no latent sees a later one: these are the answers of shorter calls too
    logits, cache = begin(model, TOKENS)
    np.testing.assert_allclose(logits, expected[:, :2], atol=1e-5)
    for read in (5, 6):
        logits, cache = more(model, cache, TOKENS[:, read - 1 : read])
        assert cache.num_latents.tolist() == [read - 2] * 2 and cache.num_inputs.tolist() == [read] * 2
        np.testing.assert_allclose(logits[:, -1], expected[:, read - 3], atol=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_several_tokens_at_once_are_one_call(kind):
    model = MODELS[kind]
    _, cache = begin(model, TOKENS)
    logits, _ = more(model, cache, TOKENS[:, 4:6])
    np.testing.assert_allclose(logits, whole(model, TOKENS[:, :6])[:, 2:], atol=1e-5)


def test_a_scanned_stack_remembers_as_a_loop_does():
    loop, scan = MODELS["rotary"], nnx.clone(MODELS["rotary"])
    options = {"num_heads": 4, "widening_factor": 4, "activation": "squared_relu"}
    scan.stack = drawn(lambda: type(scan.stack)(2, 8, scan=True, rngs=nnx.Rngs(0), **options))
    layers = [nnx.state(loop.stack.layer(index)) for index in range(2)]
    nnx.update(scan.stack.layers, jax.tree.map(lambda *each: jnp.asarray(np.stack(each)), *layers))
    found = []
    for model in (loop, scan):
        _, cache = begin(model, TOKENS)
        found.append(more(model, cache, TOKENS[:, 4:6]))
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5), *found)


def test_examples_of_different_lengths_keep_to_themselves():
    model, ragged = MODELS["rotary"], TOKENS[:, :4].copy()
    ragged[1, 1:] = 0
    logits, cache = begin(model, ragged)
    assert cache.num_inputs.tolist() == [4, 1] and cache.num_latents.tolist() == [2, 1]
    np.testing.assert_allclose(logits[1, 1], whole(model, ragged)[1, -1], atol=1e-5)
    following = TOKENS[0, 4:6], TOKENS[1, 1:3]
    for tokens in zip(*following, strict=True):
        logits, cache = more(model, cache, np.array(tokens)[:, None])
    longer = np.zeros((2, 6), np.int32)
    longer[0], longer[1, :3] = TOKENS[0, :6], TOKENS[1, :3]
    np.testing.assert_allclose(logits[:, -1], whole(model, longer)[:, -1], atol=1e-5)
    assert (np.asarray(cache.input_key[1]) == [0, 1, 2] + [NOWHERE] * 6).all()


def test_an_example_without_further_tokens_stays_as_it_is():
    model = MODELS["rotary"]
    _, before = begin(model, TOKENS)
    _, after = more(model, before, np.array([[5], [0]], np.int32))
    for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        axis = 1 if one.ndim == 5 else 0
        np.testing.assert_array_equal(np.asarray(one).take(1, axis=axis), np.asarray(other).take(1, axis=axis))


def test_the_oldest_gives_way_and_then_it_is_no_longer_one_call():
    model = MODELS["rotary"]
    _, cache = begin(model, TOKENS)
    for place in range(4, 10):
        logits, cache = more(model, cache, TOKENS[:, place : place + 1])
    assert sorted(cache.input_key[0].tolist()) == list(range(1, 10))
    assert sorted(cache.latent_key[0].tolist()) == [6, 7, 8, 9]
    assert 1e-4 < np.abs(logits[:, -1] - whole(model, TOKENS[:, 1:], start=2)[:, -1]).max() < 10


def test_a_cache_has_the_size_that_was_asked_for():
    cache = empty_cache(MODELS["rotary"], 3, max_context=5, num_latents=2)
    assert cache.read.k.shape == (3, 5, 2, 6) and cache.layers.v.shape == (2, 3, 2, 4, 2)
    assert cache.input_key.shape == (3, 5) and cache.latent_key.shape == (3, 2)


def test_what_a_cache_cannot_take_is_named():
    model = MODELS["rotary"]
    cache = empty_cache(model, 2, max_context=5, num_latents=2)
    with pytest.raises(ValueError, match="6 tokens were given, but the context is 5"):
        extend(model, cache, jnp.asarray(TOKENS[:, :6]), num_latents=1)
    with pytest.raises(ValueError, match="num_latents=3, but the cache has room for 2"):
        extend(model, cache, jnp.asarray(TOKENS[:, :3]))
    with pytest.raises(ValueError, match="position_source='terminal': these positions change with every further token"):
        empty_cache(make(position_source="terminal"), 1)
