import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab.introspect import cost
from perceiver_lab.ops import CrossParams, attention, choose_form, cross, cross_attend, input_mask, multiply_adds

B, N, M, C, H, D, E = 2, 3, 13, 5, 2, 4, 3
FORMS = ("plain", "chunked", "folded", "folded_chunked")
properties = settings(max_examples=15, derandomize=True)

run = jax.jit(cross_attend, static_argnames=("form", "chunk"))
mask_of = jax.jit(lambda valid: input_mask(valid, N))


def make(seed=0, heads=H):
    """Queries, inputs and parameters, none of them zero or one."""
    rng = np.random.default_rng(seed)
    shapes = [(C,), (C,), (C, heads * D), (heads * D,), (C, heads * E), (heads * E,), (B, N, heads, D), (B, M, C)]
    *params, q, inputs = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return jnp.asarray(q), jnp.asarray(3 * inputs + 1), CrossParams(*map(jnp.asarray, params))


def random_mask(seed=0):
    """Query 1 of example 0 may attend to nothing."""
    mask = np.random.default_rng(seed).random((B, N, M)) < 0.5
    mask[:, :, 3], mask[0, 1] = True, False
    return jnp.asarray(mask)


def reference(q, inputs, params, mask=None):
    """Norm, projections and softmax one after the other, in float64."""
    q, x, *p = (np.asarray(one, np.float64) for one in (q, inputs, *params))
    p = CrossParams(*p)
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * p.norm_scale + p.norm_bias
    k = (x @ p.key_kernel + p.key_bias).reshape(*x.shape[:2], q.shape[2], -1)
    v = (x @ p.value_kernel + p.value_bias).reshape(*x.shape[:2], q.shape[2], -1)
    weights = np.exp(np.einsum("bnhd,bmhd->bhnm", q, k) / np.sqrt(q.shape[-1]))
    weights = weights if mask is None else weights * np.asarray(mask)[:, None]
    weights = weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300)
    return np.einsum("bhnm,bmhe->bnhe", weights, v)


@pytest.mark.parametrize("form", [*FORMS, "auto"])
@pytest.mark.parametrize(("masked", "heads"), [(False, 1), (True, H)])
def test_every_form_is_the_definition(form, masked, heads):
    q, inputs, params = make(heads=heads)
    mask = random_mask() if masked else None
    found = run(q, inputs, params, mask=mask, form=form)
    assert found.shape == (B, N, heads, E)
    np.testing.assert_allclose(found, reference(q, inputs, params, mask), atol=1e-5)


@functools.partial(jax.jit, static_argnames="form")
def gradients(arguments, mask, form):
    return jax.grad(lambda a: (cross_attend(*a, mask=mask, form=form, chunk=5) ** 3).sum())(arguments)


@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_of_queries_inputs_and_all_parameters_are_those_of_the_plain_form(form, masked):
    mask = random_mask() if masked else None
    found, expected = gradients(make(), mask, form), gradients(make(), mask, "plain")
    for (path, one), other in zip(
        jax.tree_util.tree_flatten_with_path(found)[0], jax.tree.leaves(expected), strict=True
    ):
        # The bias of the keys adds the same to all scores of a query: its gradient is zero but for rounding.
        scale = 1e3 if "key_bias" in str(path) else np.abs(other).max()
        assert np.abs(one - other).max() <= 1e-4 * scale, path
        assert np.isfinite(one).all()


@pytest.mark.parametrize("form", ["chunked", "folded_chunked"])
@pytest.mark.parametrize("chunk", [1, 5, M])  # the default, above, is more than all of them
def test_a_chunk_need_not_divide_the_inputs(form, chunk):
    q, inputs, params = make()
    mask = random_mask()
    found = run(q, inputs, params, mask=mask, form=form, chunk=chunk)
    np.testing.assert_allclose(found, reference(q, inputs, params, mask), atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_a_query_that_may_attend_to_nothing_gets_zeros_not_the_bias(form):
    found = run(*make(), mask=random_mask(), form=form, chunk=5)
    np.testing.assert_array_equal(np.asarray(found)[0, 1], 0.0)


@properties
@given(st.sampled_from(FORMS), st.integers(1, M), st.integers(0, 99), st.sampled_from([0.0, 1e4, -1e4]))
def test_what_stands_in_padding_changes_nothing(form, valid, seed, filling):
    q, inputs, params = make(seed)
    mask = mask_of(np.broadcast_to(np.arange(M)[None] < valid, (B, M)))
    padded = np.where(np.arange(M)[:, None] < valid, inputs, np.float32(filling))
    found = run(q, padded, params, mask=mask, form=form, chunk=5)
    np.testing.assert_allclose(found, run(q, inputs, params, mask=mask, form=form, chunk=5), atol=2e-5)
    np.testing.assert_allclose(found, reference(q, np.asarray(inputs)[:, :valid], params), atol=2e-5)


@properties
@given(st.sampled_from(FORMS), st.permutations(range(M)))
def test_the_order_of_the_inputs_does_not_matter(form, order):
    q, inputs, params = make()
    mask, order = random_mask(), np.asarray(order)
    found = run(q, np.asarray(inputs)[:, order], params, mask=np.asarray(mask)[:, :, order], form=form, chunk=5)
    np.testing.assert_allclose(found, run(q, inputs, params, mask=mask, form=form, chunk=5), atol=1e-5)


@pytest.mark.parametrize("form", ["chunked", "folded_chunked"])
def test_memory_of_the_backward_pass_does_not_grow_with_the_inputs(form):
    q, _, params = make()

    def temporary(num_inputs):
        def loss(q, params, inputs):
            return cross_attend(q, inputs, params, form=form, chunk=64).sum()

        gradients = jax.grad(loss, argnums=(0, 1, 2))  # those of the inputs as well
        return cost(gradients, q, params, jax.ShapeDtypeStruct((B, num_inputs, C), jnp.float32), compiled=True)

    small, large = temporary(4096), temporary(65536)
    # What is left is one running statistic per chunk; the inputs themselves are 2.6 MB.
    assert large.temporary_bytes - small.temporary_bytes < 1.2e6


@pytest.mark.parametrize("form", FORMS)
def test_counted_multiply_adds_are_those_of_the_program(form):
    q, inputs, params = make()
    # JAX's own attention, which the plain form calls, pads values to the width of the keys.
    params = params._replace(value_kernel=params.key_kernel, value_bias=params.key_bias)
    counted = multiply_adds(N, M, C, num_heads=H, qk_channels=H * D, v_channels=H * D)
    found = cost(functools.partial(cross_attend, form=form, chunk=M), q, inputs, params).multiply_adds
    assert found == B * counted[form.removesuffix("_chunked") if "folded" in form else "plain"]


@pytest.mark.parametrize(
    ("sizes", "heads", "expected"),
    [
        ((128, 50_176, 261), 1, "folded_chunked"),  # 2103.03206, smaller
        ((512, 50_176, 261), 1, "folded_chunked"),  # 2103.03206, ImageNet
        ((256, 2048, 768), 8, "chunked"),  # 2107.14795, bytes: 8 heads x 256 latents would score at width 768
        ((16, 64, 19), 1, "folded"),
        ((16, 64, 19), 8, "plain"),
    ],
)
def test_the_form_follows_from_the_shapes(sizes, heads, expected):
    width = 64 if sizes[2] < 64 else sizes[2]
    assert choose_form(*sizes, num_heads=heads, qk_channels=width, v_channels=width) == expected


def test_examples_that_are_read_together_count_together():
    widths = {"num_heads": 1, "qk_channels": 64, "v_channels": 64}
    assert choose_form(32, 784, 27, **widths) == "folded"
    assert choose_form(32, 784, 27, **widths, batch_size=64) == "folded_chunked"


def test_an_accelerator_reads_in_one_pass_what_its_memory_holds(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    widths = {"num_heads": 1, "qk_channels": 261, "v_channels": 261}
    assert choose_form(512, 50_176, 261, **widths) == "folded"
    assert choose_form(512, 50_176, 261, **widths, batch_size=64) == "folded_chunked"
    assert attention.default_chunk(512) == 2**17


def test_auto_asks_for_the_form_with_the_shapes_of_the_call(monkeypatch):
    asked = []
    monkeypatch.setattr(cross, "choose_form", lambda *sizes, **widths: asked.append((sizes, widths)) or "plain")
    cross.cross_attend(*make())
    assert asked == [((N, M, C), {"num_heads": H, "qk_channels": H * D, "v_channels": H * E, "batch_size": B})]


def test_what_was_chosen_is_noted_with_its_counts():
    q, inputs, params = make()
    with cross.noted_choices() as choices:
        cross_attend(q, inputs, params)
        cross_attend(q, inputs, params, form="plain")  # was asked for, not chosen
    (choice,) = choices
    counted = multiply_adds(N, M, C, num_heads=H, qk_channels=H * D, v_channels=H * E)
    assert (choice.form, choice.num_latents, choice.num_inputs) == ("folded", N, M)
    assert {"plain": choice.plain, "folded": choice.folded} == counted and choice.scores == B * H * N * M


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda q, x, p: (q, x, p), {"form": "fast"}, "form='fast' is unknown; choose one of 'auto', 'plain'"),
        (lambda q, x, p: (q, x, p), {"chunk": 0}, "chunk=0: a step reads at least one input"),
        (lambda q, x, p: (q, x[..., :4], p), {}, r"inputs \(b, m, 5\).*got \(2, 3, 2, 4\) and \(2, 13, 4\)"),
        (lambda q, x, p: (q, x[0], p), {}, r"inputs \(b, m, 5\)"),
        (lambda q, x, p: (q, x[:1], p), {}, r"inputs \(b, m, 5\)"),
        (lambda q, x, p: (q, x[:, :0], p), {}, "with nothing empty"),
        (lambda q, x, p: (q[..., :2], x, p), {}, "2 heads of width 2, but keys have 8 channels"),
    ],
)
def test_bad_input_is_named(change, options, message):
    with pytest.raises(ValueError, match=message):
        cross_attend(*change(*make()), **options)


@pytest.mark.parametrize("form", FORMS)
def test_a_mask_of_another_shape_is_named(form):
    with pytest.raises(ValueError, match=r"mask must be \(b, n, m\) = \(2, 3, 13\).*input_mask\(mask, n\)"):
        cross_attend(*make(), mask=jnp.ones((B, 1, M), bool), form=form)
