import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.layers import Attention, CrossAttentionBlock, SelfAttentionStack, labelled, record_attention
from perceiver_lab.layers.recording import recording
from tests.drawn import drawn, normal


@pytest.fixture
def attention():
    return drawn(lambda: Attention(4, 4, num_heads=2, rngs=nnx.Rngs(0)))


def test_weights_come_out_of_a_jitted_function(attention):
    graphdef, state = nnx.split(attention)

    @jax.jit
    def look(state, x):
        with record_attention() as maps:
            out = nnx.merge(graphdef, state)(x, x)
        return out, [entry.weights for entry in maps]

    x = normal(2, 3, 4)
    out, (weights,) = look(state, x)
    assert weights.shape == (2, 2, 3, 3)
    np.testing.assert_allclose(weights.sum(-1), 1.0, atol=1e-6)
    np.testing.assert_allclose(out, attention(x, x), atol=1e-6)


def test_a_cross_attention_block_answers_the_same_while_recorded():
    block = drawn(lambda: CrossAttentionBlock(4, 6, num_heads=2, rngs=nnx.Rngs(0)))
    mask = jnp.asarray(np.broadcast_to(np.arange(7) < 5, (2, 3, 7)))

    @nnx.jit
    def look(block, queries, inputs):
        with record_attention() as maps:
            found = block(queries, inputs, mask=mask)
        return found, maps[0].weights, block(queries, inputs, mask=mask)

    found, weights, expected = look(block, normal(2, 3, 4), normal(2, 7, 6))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(weights[..., 5:], 0.0)


def test_labels_nest_and_end(attention):
    x = normal(2, 3, 4)
    with record_attention() as maps:
        with labelled("block 0"):
            with labelled("layer 1"):
                attention(x, x)
            attention(x, x)
        attention(x, x)
    assert [entry.name for entry in maps] == ["block 0 layer 1", "block 0", ""]


def test_a_scanned_stack_is_recorded_layer_by_layer():
    stack, maps = drawn(lambda: SelfAttentionStack(2, 4, num_heads=1, scan=True, rngs=nnx.Rngs(0))), []

    def look(stack):
        with record_attention() as recorded:
            stack(normal(2, 3, 4))
        maps.extend(recorded)

    nnx.eval_shape(look, stack)
    assert [entry.name for entry in maps] == ["layer 0", "layer 1"]


def test_an_empty_recorder_says_so():
    with pytest.raises(RuntimeError, match="No attention was recorded.*introspect.attention_maps"), record_attention():
        pass


def test_a_function_compiled_before_records_nothing_and_the_recorder_says_so(attention):
    run = nnx.jit(lambda attention, x: attention(x, x))
    x = normal(2, 3, 4)
    run(attention, x)
    with pytest.raises(RuntimeError, match="compiled before"), record_attention():
        run(attention, x)


@pytest.mark.parametrize("transform", [nnx.jit, nnx.remat])
def test_a_recorder_outside_of_what_is_traced_is_refused(attention, transform):
    run = transform(lambda attention, x: attention(x, x))
    with pytest.raises(RuntimeError, match="opened outside a function that JAX traces"), record_attention():
        run(attention, normal(2, 3, 4))


def test_a_recorder_outside_of_a_scan_is_refused(attention):
    graphdef, state = nnx.split(attention)

    def step(x, _):
        return nnx.merge(graphdef, state)(x, x), None

    with pytest.raises(RuntimeError, match="opened outside a function that JAX traces"), record_attention():
        jax.lax.scan(step, normal(2, 3, 4), None, length=2)


def test_an_error_inside_is_not_hidden_and_ends_the_recording(attention):
    with pytest.raises(TypeError, match="missing"), record_attention():
        attention()
    assert not recording()


def test_gradients_pass_through_a_recorded_attention(attention):
    graphdef, state = nnx.split(attention)

    def loss(state, x, recorded):
        attention = nnx.merge(graphdef, state)
        if not recorded:
            return (attention(x, x) ** 2).sum()
        with record_attention() as maps:
            out = attention(x, x)
        assert len(maps) == 1
        return (out**2).sum()

    x = normal(2, 3, 4)
    found, expected = (jax.jit(jax.grad(loss), static_argnums=2)(state, x, recorded) for recorded in (True, False))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_weights_can_be_put_in_place_of_a_layers(attention):
    x = normal(2, 3, 4)
    first = jnp.zeros((1, 2, 3, 3)).at[..., 0].set(1.0)  # every query takes the first value
    with record_attention({"here": first}) as maps:
        with labelled("here"):
            replaced = attention(x, x)
        untouched = attention(x, x)
    expected = attention.project_output(jnp.repeat(attention.split_heads(attention.value(x))[:, :1], 3, axis=1))
    np.testing.assert_allclose(replaced, expected, atol=1e-6)
    np.testing.assert_allclose(untouched, attention(x, x), atol=1e-6)
    np.testing.assert_array_equal(maps[0].weights, jnp.repeat(first, 2, axis=0))


def test_weights_for_no_layer_or_of_another_shape_are_named(attention):
    x = normal(2, 3, 4)
    with pytest.raises(ValueError, match="those of read 7, but the layers that attended are here"):
        with record_attention({"read 7": jnp.ones((1, 2, 3, 3))}), labelled("here"):
            attention(x, x)
    with pytest.raises(ValueError, match=r"those of 'here' have shape \(1, 2, 3, 4\).*\(2, 2, 3, 3\)"):
        with record_attention({"here": jnp.ones((1, 2, 3, 4))}), labelled("here"):
            attention(x, x)
