import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import Conv1x1Output, ConvOutput, FlowOutput, GridOutput, PatchesOutput
from perceiver_lab.ops import space_to_depth


def normal(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def test_rows_are_put_on_their_grid_row_by_row():
    rows = normal(2, 6, 3)
    np.testing.assert_array_equal(GridOutput((2, 3))(rows)[1, 1, 2], rows[1, 5])
    np.testing.assert_array_equal(GridOutput((2, 3))(rows[:, :4], whole=False), rows[:, :4])


def test_flow_is_rescaled():
    rows = normal(2, 6, 2)
    np.testing.assert_allclose(FlowOutput((2, 3))(rows), rows.reshape(2, 2, 3, 2) * 0.2, rtol=1e-6)
    other = FlowOutput((2, 3), divide_by=4.0, multiply_by=1.0)
    np.testing.assert_allclose(other(rows[:, :1], whole=False), rows[:, :1] / 4, rtol=1e-6)


def test_a_linear_layer_on_the_grid_with_a_stride():
    rows = normal(2, 12, 5)
    plain, strided = (Conv1x1Output(5, 2, grid=(3, 4), stride=stride, rngs=nnx.Rngs(0)) for stride in (1, 2))
    assert plain(rows).shape == (2, 3, 4, 2)
    np.testing.assert_allclose(plain(rows)[:, 1, 2], rows[:, 6] @ plain.linear.kernel[...], atol=1e-6)
    np.testing.assert_array_equal(strided(rows), plain(rows)[:, ::2, ::2])
    assert plain(rows[:, :5], whole=False).shape == (2, 5, 2)


@pytest.mark.parametrize("shape", [(4, 6, 3), (2, 4, 6, 3), (1, 4, 6, 3)], ids=["image", "video", "one frame"])
def test_patches_are_put_back_where_they_were_cut(shape):
    pixels = normal(2, *shape)
    time = 2 if shape[0] == 2 else 1
    grid = (1,) * (len(shape) - 3) + (2, 3)
    output = PatchesOutput(grid, factor=2, time_factor=time)
    rows = space_to_depth(pixels, 2, time).reshape(2, 6, -1)
    np.testing.assert_array_equal(output(rows), pixels)
    np.testing.assert_array_equal(output(rows[:, :2], whole=False), rows[:, :2])
    np.testing.assert_array_equal(output.select(pixels, jnp.array([5, 0])), rows[:, jnp.array([5, 0])])
    np.testing.assert_array_equal(output.select(pixels), pixels)


def test_convolutions_enlarge_the_grid():
    image = ConvOutput(5, 3, grid=(2, 3), rngs=nnx.Rngs(0))
    assert image(normal(2, 6, 5)).shape == (2, 8, 12, 3)
    video = ConvOutput(5, 3, grid=(2, 2, 3), space=2, time=1, rngs=nnx.Rngs(0))
    assert video(normal(2, 12, 5)).shape == (2, 4, 8, 12, 3)
    # A neighbour's change is seen: rows are not enlarged one by one.
    rows = normal(1, 6, 5)
    changed = image(rows) != image(rows.at[0, 0].add(1.0))
    assert changed[0, :, :8].any()
    assert not changed[0, :, 9:].any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GridOutput((2, 3))(normal(2, 5, 1)), r"5 decoded queries do not fill a grid of \(2, 3\), 6 cells"),
        (lambda: FlowOutput((2, 3), divide_by=0.0), "divide_by=0: give the number of units"),
        (
            lambda: ConvOutput(5, 3, grid=(2, 3), rngs=nnx.Rngs(0))(normal(1, 2, 5), whole=False),
            "whole grid of decoded queries, not a selection",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
