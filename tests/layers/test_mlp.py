import numpy as np
import pytest
from flax import nnx

from perceiver_lab.layers.mlp import GatedMLP
from tests.drawn import drawn, normal


def test_a_gated_mlp_is_its_formula_and_has_no_biases():
    mlp, x = drawn(lambda: GatedMLP(4, 6, rngs=nnx.Rngs(0))), normal(2, 3, 4)
    assert [layer.bias for layer in (mlp.gate, mlp.expand, mlp.contract)] == [None] * 3
    gate, expand, contract = (np.asarray(one.kernel[...], np.float64) for one in (mlp.gate, mlp.expand, mlp.contract))
    opened = np.asarray(x, np.float64) @ gate
    expected = (opened / (1 + np.exp(-opened)) * (x @ expand)) @ contract
    np.testing.assert_allclose(mlp(x), expected, atol=1e-5)


def test_an_unknown_activation_is_named():
    with pytest.raises(ValueError, match="activation='swish' is unknown; choose one of gelu"):
        GatedMLP(4, 6, activation="swish", rngs=nnx.Rngs(0))
