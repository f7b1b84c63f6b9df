import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.layers import Attention, layer_norm
from perceiver_lab.layers.attention import check_heads
from tests import float64
from tests.drawn import drawn, normal


def make(**options):
    return drawn(lambda: Attention(6, 7, num_heads=2, rngs=nnx.Rngs(0), **options))


@nnx.jit
def run(attention, queries, inputs, mask=None):
    return attention(queries, inputs, mask=mask)


@pytest.mark.parametrize(("masked", "output_bias"), [(False, False), (True, True)])
def test_attention_is_its_definition(masked, output_bias):
    widths = {"qk_channels": 8, "v_channels": 12, "output_channels": 5}
    attention = make(output_bias=output_bias, **widths)
    queries, inputs = normal(2, 3, 6), normal(2, 9, 7, seed=2)
    mask = np.random.default_rng(3).random((2, 3, 9)) < 0.5
    mask[:, :, 0] = True
    mask = jnp.asarray(mask) if masked else None
    np.testing.assert_allclose(
        run(attention, queries, inputs, mask), float64.attention(attention, queries, inputs, mask), atol=1e-5
    )


def test_widths_follow_from_each_other():
    attention = make()
    assert [layer.kernel.shape for layer in (attention.query, attention.key, attention.value, attention.output)] == [
        (6, 6),
        (7, 6),
        (7, 6),
        (6, 6),
    ]
    assert make(v_channels=4).output.kernel.shape == (4, 4)


def test_norms_of_heads_are_as_wide_as_a_head():
    attention = make(qk_channels=8, head_norm=layer_norm)
    assert attention.query_norm.scale.shape == attention.key_norm.scale.shape == (4,)
    q = attention.project_queries(normal(2, 3, 6))
    np.testing.assert_allclose(
        q, attention.query_norm(attention.split_heads(attention.query(normal(2, 3, 6)))), atol=1e-6
    )
    assert make().query_norm is None


def test_a_query_that_may_attend_to_nothing_gets_the_output_bias():
    attention = make()
    mask = np.ones((1, 2, 4), bool)
    mask[0, 1] = False
    found = run(attention, normal(1, 2, 6), normal(1, 4, 7), jnp.asarray(mask))
    np.testing.assert_array_equal(found[0, 1], attention.output.bias[...])


@pytest.mark.parametrize("widths", [{"qk_channels": 8}, {"qk_channels": 9, "v_channels": 8}])
def test_heads_that_do_not_divide_a_width_are_named(widths):
    message = r"num_heads=3 does not divide (qk|v)_channels=8: each head owns an equal share.*that divides 8"
    with pytest.raises(ValueError, match=message):
        Attention(6, 7, num_heads=3, rngs=nnx.Rngs(0), **widths)
    with pytest.raises(ValueError, match="num_heads=0 does not divide channels=8"):
        check_heads(0, channels=8)


def test_weights_start_as_published():
    attention = Attention(512, 512, num_heads=1, qk_channels=256, rngs=nnx.Rngs(0))
    for layer in (attention.query, attention.key, attention.value):
        kernel = np.asarray(layer.kernel[...])
        assert kernel.std() == pytest.approx(512**-0.5, rel=0.02)
        assert abs(kernel.mean()) < 1e-3
        # Cut at two deviations of the normal before the cut, corrected for what the cut takes away.
        assert 0.98 * 2.274 * 512**-0.5 < np.abs(kernel).max() <= 2.274 * 512**-0.5
        np.testing.assert_array_equal(layer.bias[...], 0.0)
    assert np.asarray(attention.output.kernel[...]).std() == pytest.approx(256**-0.5, rel=0.02)


def test_layer_norm_has_the_published_epsilon_and_centred_variance():
    norm = layer_norm(4, nnx.Rngs(0))
    small = jnp.array([[1.0, 1.001, 0.999, 1.002]])
    x = np.asarray(small, np.float64)
    expected = (x - x.mean()) / np.sqrt(((x - x.mean()) ** 2).mean() + 1e-5)
    np.testing.assert_allclose(norm(small), expected, rtol=1e-4)
    np.testing.assert_array_equal(norm.scale[...], 1.0)
    np.testing.assert_array_equal(norm.bias[...], 0.0)
