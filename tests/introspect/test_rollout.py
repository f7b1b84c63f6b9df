import numpy as np
import pytest
from flax import nnx

from perceiver_lab.introspect import attention_maps, rollout
from perceiver_lab.layers import AttentionMap
from perceiver_lab.models.baselines import ViT, ViTConfig

B, H, N, M = 2, 3, 4, 6


def weights(rows, columns, seed=0):
    random = np.random.default_rng(seed).random((B, H, rows, columns))
    return (random / random.sum(-1, keepdims=True)).astype(np.float32)


def mean(entry):
    return entry.weights.astype(np.float64).mean(1)


@pytest.fixture
def maps():
    names = ("read 0", N, M), ("block 0 layer 0", N, N), ("read 1", N, M), ("block 1 layer 0", N, N), ("decode", 5, N)
    return [AttentionMap(name, weights(*shape, seed)) for seed, (name, *shape) in enumerate(names)]


def test_the_first_read_is_its_own_rollout(maps):
    np.testing.assert_allclose(rollout(maps[:1]), mean(maps[0]), atol=1e-6)


@pytest.mark.parametrize(("residual", "read_residual"), [(0.5, None), (0.2, None), (0.5, 0.0)])
def test_layers_multiply_and_later_reads_add(maps, residual, read_residual):
    kept = residual if read_residual is None else read_residual
    expected = mean(maps[0])
    expected = ((1 - residual) * mean(maps[1]) + residual * np.eye(N)) @ expected
    expected = (1 - kept) * mean(maps[2]) + kept * expected
    expected = ((1 - residual) * mean(maps[3]) + residual * np.eye(N)) @ expected
    found = rollout(maps[:4], residual=residual, read_residual=read_residual)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(rollout(maps, residual=residual, read_residual=read_residual), mean(maps[4]) @ expected,
                               atol=1e-6)  # fmt: skip


def test_rows_sum_to_one(maps):
    for number in range(1, len(maps) + 1):
        found = rollout(maps[:number])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.sum(-1), 1.0, atol=1e-5)


def test_without_attention_between_latents_each_keeps_what_it_read(maps):
    identity = np.broadcast_to(np.eye(N, dtype=np.float32), (B, H, N, N))
    np.testing.assert_allclose(rollout([maps[0], AttentionMap("block 0 layer 0", identity)]), mean(maps[0]), atol=1e-6)


def test_a_transformer_starts_from_itself():
    layers = [AttentionMap(f"layer {i}", weights(N, N, i)) for i in range(2)]
    expected = (mean(layers[1]) + np.eye(N)) @ (mean(layers[0]) + np.eye(N)) / 4
    np.testing.assert_allclose(rollout(layers), expected, atol=1e-6)


def test_latents_that_read_nothing_have_rows_of_zeros_or_what_others_tell_them(maps):
    silent = maps[0].weights.copy()
    silent[:, :, 1] = 0
    np.testing.assert_array_equal(rollout([AttentionMap("read 0", silent)])[:, 1], 0.0)
    np.testing.assert_allclose(rollout([AttentionMap("read 0", silent), maps[1]]).sum(-1), 1.0, atol=1e-5)


def test_a_model_is_rolled_out_as_its_maps_come(make, images):
    model = make(num_reads=2, num_blocks=2)
    mask = np.ones((2, 16), bool)
    mask[:, 5:] = False
    found = rollout(attention_maps(model, images, mask=mask)[1])
    assert found.shape == (2, 5, 16)
    np.testing.assert_allclose(found[..., :5].sum(-1), 1.0, atol=1e-5)
    vit = ViT(ViTConfig(shape=(4, 4, 1), num_classes=3, patch=2, channels=8, num_layers=2), rngs=nnx.Rngs(0))
    assert rollout(attention_maps(vit, images)[1]).shape == (2, 4, 4)


@pytest.mark.parametrize(
    ("choose", "options", "message"),
    [
        (lambda maps: [], {}, "There are no maps to roll out"),
        (lambda maps: maps, {"residual": 1.0}, "residual=1.0 is the share of a layer that is its own input"),
        (lambda maps: maps, {"read_residual": -0.1}, "read_residual=-0.1"),
        (lambda maps: [entry.weights for entry in maps], {}, r"AttentionMap\(name, weights .*got ndarray"),
        (lambda maps: [maps[0], AttentionMap("block 0 layer 0", weights(3, 3))], {}, "does not follow on the maps"),
        (lambda maps: [maps[0], AttentionMap("read 1", weights(N, 5))], {}, "'read 1' has shape .2, 4, 5. without its"),
        (lambda maps: maps[4:], {}, "looks back at nothing"),
        (lambda maps: [AttentionMap("block 0 layer 0", weights(N, 3))], {}, "does not follow on the maps"),
    ],
)
def test_maps_that_do_not_fit_are_named(maps, choose, options, message):
    with pytest.raises(ValueError, match=message):
        rollout(choose(maps), **options)
