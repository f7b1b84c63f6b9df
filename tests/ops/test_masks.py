import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_lab.ops import check_mask, input_mask, query_mask

MASK = jnp.array([[True, True, False], [False, False, False]])


def test_every_query_may_attend_to_the_valid_inputs():
    found = input_mask(MASK, 2)
    np.testing.assert_array_equal(found, [[[1, 1, 0], [1, 1, 0]], [[0, 0, 0], [0, 0, 0]]])
    assert found.dtype == bool


def test_a_masked_query_may_attend_to_nothing():
    found = query_mask(MASK, 2)
    np.testing.assert_array_equal(found, [[[1, 1], [1, 1], [0, 0]], [[0, 0], [0, 0], [0, 0]]])
    assert found.dtype == bool


def test_a_right_mask_and_no_mask_pass():
    check_mask(MASK, (2, 3), "mask", "(B, M)")
    check_mask(None, (2, 3), "mask", "(B, M)")


@pytest.mark.parametrize("mask", [MASK[0], MASK.T, MASK.astype(jnp.int32), MASK.astype(jnp.float32)])
def test_another_shape_or_type_is_named(mask):
    message = r"mask must be a bool array of shape \(B, M\) = \(2, 3\).*got .* An integer mask becomes one by mask == 1"
    with pytest.raises(ValueError, match=message):
        check_mask(mask, (2, 3), "mask", "(B, M)")
