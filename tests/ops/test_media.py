"""Which text may see which image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_lab.ops.media import image_mask, images_so_far, only_earlier, spread_over_time

MARKERS = jnp.array([[0, 1, 0, 0, 1, 0], [1, 1, 0, 0, 0, 0]], bool)
PHI = np.array([[0, 1, 1, 1, 2, 2], [1, 2, 2, 2, 2, 2]])


def test_a_marker_counts_for_itself():
    np.testing.assert_array_equal(images_so_far(MARKERS), PHI)


@pytest.mark.parametrize("attend", ["last", "previous"])
def test_masks_say_what_phi_says(attend):
    mask = np.asarray(image_mask(images_so_far(MARKERS), 2, attend=attend))
    for row in range(2):
        for token in range(6):
            phi = PHI[row, token]
            seen = {phi - 1} if attend == "last" else set(range(phi))
            assert set(np.flatnonzero(mask[row, token])) == seen - {-1}


def test_text_before_all_images_sees_none():
    for attend in ("last", "previous"):
        assert not image_mask(images_so_far(MARKERS), 2, attend=attend)[0, 0].any()


def test_written_on_with_what_was_kept():
    """The new token is the last of a longer text."""
    total = MARKERS.sum(axis=1, keepdims=True)
    longer = images_so_far(jnp.pad(MARKERS, ((0, 0), (0, 1))))
    np.testing.assert_array_equal(image_mask(total, 3)[:, 0], image_mask(longer, 3)[:, -1])


def test_more_markers_than_images():
    with pytest.raises(ValueError, match="announces 2 images, but 1 were given. Give as many images"):
        image_mask(images_so_far(MARKERS), 1)
    inside = jax.jit(lambda phi: image_mask(phi, 1))(images_so_far(MARKERS))
    assert not inside[0, 4:].any()  # nothing can be refused there: an image that is not there is not seen


def test_an_unknown_way_to_attend():
    with pytest.raises(ValueError, match="attend='next' is unknown; choose one of 'last', 'previous'"):
        image_mask(images_so_far(MARKERS), 2, attend="next")


def test_a_later_image_is_refused():
    phi = images_so_far(MARKERS)
    good = image_mask(phi, 2, attend="previous").at[1, 3, 0].set(False)
    np.testing.assert_array_equal(only_earlier(good, phi), good)
    bad = good.at[0, 2, 1].set(True)
    with pytest.raises(ValueError, match=r"lets token 2 of text 0 see image 1, which is announced only later \(1 im"):
        only_earlier(bad, phi)
    np.testing.assert_array_equal(jax.jit(only_earlier)(bad, phi), good)  # inside of a compiled function: masked out


@pytest.mark.parametrize("mask", [jnp.ones((2, 5, 2), bool), jnp.ones((2, 6), bool), jnp.ones((2, 6, 2), int)])
def test_masks_of_another_shape_or_type(mask):
    with pytest.raises(ValueError, match=r"must be a bool array \(B, N, images\) = \(2, 6, 'images'\)"):
        only_earlier(mask, images_so_far(MARKERS))


@pytest.mark.parametrize(("rows", "frames"), [(4, 7), (4, 13), (2, 5), (1, 3), (3, 3)])
def test_rows_are_spread_linearly(rows, frames):
    table = np.random.default_rng(0).normal(size=(rows, 5)).astype(np.float32)
    expected = [np.interp(np.linspace(0, rows - 1, frames), np.arange(rows), column) for column in table.T]
    np.testing.assert_allclose(spread_over_time(jnp.asarray(table), frames), np.stack(expected, axis=1), atol=1e-6)
