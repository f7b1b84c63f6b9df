"""Windows of two frames: the right pixels, at the right places, whichever pixels are asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters.windows import WindowInput, standardised

SHAPE = (2, 8, 12, 3)
FRAMES = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (3, *SHAPE)).astype(np.float32))


@pytest.fixture(scope="module")
def adapter():
    return WindowInput(SHAPE, size=3, hidden_channels=7, channels=5, num_bands=2, rngs=nnx.Rngs(0))


def by_hand(frames, row, column):
    """The window of one example around one pixel, looked up pixel by pixel."""
    grey = np.asarray(frames).mean(-1)
    grey = (grey - grey[0].mean()) / grey[0].std()
    far = grey.reshape(2, 4, 2, 6, 2).mean((2, 4))
    values = []
    for level, middle in ((grey, (row, column)), (far, (row // 2, column // 2))):
        for frame in level:
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    y, x = middle[0] + i, middle[1] + j
                    inside = 0 <= y < frame.shape[0] and 0 <= x < frame.shape[1]
                    values.append(frame[y, x] if inside else 0.0)
    return np.array(values)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (7, 11), (4, 0)])
def test_what_a_row_is_made_of(adapter, row, column):
    found = adapter(FRAMES, cells=jnp.array([row * 12 + column]))
    hidden = jax.nn.gelu(adapter.expand(jnp.asarray(by_hand(FRAMES[1], row, column), jnp.float32)))
    np.testing.assert_allclose(found[1, 0, :5], adapter.contract(hidden), atol=1e-5)
    coordinates = [row / 7 * 2 - 1, column / 11 * 2 - 1]
    np.testing.assert_allclose(found[1, 0, 5:7], coordinates, atol=1e-6)
    assert found.shape == (3, 1, adapter.num_channels) == (3, 1, 5 + 2 + 2 * 2 * 2)


def test_parts_are_parts_of_the_whole(adapter):
    whole = adapter(FRAMES)
    assert whole.shape == (3, 96, adapter.num_channels)
    np.testing.assert_allclose(adapter.features(FRAMES), whole[..., :5], atol=1e-6)
    same = jnp.array([5, 90, 5])
    np.testing.assert_allclose(adapter(FRAMES, cells=same), whole[:, same], atol=1e-5)
    each = jnp.array([[0, 1], [50, 2], [95, 95]])
    expected = jnp.take_along_axis(whole, each[..., None], axis=1)
    np.testing.assert_allclose(adapter(FRAMES, cells=each), expected, atol=1e-5)


def test_brightness_and_contrast_do_not_count(adapter):
    np.testing.assert_allclose(adapter(0.3 * FRAMES + 0.2), adapter(FRAMES), atol=1e-4)
    # But a frame that is brighter than the other stays so.
    brighter = FRAMES.at[:, 1].add(0.5)
    assert float(jnp.abs(adapter(brighter) - adapter(FRAMES)).max()) > 0.05
    assert np.isfinite(standardised(jnp.zeros((1, 2, 4, 4)))).all()


@pytest.mark.parametrize(
    ("shape", "size"), [((2, 8, 12, 3), 4), ((3, 8, 12, 3), 3), ((2, 7, 12, 3), 3), ((2, 8, 11, 3), 3), ((8, 12, 3), 3)]
)
def test_impossible_windows(shape, size):
    with pytest.raises(ValueError, match=r"give \(2, height, width, colours\), sides even, and an odd size"):
        WindowInput(shape, size=size, hidden_channels=7, channels=5, num_bands=2, rngs=nnx.Rngs(0))


def test_other_frames_are_refused(adapter):
    with pytest.raises(ValueError, match=r"reads pairs of frames \(B, 2, 8, 12, 3\); got shape \(3, 2, 8, 12, 1\)"):
        adapter(FRAMES[..., :1])
    with pytest.raises(ValueError, match="leave `positions` out"):
        adapter(FRAMES, positions=jnp.zeros((3, 96, 2)))
