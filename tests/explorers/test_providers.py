"""Maps and predictions of a real, small Perceiver."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import ClassOutput, ImageInput
from perceiver_lab.explorers import AttentionExplorer, ModelProvider
from perceiver_lab.introspect import attention_maps
from perceiver_lab.models.perceiver import Perceiver, PerceiverConfig


def make_model(num_reads):
    config = PerceiverConfig(
        num_latents=5,
        latent_channels=8,
        num_reads=num_reads,
        num_blocks=2,
        num_self_attends_per_block=1,
        num_self_heads=2,
    )
    rngs = nnx.Rngs(0)
    model = Perceiver(
        config, input_adapter=ImageInput((4, 4, 1), num_bands=2), output_adapter=ClassOutput(8, 3, rngs=rngs), rngs=rngs
    )
    kernel = model.output_adapter.linear.kernel
    kernel[...] = jnp.asarray(np.random.default_rng(0).normal(size=kernel.shape), jnp.float32)
    return model


@pytest.fixture(params=[1, 2])
def model(request):
    return make_model(request.param)


@pytest.fixture
def inputs():
    return np.random.default_rng(1).normal(size=(3, 4, 4, 1)).astype(np.float32)


def test_layers_are_reads_blocks_through_reads_and_rollout(inputs):
    assert ModelProvider(make_model(2), inputs).layers == [
        "read 0",
        "read 1",
        "block 0 layer 0 through read 0",
        "block 1 layer 0 through read 1",
        "rollout",
    ]
    assert ModelProvider(make_model(1), inputs).layers[1:3] == [
        "block 0 layer 0 through read 0",
        "block 1 layer 0 through read 0",
    ]


def test_every_map_is_a_distribution_over_the_inputs(model, inputs):
    provider = ModelProvider(model, inputs)
    for layer in provider.layers:
        maps = provider.maps(2, layer)
        assert maps.shape == (2 if "layer" in layer else 1, 5, 16)
        assert np.allclose(maps.sum(-1), 1, atol=1e-5)


def test_reads_are_the_model_s_own(model, inputs):
    _, maps = attention_maps(model, inputs[1:2])
    assert np.allclose(ModelProvider(model, inputs).maps(1, "read 0"), maps[0].weights[0], atol=1e-6)


def test_prediction_is_the_model_s_own(model, inputs):
    provider = ModelProvider(model, inputs)
    mask = np.array([True, False, True, True, False])
    logits = np.asarray(model(jnp.asarray(inputs[:1]), latent_mask=jnp.asarray(mask)[None]))[0]
    assert np.allclose(provider.predict(0, mask), np.exp(logits) / np.exp(logits).sum(), atol=1e-5)
    assert not np.allclose(provider.predict(0, mask), provider.predict(0, ~mask), atol=1e-3)


def test_later_training_does_not_reach_the_explorer(model, inputs):
    provider = ModelProvider(model, inputs)
    before = provider.predict(1, np.ones(5, bool))
    model.output_adapter.linear.kernel[...] = jnp.zeros((8, 3))
    assert np.array_equal(provider.predict(1, np.ones(5, bool)), before)


def test_from_model_scales_bytes_as_the_pipeline_does(model):
    images = np.random.default_rng(2).integers(0, 256, (2, 4, 4, 1), dtype=np.uint8)
    explorer = AttentionExplorer.from_model(model, images, labels=[0, 1])
    scaled = jnp.asarray(images, jnp.float32) / 127.5 - 1
    logits = np.asarray(model(scaled[:1]))[0]
    expected = np.exp(logits) / np.exp(logits).sum()
    found = explorer.answer({"what": "predict", "example": 0, "off": []})[0]["probabilities"]
    assert np.allclose(found, expected, atol=1e-5)


def test_positions_are_handed_on(model, inputs):
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 4, dtype=np.float32)] * 2, indexing="ij"), -1).reshape(1, 16, 2)
    positions = np.repeat(grid, 3, axis=0)
    moved = ModelProvider(model, inputs, positions * 0.5).maps(0, "read 0")
    same = ModelProvider(model, inputs, positions).maps(0, "read 0")
    assert np.allclose(same, ModelProvider(model, inputs).maps(0, "read 0"), atol=1e-5)
    assert not np.allclose(moved, same, atol=1e-4)


def test_other_models_and_no_examples(model):
    with pytest.raises(ValueError, match="Linear has no latents"):
        ModelProvider(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), np.zeros((1, 4, 4, 1), np.float32))
    with pytest.raises(ValueError, match="no example"):
        ModelProvider(model, np.zeros((0, 4, 4, 1), np.float32))
