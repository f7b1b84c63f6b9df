import numpy as np
import pytest

from perceiver_lab.introspect import position_share


def maps(rng, *shape):
    weights = np.exp(rng.normal(size=shape))
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)


def test_one_for_what_never_changes_and_next_to_nothing_for_what_always_does():
    rng = np.random.default_rng(0)
    fixed = np.broadcast_to(maps(rng, 1, 2, 1, 8), (400, 2, 1, 8))
    spots = np.eye(8, dtype=np.float32)[rng.integers(0, 8, (400, 2, 1))]
    share = position_share(np.concatenate([fixed, spots], axis=2))
    assert share.shape == (2, 2)
    np.testing.assert_allclose(share[:, 0], 1.0, atol=1e-6)
    assert share[:, 1].max() < 0.02


def test_in_between_it_is_the_part_of_the_squared_length_that_stays():
    even, step = np.full(4, 0.25), np.array([0.05, -0.05, 0.05, -0.05])
    stays = np.array([0.1, 0.1, -0.1, -0.1])
    weights = np.stack([even + stays + step, even + stays - step]).astype(np.float32)[:, None, None]
    np.testing.assert_allclose(position_share(weights), [[0.04 / (0.04 + 0.01)]], rtol=1e-5)


def test_an_even_map_looks_at_nothing_and_never_changes():
    assert position_share(np.full((3, 1, 1, 4), 0.25, np.float32)) == 1.0


def test_one_example_is_too_few():
    with pytest.raises(ValueError, match="maps of several examples; got 1"):
        position_share(np.full((1, 1, 1, 4), 0.25, np.float32))
