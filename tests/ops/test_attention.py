import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab.ops import attend, attention, attention_weights

B, N, M, H, D, E = 2, 3, 11, 2, 4, 6
EXACT = ("einsum", "xla", "chunked", "auto")
properties = settings(max_examples=15, derandomize=True)

run = jax.jit(attend, static_argnames=("impl", "scale"))  # one compilation instead of one per operation


def arrays(seed=0, size=1.0):
    keys = jax.random.split(jax.random.key(seed), 3)
    shapes = (B, N, H, D), (B, M, H, D), (B, M, H, E)
    return [size * jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)]


def random_mask(seed=0):
    """Half of everything is masked; query 1 of example 0 may attend to nothing, query 0 of example 1 to one input."""
    mask = np.random.default_rng(seed).random((B, N, M)) < 0.5
    mask[:, :, 0] = True
    mask[0, 1], mask[1, 0] = False, np.arange(M) == M - 1
    return jnp.asarray(mask)


def reference(q, k, v, mask=None, scale=None):
    """The definition, query by query, in float64."""
    q, k, v = (np.asarray(x, np.float64) for x in (q, k, v))
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    out = np.zeros((*q.shape[:3], v.shape[-1]))
    for b, n, h in np.ndindex(*q.shape[:3]):
        may = np.ones(k.shape[1], bool) if mask is None else np.asarray(mask[b, n])
        if may.any():
            scores = k[b, may, h] @ q[b, n, h] * scale
            weights = np.exp(scores - scores.max())
            out[b, n, h] = weights @ v[b, may, h] / weights.sum()
    return out


@pytest.mark.parametrize("impl", EXACT)
@pytest.mark.parametrize(("masked", "scale"), [(False, 0.3), (True, None)])
def test_attend_is_the_definition(impl, masked, scale):
    q, k, v = arrays()
    mask = random_mask() if masked else None
    found = run(q, k, v, mask=mask, scale=scale, impl=impl)
    assert found.shape == (B, N, H, E)
    np.testing.assert_allclose(found, reference(q, k, v, mask, scale), atol=1e-6)


@pytest.mark.parametrize("impl", EXACT)
def test_values_may_be_narrower_than_keys(impl):
    q, k, v = arrays()
    np.testing.assert_allclose(run(q, k, v[..., :2], impl=impl), reference(q, k, v[..., :2]), atol=1e-6)


@pytest.mark.parametrize("impl", EXACT)
def test_a_query_that_may_attend_to_nothing_gets_zeros(impl):
    found = run(*arrays(), mask=random_mask(), impl=impl)
    np.testing.assert_array_equal(found[0, 1], 0.0)
    assert np.abs(found[0, 0]).min() > 0


@functools.partial(jax.jit, static_argnames="impl")
def gradients(arrays, mask, impl):
    return jax.grad(lambda arrays: (attend(*arrays, mask=mask, impl=impl) ** 3).sum())(arrays)


@pytest.mark.parametrize("impl", ["xla", "chunked"])
def test_gradients_are_those_of_the_definition(impl):
    mask = random_mask()
    for found, expected in zip(gradients(arrays(), mask, impl), gradients(arrays(), mask, "einsum"), strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("impl", EXACT)
def test_large_scores_do_not_overflow(impl):
    (q, k, v), mask = arrays(size=300.0), random_mask()
    np.testing.assert_allclose(run(q, k, v, mask=mask, impl=impl), reference(q, k, v, mask), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("impl", EXACT)
def test_half_precision_keeps_its_type_and_a_float32_softmax(impl):
    q, k, v = (x.astype(jnp.bfloat16) for x in arrays())
    found = run(q, k, v, impl=impl)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.astype(jnp.float32), reference(q, k, v), atol=0.02)
    assert attention_weights(q, k).dtype == jnp.float32


@pytest.mark.parametrize("chunk", [1, 4, 11, 64])
def test_a_chunk_need_not_divide_the_inputs(chunk, monkeypatch):
    monkeypatch.setattr(attention, "default_chunk", lambda rows: chunk)
    q, k, v = arrays()
    mask = random_mask()
    found = jax.jit(functools.partial(attend, impl="chunked"))(q, k, v, mask=mask)
    np.testing.assert_allclose(found, reference(q, k, v, mask), atol=1e-6)


def test_the_steps_share_the_inputs_evenly():
    """576 inputs by 256 at most are three times 192, not twice 256 and 64 with the rest read again."""
    read = []

    def look(x):
        read.append(x.shape[1])
        return jnp.zeros((1, x.shape[1])), lambda weights: weights @ x[0]

    found = attention.running_softmax(look, (jnp.arange(576.0).reshape(1, 576, 1),), (1,), 1, 256)
    assert set(read) == {192}
    np.testing.assert_allclose(found, [[287.5]], rtol=1e-6)


def test_the_default_chunk_keeps_a_step_in_the_cache():
    assert attention.default_chunk(512) * 512 == 2**18
    assert attention.default_chunk(10**9) == 256
    assert attention.default_chunk(1) == 4096
    assert attention.default_chunk(300) == 512  # a power of two divides the usual lengths


def test_auto_walks_in_chunks_once_the_scores_get_large(monkeypatch):
    q, k, v = arrays()
    chosen = []
    monkeypatch.setattr(attention, "_attend_chunked", lambda q, k, v, *_: chosen.append("chunked") or v[:, :N])
    weights = attention.attention_weights
    monkeypatch.setattr(attention, "attention_weights", lambda *a, **o: chosen.append("einsum") or weights(*a, **o))
    attention.attend(q, k, v)
    few = attention.Loop(from_scores=B * H * N * M - 1, step_scores=2**18, longest_chunk=2**12)
    monkeypatch.setattr(attention, "loop", lambda platform=None: few)
    attention.attend(q, k, v)
    assert chosen == ["einsum", "chunked"]


def test_cudnn_is_passed_on_to_jax(monkeypatch):
    asked = {}

    def record(q, k, v, **options):
        asked.update(options)
        return v[:, :N]

    monkeypatch.setattr(jax.nn, "dot_product_attention", record)
    q, k, v = arrays()
    attend(q, k, v[..., :D], impl="cudnn")
    assert asked["implementation"] == "cudnn"
    assert asked["scale"] == D**-0.5


@pytest.mark.parametrize("scale", [None, 0.3])
def test_weights_are_the_softmax_of_scaled_scores_and_what_is_added_to_them(scale):
    q, k, _ = arrays()
    bias = jax.random.normal(jax.random.key(9), (B, H, N, M))
    scores = np.einsum("bnhd,bmhd->bhnm", *(np.asarray(x, np.float64) for x in (q, k))) * (scale or D**-0.5)
    for added in (None, bias):
        exponentials = np.exp(scores if added is None else scores + np.asarray(added))
        expected = exponentials / exponentials.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(attention_weights(q, k, scale=scale, bias=added), expected, atol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_weights_sum_to_one_or_to_nothing(masked):
    q, k, _ = arrays()
    mask = random_mask() if masked else None
    weights = attention_weights(q, k, mask=mask)
    assert weights.shape == (B, H, N, M)
    expected = np.ones((B, H, N)) if mask is None else np.broadcast_to(mask.any(-1)[:, None], (B, H, N))
    np.testing.assert_allclose(weights.sum(-1), expected, atol=1e-6)
    if masked:
        np.testing.assert_array_equal(weights[~np.broadcast_to(mask[:, None], weights.shape)], 0.0)


@properties
@given(st.sampled_from(["xla", "chunked"]), st.integers(1, M), st.integers(0, 99), st.sampled_from([0.0, 1e4, -1e4]))
def test_what_stands_in_padding_changes_nothing(impl, valid, seed, filling):
    q, k, v = arrays(seed)
    mask = jnp.broadcast_to(jnp.arange(M)[None, None] < valid, (B, N, M))
    filled = [x.at[:, valid:].set(filling) for x in (k, v)]
    found = run(q, *filled, mask=mask, impl=impl)
    np.testing.assert_allclose(found, run(q, k, v, mask=mask, impl=impl), atol=1e-6)
    np.testing.assert_allclose(found, reference(q, k[:, :valid], v[:, :valid]), atol=1e-5)


@properties
@given(st.sampled_from(["xla", "chunked"]), st.permutations(range(M)))
def test_the_order_of_keys_and_values_does_not_matter(impl, order):
    q, k, v = arrays()
    mask, order = random_mask(), np.asarray(order)
    found = run(q, k[:, order], v[:, order], mask=mask[:, :, order], impl=impl)
    np.testing.assert_allclose(found, run(q, k, v, mask=mask, impl=impl), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q, k, v: (q[0], k, v), r"attend wants q \(b, n, h, d\).*Split the channels into heads first"),
        (lambda q, k, v: (q, k[..., :2], v), "do not fit together"),
        (lambda q, k, v: (q, k[:1], v), "do not fit together"),
        (lambda q, k, v: (q, k, v[:, :2]), "do not fit together"),
        (lambda q, k, v: (q, k[:, :, :1], v), "do not fit together"),
        (lambda q, k, v: (q, k[:, :0], v[:, :0]), "nothing to attend to.*Give at least one input"),
    ],
)
def test_shapes_that_do_not_fit_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        attend(*change(*arrays()))


def test_a_mask_of_another_shape_and_an_unknown_implementation_are_named():
    q, k, v = arrays()
    with pytest.raises(ValueError, match=r"mask must be \(b, n, m\) = \(2, 3, 11\).*got \(2, 11\)"):
        attend(q, k, v, mask=jnp.ones((B, M), bool))
    with pytest.raises(ValueError, match="impl='flash' is unknown; choose one of 'auto', 'einsum'"):
        attend(q, k, v, impl="flash")


def shapes(n, m, d, e=None, dtype=jnp.bfloat16, b=2, h=4):
    return (
        jax.ShapeDtypeStruct((b, n, h, d), dtype),
        jax.ShapeDtypeStruct((b, m, h, d), dtype),
        jax.ShapeDtypeStruct((b, m, h, e or d), dtype),
    )


@pytest.mark.parametrize(
    ("given", "platform", "chosen"),
    [
        (shapes(512, 512, 128), "gpu", "cudnn"),
        (shapes(512, 512, 128, dtype=jnp.float16), "gpu", "cudnn"),
        (shapes(512, 512, 64, e=128), "gpu", "cudnn"),
        (shapes(512, 512, 128), "cpu", "einsum"),
        (shapes(512, 512, 128), "tpu", "einsum"),
        (shapes(512, 512, 128, dtype=jnp.float32), "gpu", "einsum"),
        (shapes(512, 512, 136), "gpu", "einsum"),  # wider than the kernel
        (shapes(512, 512, 100), "gpu", "einsum"),  # no multiple of 8
        (shapes(511, 512, 128), "gpu", "einsum"),  # of odd length
        (shapes(512, 511, 128), "gpu", "einsum"),
        (shapes(512, 512, 128, h=3), "gpu", "cudnn"),
        ((*shapes(512, 512, 128)[:2], shapes(512, 512, 128, dtype=jnp.float32)[2]), "gpu", "einsum"),
        (shapes(512, 2**16, 136), "gpu", "einsum"),  # 2^28 scores
        (shapes(512, 2**16 + 2, 136), "gpu", "chunked"),
        (shapes(512, 2**17, 128, dtype=jnp.float32), "tpu", "chunked"),
        (shapes(512, 256, 64), "cpu", "einsum"),  # 2^20 scores
        (shapes(512, 257, 64), "cpu", "chunked"),
        (shapes(512, 257, 64, e=65), "cpu", "einsum"),
        (shapes(512, 4096, 65), "cpu", "einsum"),  # 2^24 scores
        (shapes(512, 4097, 65), "cpu", "chunked"),
    ],
)
def test_the_implementation_follows_from_shapes_dtypes_and_platform(given, platform, chosen):
    assert attention.choose_implementation(*given, platform=platform) == chosen


def test_one_pass_holds_all_scores_however_many():
    assert attention.choose_one_pass(*shapes(512, 2**20, 128, dtype=jnp.float32), platform="cpu") == "einsum"
    assert attention.choose_one_pass(*shapes(512, 2**20, 136), platform="gpu") == "einsum"
    assert attention.choose_one_pass(*shapes(512, 2**20, 128), platform="gpu") == "cudnn"
