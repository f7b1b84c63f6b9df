"""The pointer: who points at whom, and never at padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab.adapters import Pointer

VECTORS = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 6)), jnp.float32)


@pytest.fixture(scope="module")
def pointer():
    return Pointer(6, pointer_channels=4, rngs=nnx.Rngs(0))


def test_the_logits_are_those_of_the_formula(pointer):
    logits = pointer(VECTORS)
    assert logits.shape == (2, 5, 5)
    q = VECTORS[1, 2] @ pointer.from_vector.kernel[...] + pointer.from_vector.bias[...]
    k = VECTORS[1, 4] @ pointer.at_vector.kernel[...] + pointer.at_vector.bias[...]
    np.testing.assert_allclose(logits[1, 2, 4], q @ k / 2, rtol=1e-5)
    assert Pointer(6, rngs=nnx.Rngs(0)).from_vector.out_features == 6


@settings(max_examples=40)
@given(st.data())
def test_what_is_not_there_is_never_pointed_at(data):
    """Whatever the vectors: its probability is exactly 0, and the others' are those among themselves."""
    size = data.draw(st.sampled_from([1, 6]))
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=size, max_size=size).filter(any)))
    scale = data.draw(st.sampled_from([1e-3, 1.0, 1e3]))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    vectors = jnp.asarray(scale * rng.normal(size=(1, size, 6)), jnp.float32)
    pointer = Pointer(6, rngs=nnx.Rngs(1))
    chance = np.asarray(jax.nn.softmax(pointer(vectors, mask=jnp.asarray(kept)[None]), axis=-1))
    assert (chance[..., ~kept] == 0).all()
    assert kept[chance[0].argmax(axis=-1)].all()
    among = jax.nn.softmax(pointer(vectors[:, kept]), axis=-1)
    np.testing.assert_allclose(chance[:, kept][..., kept], among, rtol=2e-3, atol=1e-6)


def test_what_does_not_fit_is_named(pointer):
    with pytest.raises(ValueError, match=r"Vectors must be \(B, M, 6\), one per element.*got \(2, 5, 4\)"):
        pointer(VECTORS[..., :4])
    with pytest.raises(ValueError, match=r"M at least 1; got \(2, 0, 6\)"):
        pointer(VECTORS[:, :0])
    with pytest.raises(ValueError, match=r"mask must be .*\(2, 5\)"):
        pointer(VECTORS, mask=jnp.ones((2, 4), bool))
    with pytest.raises(ValueError, match=r"The sets \[1\] of this batch have no elements"):
        pointer(VECTORS, mask=jnp.asarray([[True] * 5, [False] * 5]))
