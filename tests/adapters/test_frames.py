"""Features of frames."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import FrameInput

FRAMES = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 16, 8, 3)).astype(np.float32))


def test_each_frame_by_itself():
    vision = FrameInput((16, 8, 3), (5, 24), rngs=nnx.Rngs(0))
    features = vision(FRAMES)
    assert features.shape == (2, 3, 4, 4 * 2, 24) and vision.grid == (4, 2) and vision.num_channels == 24
    np.testing.assert_allclose(vision(FRAMES[0, 1]), features[0, 1], atol=1e-5)
    assert np.abs(features.mean(axis=-1)).max() < 1e-5 and features.std(axis=-1).min() > 0.9  # as loud everywhere


def test_cells_are_row_major():
    vision = FrameInput((16, 8, 3), (5,), rngs=nnx.Rngs(0))
    moved = jnp.abs(vision(FRAMES.at[..., 0, 7, :].add(1.0)) - vision(FRAMES)).max(axis=(0, 1, 2, 4))
    assert moved.reshape(8, 4)[0, 3] > 0 and moved.reshape(8, 4)[3:].max() == 0


@pytest.mark.parametrize("shape", [(1, 16, 8, 4), (1, 8, 16, 3), (16, 8, 3), (0, 16, 8, 3)])
def test_frames_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"reads frames \(..., 16, 8, 3\) with at least one leading axis"):
        FrameInput((16, 8, 3), (5, 6), rngs=nnx.Rngs(0))(jnp.zeros(shape))


@pytest.mark.parametrize(("shape", "channels"), [((15, 8, 3), (5,)), ((16, 8, 3), ()), ((2, 16, 8, 3), (5,))])
def test_sides_that_cannot_be_halved(shape, channels):
    with pytest.raises(ValueError, match="each halves the sides evenly"):
        FrameInput(shape, channels, rngs=nnx.Rngs(0))
