"""Causal cross-attention: its forms agree, nothing of the future is read, and memory does not grow with the inputs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_lab.introspect import cost
from perceiver_lab.ops import CrossParams, causal_cross_attend, causal_mask, rotary_frequencies, rotation
from perceiver_lab.ops.attention import Loop
from perceiver_lab.ops.cross import project
from perceiver_lab.ops.sequences import NOWHERE
from tests.drawn import normal

B, N, M, C, H, D = 2, 3, 11, 6, 2, 4
LATENTS = jnp.array([[8, 9, 10], [-1, 0, 1]])
KEYS = jnp.asarray(np.where(np.arange(M)[None] < [[11], [2]], np.arange(M)[None], NOWHERE).astype(np.int32))


def params_of(c):
    shapes = ((c,), (c,), (c, H * D), (H * D,), (c, H * D), (H * D,))
    return CrossParams(*(normal(*shape, seed=i) for i, shape in enumerate(shapes)))


Q, INPUTS, PARAMS = normal(B, N, H, D, seed=10), normal(B, M, C, seed=11), params_of(C)
PLACES = jnp.asarray(np.tile(np.arange(M, dtype=np.int32)[None], (B, 1)))
TURN = jax.jit(lambda places: rotation(places, rotary_frequencies(D, fraction=1.0, max_wavelength=50)))(PLACES)
run = jax.jit(causal_cross_attend, static_argnames=("form", "chunk"))


def attend(q=Q, inputs=INPUTS, query_index=LATENTS, key_index=KEYS, **options):
    return run(q, inputs, PARAMS, query_index=query_index, key_index=key_index, **options)


def test_a_mask_follows_from_the_places():
    np.testing.assert_array_equal(
        causal_mask(
            jnp.array([[2, 4], [-1, 0]]), jnp.array([[0, 1, 2, 3, 4], [0, NOWHERE, NOWHERE, NOWHERE, NOWHERE]])
        ),
        [[[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], [[0, 0, 0, 0, 0], [1, 0, 0, 0, 0]]],
    )


@functools.partial(jax.jit, static_argnames=("form", "chunk"))
def with_gradients(q, inputs, turn, **options):
    """What is read, and the gradients of its squares."""

    def loss(q, inputs):
        read = attend(q, inputs, key_rotation=turn, **options)
        return (read**2).sum(), read

    gradients, read = jax.grad(loss, argnums=(0, 1), has_aux=True)(q, inputs)
    return read, *gradients


# What a chunk's size changes does not depend on whether keys are turned.
@pytest.mark.parametrize(
    ("turn", "chunk"), [(None, 4), (TURN, 1), (TURN, 4), (TURN, 11), (TURN, 50)],
    ids=["plain-4", "rotary-1", "rotary-4", "rotary-11", "rotary-50"],
)  # fmt: skip
def test_chunks_give_what_one_pass_does(turn, chunk):
    one, *plain = with_gradients(Q, INPUTS, turn, form="plain")
    many, *chunked = with_gradients(Q, INPUTS, turn, form="chunked", chunk=chunk)
    np.testing.assert_allclose(many, one, atol=1e-5)
    for found, expected in zip(chunked, plain, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5 * float(np.abs(expected).max()))


@pytest.mark.parametrize("form", ["plain", "chunked"])
def test_no_query_reads_what_comes_after_it(form):
    reading = jax.jacobian(lambda inputs: attend(inputs=inputs, form=form, key_rotation=TURN).sum(axis=(2, 3)))
    reads = np.abs(jax.jit(reading)(INPUTS)).max(axis=-1)[np.arange(B), :, np.arange(B)]
    mask = np.array(causal_mask(LATENTS, KEYS))
    mask[1, 0] = True  # has no place
    np.testing.assert_array_equal(reads > 1e-7, mask)


@pytest.mark.parametrize("form", ["plain", "chunked"])
def test_a_query_without_a_place_gets_the_mean_of_all_values(form):
    values = np.asarray(jax.jit(lambda inputs: project(inputs, PARAMS, H)[1])(INPUTS))
    np.testing.assert_allclose(np.asarray(attend(form=form))[1, 0], values[1].mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("form", ["plain", "chunked"])
def test_a_query_of_which_nothing_may_be_read_gets_zeros(form):
    nowhere = jnp.asarray(np.full((B, M), NOWHERE, np.int32))
    np.testing.assert_array_equal(np.asarray(attend(key_index=nowhere, form=form))[0], 0.0)


def test_many_scores_are_read_in_chunks(monkeypatch):
    def loops():
        call = jax.make_jaxpr(lambda q: causal_cross_attend(q, INPUTS, PARAMS, query_index=LATENTS, key_index=KEYS))
        return "scan" in str(call(Q))

    assert not loops()
    monkeypatch.setattr("perceiver_lab.ops.causal.loop", lambda: Loop(0, 2**18, 2**12))
    assert loops()


def test_memory_of_a_training_step_does_not_hold_the_scores():
    def temporary(num_inputs):
        q, inputs = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((1, 64, H, D), (1, num_inputs, C)))

        def step(q, inputs):
            index = jnp.arange(num_inputs)[None]
            read = causal_cross_attend(q, inputs, PARAMS, query_index=index[:, -64:], key_index=index, form="chunked")
            return (read**2).sum()

        return cost(jax.grad(step, argnums=(0, 1)), q, inputs, compiled=True).temporary_bytes

    num_inputs = 2**17
    scores = 4 * H * 64 * num_inputs
    assert temporary(num_inputs) < scores / 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "folded"}, "form='folded' is unknown; choose one of 'auto', 'plain', 'chunked'"),
        ({"chunk": 0, "form": "chunked"}, "chunk=0: a step reads at least one input"),
        ({"query_index": LATENTS[:, :2]}, r"query_index must be \(b, n\) as q \(2, 3, 2, 4\)"),
        ({"key_index": KEYS[:1]}, r"key_index \(b, m\) as inputs \(2, 11, 6\)"),
    ],
)
def test_what_does_not_fit_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        attend(**options)
