"""Relative positions: skewing is the plain formula; segments with a memory are one long pass, as far as they reach."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.models.baselines import RelativeConfig, RelativeTransformer
from perceiver_lab.models.baselines.relative import MusicTransformerBlock, TransformerXLBlock, skew
from tests.drawn import drawn, normal

VOCABULARY, CHANNELS = 9, 8


def make(kind="transformer_xl", **sizes):
    """Two layers; the logits do not start from zero."""
    config = RelativeConfig(
        **{
            "kind": kind,
            "channels": CHANNELS,
            "max_context": 16,
            "segment": 16,
            "num_layers": 2,
            "num_heads": 2,
            **sizes,
        }
    )

    def build():
        rngs = nnx.Rngs(0)
        return RelativeTransformer(config, input_adapter=TokenInput(VOCABULARY, CHANNELS, rngs=rngs), rngs=rngs)

    return drawn(build)


def tokens(seed=0, length=16):
    return jnp.asarray(np.random.default_rng(seed).integers(3, VOCABULARY, (2, length)), jnp.int32)


call = nnx.jit(lambda model, tokens: model(tokens))


@pytest.mark.parametrize(("n", "m"), [(4, 4), (3, 7), (1, 5)])
def test_skewing_is_the_plain_formula(n, m):
    rng = np.random.default_rng(n)
    q, r = rng.standard_normal((2, n, 3, 4)), rng.standard_normal((m, 3, 4))
    skewed = skew(jnp.einsum("bnhd,mhd->bhnm", jnp.asarray(q), jnp.asarray(r[::-1].copy())))
    for query in range(n):
        for key in range(m - n + query + 1):
            expected = np.einsum("bhd,hd->bh", q[:, query], r[m - n + query - key])
            np.testing.assert_allclose(skewed[:, :, query, key], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [MusicTransformerBlock, TransformerXLBlock])
def test_a_block_is_the_plain_formula(kind):
    """With a memory of three elements, four queries, and biases that are not zero."""
    block = drawn(lambda: kind(CHANNELS, num_heads=2, reach=16, rngs=nnx.Rngs(0)))
    x, memory = normal(1, 4, CHANNELS, seed=3), normal(1, 3, CHANNELS, seed=4)
    past = block.norm(jnp.concatenate([memory, x], axis=1))
    attention = block.attention
    q, k, v = (
        np.asarray(attention.split_heads(one(past)))[0] for one in (attention.query, attention.key, attention.value)
    )
    r = np.asarray(block.distances(7)).reshape(7, 2, 4)
    u, w = (np.zeros((2, 4)), np.zeros((2, 4)))
    if kind is TransformerXLBlock:
        u, w = (np.asarray(one[...]).reshape(2, 4) for one in (block.content_bias, block.distance_bias))
    context = np.zeros((4, 2, 4))
    for query in range(3, 7):
        for head in range(2):
            scores = [
                (q[query, head] + u[head]) @ k[key, head] + (q[query, head] + w[head]) @ r[query - key, head]
                for key in range(query + 1)
            ]
            weights = np.exp(np.array(scores) / 2)
            context[query - 3, head] = weights / weights.sum() @ v[: query + 1, head]
    expected = block.add(x, attention.output(jnp.asarray(context.reshape(1, 4, 8), jnp.float32)))
    found = nnx.jit(lambda block, x, memory: block(x, memory=memory))(block, x, memory)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_segments_with_a_long_memory_are_one_long_pass():
    whole, parts = make(), make(segment=4, memory=12)
    nnx.update(parts, nnx.state(whole, nnx.Param))
    np.testing.assert_allclose(call(parts, tokens()), call(whole, tokens()), rtol=1e-4, atol=1e-5)
    shorter = make(segment=4, memory=4)
    nnx.update(shorter, nnx.state(whole, nnx.Param))
    said, expected = call(shorter, tokens()), call(whole, tokens())
    np.testing.assert_allclose(said[:, :8], expected[:, :8], rtol=1e-4, atol=1e-5)
    assert float(jnp.abs(said - expected)[:, 12:].max()) > 1e-3


def test_a_memory_reaches_one_segment_further_with_each_layer():
    model, other = make(segment=4, memory=4), tokens().at[:, 0].set(8)
    change = jnp.abs(call(model, tokens().at[:, 0].set(3)) - call(model, other)).max(axis=(0, 2))
    assert (change[:12] > 0).all() and not change[12:].any()  # two layers: two segments further


def test_no_gradient_flows_into_a_memory():
    model = make(segment=4, memory=4)
    given = tokens(length=8).at[:, :4].set(3).at[:, 4:].set(5)

    def loss(model):
        return (model(given)[:, 4:] ** 2).sum()

    gradient = nnx.jit(nnx.grad(loss))(model).input_adapter.embedding[...]
    assert float(jnp.abs(gradient[5]).max()) > 0 and not gradient[3].any()


@pytest.mark.parametrize("kind", ["music_transformer", "transformer_xl"])
def test_nothing_sees_what_comes_later(kind):
    model = make(kind)
    change = jnp.abs(call(model, tokens()) - call(model, tokens().at[:, 9:].set(0))).max(axis=(0, 2))
    assert not change[:9].any() and (change[9:] > 0).any()


def test_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match="kind='xl' is unknown; choose one of 'music_transformer', 'transformer_xl'"):
        make("xl")
    with pytest.raises(ValueError, match="segment=4 and memory=0: a Music Transformer reads its whole context of 16"):
        make("music_transformer", segment=4)
    with pytest.raises(ValueError, match="memory=-1 must be at least 0"):
        make(memory=-1)
    with pytest.raises(ValueError, match="num_heads=3 does not divide channels=8"):
        make(num_heads=3)
    with pytest.raises(ValueError, match="20 tokens are more than the context, 16"):
        make()(tokens(length=20))
