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

CONTEXT, LATENTS = 9, 4
TOKENS = jax.random.randint(jax.random.key(0), (2, CONTEXT), 3, 11)


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
    adapter = TokenInput(11, 12, positions=positions, rngs=nnx.Rngs(0))
    return PerceiverAR(config, input_adapter=adapter, zero_output=False, rngs=nnx.Rngs(1))


MODELS = {"rotary": make(), "absolute": make(rotary=False)}
more = nnx.jit(extend, static_argnames=("num_latents",))
whole = nnx.jit(
    lambda model, tokens, num_latents: model(tokens, num_latents=num_latents), static_argnames=("num_latents",)
)


@pytest.mark.parametrize("kind", MODELS)
def test_token_by_token_is_one_call(kind):
    model, cache = MODELS[kind], empty_cache(MODELS[kind], 2)
    logits, cache = more(model, cache, TOKENS[:, :5], num_latents=1)
    np.testing.assert_allclose(logits, whole(model, TOKENS[:, :5], 1), atol=1e-5)
    for read in range(6, 9):
        logits, cache = more(model, cache, TOKENS[:, read - 1 : read])
        assert cache.num_latents.tolist() == [read - 4] * 2 and cache.num_inputs.tolist() == [read] * 2
        np.testing.assert_allclose(logits[:, -1], whole(model, TOKENS[:, :read], read - 4)[:, -1], atol=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_several_tokens_at_once_are_one_call(kind):
    model = MODELS[kind]
    _, cache = more(model, empty_cache(model, 2), TOKENS[:, :4], num_latents=2)
    logits, _ = more(model, cache, TOKENS[:, 4:6])
    np.testing.assert_allclose(logits, whole(model, TOKENS[:, :6], 4)[:, 2:], atol=1e-5)


def test_a_scanned_stack_remembers_as_a_loop_does():
    loop, scan = make(), make()
    scan.stack = type(scan.stack)(
        2, 8, num_heads=4, widening_factor=4, activation="squared_relu", scan=True, rngs=nnx.Rngs(0)
    )
    layers = [nnx.state(loop.stack.layer(index)) for index in range(2)]
    nnx.update(scan.stack.layers, jax.tree.map(lambda *each: jnp.stack(each), *layers))
    found = []
    for model in (loop, scan):
        _, cache = more(model, empty_cache(model, 2), TOKENS[:, :4], num_latents=2)
        found.append(more(model, cache, TOKENS[:, 4:6]))
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5), *found)


def test_examples_of_different_lengths_keep_to_themselves():
    model = MODELS["rotary"]
    ragged = TOKENS.at[1, 2:].set(0)
    logits, cache = more(model, empty_cache(model, 2), ragged[:, :6], num_latents=3)
    assert cache.num_inputs.tolist() == [6, 2] and cache.num_latents.tolist() == [3, 2]
    np.testing.assert_allclose(logits[1:, 1:], whole(model, ragged[1:, :2], 2), atol=1e-5)
    following = jnp.array([[TOKENS[0, 6]], [TOKENS[1, 2]]])
    logits, cache = more(model, cache, following)
    np.testing.assert_allclose(logits[0, -1], whole(model, TOKENS[:1, :7], 4)[0, -1], atol=1e-5)
    np.testing.assert_allclose(logits[1, -1], whole(model, TOKENS[1:, :3], 3)[0, -1], atol=1e-5)
    assert (np.asarray(cache.input_key[1]) == [0, 1, 2] + [NOWHERE] * 6).all()


def test_an_example_without_further_tokens_stays_as_it_is():
    model = MODELS["rotary"]
    _, before = more(model, empty_cache(model, 2), TOKENS[:, :3], num_latents=2)
    _, after = more(model, before, jnp.array([[5], [0]]))
    for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        axis = 1 if one.ndim == 5 else 0
        np.testing.assert_array_equal(jnp.take(one, 1, axis=axis), jnp.take(other, 1, axis=axis))


def test_the_oldest_gives_way_and_then_it_is_no_longer_one_call():
    model = MODELS["rotary"]
    _, cache = more(model, empty_cache(model, 2, max_context=6), TOKENS[:, :5], num_latents=4)
    for place in (5, 6):
        logits, cache = more(model, cache, TOKENS[:, place : place + 1])
    assert sorted(cache.input_key[0].tolist()) == [1, 2, 3, 4, 5, 6]
    assert sorted(cache.latent_key[0].tolist()) == [3, 4, 5, 6]
    positions = jnp.arange(2, 8)[None, :, None].repeat(2, axis=0)
    exact = model(TOKENS[:, 1:7], positions=positions)[:, -1]
    assert 1e-4 < np.abs(logits[:, -1] - exact).max() < 10


def test_a_cache_has_the_size_that_was_asked_for():
    cache = empty_cache(MODELS["rotary"], 3, max_context=5, num_latents=2)
    assert cache.read.k.shape == (3, 5, 2, 6) and cache.layers.v.shape == (2, 3, 2, 4, 2)
    assert cache.input_key.shape == (3, 5) and cache.latent_key.shape == (3, 2)


def test_what_a_cache_cannot_take_is_named():
    model = MODELS["rotary"]
    cache = empty_cache(model, 2, max_context=5, num_latents=2)
    with pytest.raises(ValueError, match="6 tokens were given, but the context is 5"):
        extend(model, cache, TOKENS[:, :6], num_latents=1)
    with pytest.raises(ValueError, match="num_latents=3, but the cache has room for 2"):
        extend(model, cache, TOKENS[:, :3])
    with pytest.raises(ValueError, match="position_source='terminal': these positions change with every further token"):
        empty_cache(make(position_source="terminal"), 1)
