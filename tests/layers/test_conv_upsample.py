import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.layers import ConvUpsample, TransposedConv
from tests.drawn import drawn, normal

run = nnx.jit(lambda layer, x: layer(x))


def by_hand(x, kernel, bias, strides):
    """Zeros between the samples, a border of 2 before and 2 (or, without growth, 1) after, a correlation."""
    grown = np.zeros([(n - 1) * stride + 1 for n, stride in zip(x.shape, strides, strict=False)] + [x.shape[-1]])
    grown[tuple(slice(None, None, stride) for stride in strides)] = x
    padded = np.pad(grown, [(2, 2 if stride == 2 else 1) for stride in strides] + [(0, 0)])
    sides = [n * stride for n, stride in zip(x.shape, strides, strict=False)]
    out, taps = np.zeros([*sides, kernel.shape[-2]]), kernel.reshape(-1, *kernel.shape[-2:])
    for place in np.ndindex(*sides):
        window = padded[tuple(slice(start, start + 4) for start in place)]
        out[place] = np.einsum("toi,ti->o", taps, window.reshape(-1, x.shape[-1])) + bias
    return out


@pytest.mark.parametrize("strides", [(2, 2), (1, 2, 2), (2, 1, 1)], ids=str)
def test_a_transposed_convolution_is_a_correlation_of_samples_with_zeros_between(strides):
    conv = drawn(lambda: TransposedConv(3, 2, strides=strides, rngs=nnx.Rngs(0)))
    x = normal(2, *[2, 3, 2][-len(strides) :], 3)
    expected = by_hand(np.asarray(x[1]), np.asarray(conv.kernel[...]), np.asarray(conv.bias[...]), strides)
    np.testing.assert_allclose(run(conv, x)[1], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "shape", "widths"),
    [
        ({}, (8, 12, 3), [6, 3]),
        ({"space": 3}, (16, 24, 3), [12, 6, 3]),
        ({"space": 1, "time": 2}, (8, 4, 6, 3), [6, 3]),
        ({"space": 0, "time": 1}, (4, 2, 3, 3), [3]),
    ],
)
def test_sides_double_and_channels_halve(options, shape, widths):
    upsample = drawn(lambda: ConvUpsample(5, 3, rngs=nnx.Rngs(0), **options))
    x = normal(1, *(2, 2, 3)[4 - len(shape) :], 5)
    assert nnx.eval_shape(lambda upsample: upsample(x), upsample).shape == (1, *shape)
    assert [conv.kernel.shape[-2] for conv in upsample.convs] == widths


def test_relu_between_the_layers_only():
    @nnx.jit
    def both(upsample, x):
        first, second = upsample.convs
        return upsample(x), second(jax.nn.relu(first(x)))

    found, expected = both(drawn(lambda: ConvUpsample(2, 1, rngs=nnx.Rngs(0))), normal(1, 2, 2, 2))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.asarray(found).min() < 0


def test_videos_without_time_are_enlarged_frame_by_frame():
    upsample, x = drawn(lambda: ConvUpsample(2, 1, rngs=nnx.Rngs(0))), normal(2, 3, 2, 2, 2)
    np.testing.assert_allclose(run(upsample, x)[:, 1], run(upsample, x[:, 1]), atol=1e-6)


def test_weights_start_as_in_the_release():
    kernel = np.asarray(TransposedConv(16, 8, strides=(2, 2), rngs=nnx.Rngs(0)).kernel[...])
    assert kernel.std() == pytest.approx(0.88 / 16, rel=0.03)  # 1 / sqrt(4 * 4 * 16), cut at two deviations


def over_time():
    return ConvUpsample(2, 1, time=1, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ConvUpsample(2, 1, space=0, rngs=nnx.Rngs(0)), "space=0 and time=0: give at least one doubling"),
        (lambda: ConvUpsample(2, 1, space=-1, time=1, rngs=nnx.Rngs(0)), "none below 0"),
        (
            lambda: drawn(lambda: ConvUpsample(2, 1, time=1, rngs=nnx.Rngs(0)))(normal(1, 2, 2, 2)),
            r"takes videos .*\(1, 2, 2, 2\)",
        ),
        (lambda: drawn(lambda: ConvUpsample(2, 1, rngs=nnx.Rngs(0)))(jnp.zeros((1, 4, 2))), "takes images or videos"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
