import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_lab.ops import depth_to_space, extract_patches, flow_patches, space_to_depth


def counting(*shape):
    return jnp.arange(np.prod(shape), dtype=jnp.float32).reshape(shape)


def test_within_a_block_the_channel_is_fastest_then_the_column():
    found = space_to_depth(counting(1, 4, 6, 2), 2)
    assert found.shape == (1, 2, 3, 8)
    # Row 1, column 2 of blocks: pixels (2, 4), (2, 5), (3, 4), (3, 5), two channels each.
    np.testing.assert_array_equal(found[0, 1, 2], [32, 33, 34, 35, 44, 45, 46, 47])


def test_frames_are_slowest_within_a_block():
    found = space_to_depth(counting(1, 4, 2, 2, 1), 2, time_factor=2)
    assert found.shape == (1, 2, 1, 1, 8)
    np.testing.assert_array_equal(found[0, 1, 0, 0], np.arange(8, 16))


def test_a_single_frame_that_remains_is_dropped():
    assert space_to_depth(counting(1, 2, 4, 4, 1), 2, time_factor=2).shape == (1, 2, 2, 8)


@pytest.mark.parametrize(
    ("factor", "time_factor", "rows", "columns", "channels"), [(1, 2, 2, 3, 1), (2, 3, 1, 2, 3), (3, 1, 2, 1, 2)]
)
def test_depth_to_space_is_the_inverse(factor, time_factor, rows, columns, channels):
    images = counting(2, rows * factor, columns * factor, channels)
    np.testing.assert_array_equal(depth_to_space(space_to_depth(images, factor), factor), images)
    videos = counting(2, 2 * time_factor, rows * factor, columns * factor, channels)
    back = depth_to_space(space_to_depth(videos, factor, time_factor), factor, time_factor)
    np.testing.assert_array_equal(back, videos)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: space_to_depth(counting(4, 4, 1), 2), r"wants images \(B, H, W, C\).*got \(4, 4, 1\)"),
        (lambda: space_to_depth(counting(1, 4, 4, 1), 2, 2), "wants images"),
        (lambda: space_to_depth(counting(1, 4, 5, 1), 2), "do not divide 1 frames of 4 x 5"),
        (lambda: space_to_depth(counting(1, 3, 4, 4, 1), 2, 2), "Blocks of 2 frames .* do not divide 3 frames"),
        (lambda: depth_to_space(counting(1, 2, 2, 6), 2), "channels a multiple of 4"),
        (lambda: depth_to_space(counting(2, 2, 8), 2), "depth_to_space wants"),
        (lambda: extract_patches(counting(1, 4, 4, 1), (3, 3), padding="FULL"), "padding='FULL' is unknown"),
        (lambda: extract_patches(counting(1, 4, 4, 1), (5, 5), padding="VALID"), r"\(5, 5\) pixels do not fit"),
        (lambda: extract_patches(counting(1, 4, 4, 1), (5, 4), padding="VALID"), r"\(5, 4\) pixels do not fit"),
        (lambda: extract_patches(counting(1, 4, 4, 1), (4, 5), padding="VALID"), r"\(4, 5\) pixels do not fit"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def patch_by_patch(x, sizes, strides, rates, padding):
    """Window by window, reading zeros outside of the image."""
    rows, columns = x.shape[1:3]
    spans = [(size - 1) * rate + 1 for size, rate in zip(sizes, rates, strict=True)]
    if padding == "VALID":
        counts, before = [(n - s) // t + 1 for n, s, t in zip((rows, columns), spans, strides, strict=True)], (0, 0)
    else:
        counts = [-(-n // t) for n, t in zip((rows, columns), strides, strict=True)]
        totals = [
            max((k - 1) * t + s - n, 0) for k, t, s, n in zip(counts, strides, spans, (rows, columns), strict=True)
        ]
        before = [total // 2 for total in totals]
    out = np.zeros((x.shape[0], *counts, sizes[0], sizes[1], x.shape[-1]), np.float32)
    for r, c, i, j in np.ndindex(*counts, *sizes):
        row, column = r * strides[0] + i * rates[0] - before[0], c * strides[1] + j * rates[1] - before[1]
        if 0 <= row < rows and 0 <= column < columns:
            out[:, r, c, i, j] = x[:, row, column]
    return out.reshape(x.shape[0], *counts, -1)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("sizes", "strides", "rates"),
    [
        ((3, 3), (1, 1), (1, 1)),
        ((5, 6), (1, 1), (1, 1)),
        ((2, 3), (2, 1), (1, 1)),
        ((2, 2), (1, 2), (2, 1)),
        ((1, 4), (3, 3), (1, 1)),
    ],
)
def test_patches_are_windows_flattened_row_column_channel(sizes, strides, rates, padding):
    x = np.asarray(counting(2, 5, 6, 2))
    found = extract_patches(jnp.asarray(x), sizes, strides=strides, rates=rates, padding=padding)
    np.testing.assert_array_equal(found, patch_by_patch(x, sizes, strides, rates, padding))


def test_flow_patches_are_the_neighbourhoods_in_both_frames():
    frames = np.asarray(counting(2, 2, 4, 5, 3))
    found = flow_patches(jnp.asarray(frames))
    assert found.shape == (2, 4, 5, 54)
    around = np.pad(frames, ((0, 0), (0, 0), (1, 1), (1, 1), (0, 0)))
    for row, column in np.ndindex(4, 5):
        expected = around[:, :, row : row + 3, column : column + 3].reshape(2, 54)
        np.testing.assert_array_equal(found[:, row, column], expected)


def test_a_neighbourhood_without_a_middle_is_named():
    with pytest.raises(ValueError, match="size=2: a neighbourhood has a pixel in its middle"):
        flow_patches(jnp.zeros((1, 2, 4, 4, 1)), 2)
