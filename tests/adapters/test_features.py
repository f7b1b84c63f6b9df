import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import AudioPatches, Conv1x1, Convolutions, FlowPatches, Patches, Pixels
from perceiver_lab.ops import flow_patches, space_to_depth


def normal(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def check_sizes(features, x):
    """What a feature layer announces is what it gives."""
    found = features(x)
    assert found.shape == (x.shape[0], *features.grid, features.num_channels)
    assert tuple(x.shape[1:]) == features.shape
    return found


def test_pixels_come_as_they_are():
    x = normal(2, 4, 5, 3)
    np.testing.assert_array_equal(check_sizes(Pixels((4, 5, 3)), x), x)


@pytest.mark.parametrize("sides", [(4, 6), (5, 7)])
def test_every_second_pixel(sides):
    x = normal(2, *sides, 1)
    np.testing.assert_array_equal(check_sizes(Pixels((*sides, 1), factor=2), x), x[:, ::2, ::2])


def test_every_third_frame_of_every_second_pixel():
    x = normal(1, 7, 4, 4, 1)
    found = check_sizes(Pixels((7, 4, 4, 1), factor=2, time_factor=3), x)
    np.testing.assert_array_equal(found, x[:, ::3, ::2, ::2])


def test_patches_are_space_to_depth():
    x = normal(2, 4, 6, 3)
    np.testing.assert_array_equal(check_sizes(Patches((4, 6, 3), factor=2), x), space_to_depth(x, 2))


def test_patches_of_videos_and_a_single_frame_that_remains():
    assert check_sizes(Patches((4, 4, 4, 1), factor=2, time_factor=2), normal(1, 4, 4, 4, 1)).shape == (1, 2, 2, 2, 8)
    assert check_sizes(Patches((2, 4, 4, 1), factor=2, time_factor=2), normal(1, 2, 4, 4, 1)).shape == (1, 2, 2, 8)


def test_patches_through_a_linear_layer():
    features, x = Patches((4, 4, 3), factor=2, channels=5, rngs=nnx.Rngs(0)), normal(2, 4, 4, 3)
    np.testing.assert_allclose(check_sizes(features, x), space_to_depth(x, 2) @ features.linear.kernel[...], atol=1e-5)


def test_convolutions_shrink_images_to_a_quarter():
    check_sizes(Convolutions((9, 8, 3), channels=4, rngs=nnx.Rngs(0)), normal(2, 9, 8, 3))
    no_layers = Convolutions((9, 8, 3), channels=4, num_layers=0, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(check_sizes(no_layers, normal(2, 9, 8, 3)), normal(2, 9, 8, 3))


def test_convolutions_take_videos_frame_by_frame():
    features = Convolutions((3, 8, 8, 2), channels=4, batch_norm=False, rngs=nnx.Rngs(0))
    x = normal(2, 3, 8, 8, 2)
    found = check_sizes(features, x)
    np.testing.assert_allclose(found[:, 1], features.downsample(x[:, 1]), atol=1e-5)


def test_training_reaches_the_batch_norm():
    features = Convolutions((8, 8, 1), channels=2, rngs=nnx.Rngs(0))
    features(normal(2, 8, 8, 1), train=True)
    assert int(features.downsample.norms[0].steps[...]) == 1


def test_a_1x1_convolution_is_a_linear_layer_on_each_pixel():
    features, x = Conv1x1((4, 5, 3), channels=6, factor=2, rngs=nnx.Rngs(0)), normal(2, 4, 5, 3)
    np.testing.assert_allclose(check_sizes(features, x), x[:, ::2, ::2] @ features.linear.kernel[...], atol=1e-5)


def test_sound_is_cut_into_stretches():
    x = jnp.arange(12.0).reshape(1, 12, 1)
    np.testing.assert_array_equal(check_sizes(AudioPatches(12, samples_per_patch=4), x)[0, 1], [4, 5, 6, 7])


@pytest.mark.parametrize("make", [Pixels, lambda shape: Patches(shape, factor=1)])
@pytest.mark.parametrize("shape", [(4, 4), (4, 0, 1), (1, 2, 3, 4, 5)])
def test_a_shape_that_is_no_image_is_named(make, shape):
    with pytest.raises(ValueError, match=r"give the shape of one example without the batch, \(height, width, channels"):
        make(shape)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Patches((4, 5, 1), factor=2), r"Blocks of \(2, 2\) do not divide an input of \(4, 5\)"),
        (lambda: Patches((3, 4, 4, 1), factor=2, time_factor=2), r"Blocks of \(2, 2, 2\) do not divide"),
        (
            lambda: Patches((4, 4, 1), factor=2, channels=3),
            r"layer on the patches .* give rngs=nnx.Rngs\(seed\)",
        ),
        (lambda: AudioPatches(10, samples_per_patch=4), "samples_per_patch=4 does not divide num_samples=10"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_neighbourhoods_in_two_frames():
    x = normal(2, 2, 4, 5, 3)
    np.testing.assert_array_equal(check_sizes(FlowPatches((2, 4, 5, 3)), x), flow_patches(x))
    linear = FlowPatches((2, 4, 5, 3), size=5, channels=7, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(check_sizes(linear, x), linear.linear(flow_patches(x, 5)), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FlowPatches((4, 5, 3)), r"shape=\(4, 5, 3\), size=3: give \(frames, height, width, channels\)"),
        (lambda: FlowPatches((2, 4, 5, 3), size=2), "an odd size"),
        (lambda: FlowPatches((2, 4, 5, 3), channels=7), "The linear layer on the patches has weights"),
    ],
)
def test_neighbourhoods_that_there_are_none_of_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
