import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import PositionQueries
from perceiver_lab.introspect import attention_maps, maps
from perceiver_lab.layers import LearnedPositions
from perceiver_lab.models import Decoder, PerceiverIO
from perceiver_lab.models.baselines import ConvNet, ConvNetConfig, ViT, ViTConfig
from perceiver_lab.ops import grid_coordinates


@pytest.mark.parametrize("layers", [1, 9])
def test_every_layer_in_order_with_the_answer_unchanged(make, images, layers):
    model = make(num_reads=2, num_blocks=2, num_self_attends_per_block=layers)
    logits, found = attention_maps(model, images)
    np.testing.assert_allclose(logits, nnx.jit(lambda model: model(images))(model), atol=1e-4)
    blocks = [[f"block {block} layer {layer}" for layer in range(layers)] for block in range(2)]
    assert [entry.name for entry in found] == ["read 0", *blocks[0], "read 1", *blocks[1]]
    for name, weights in found:
        assert isinstance(weights, np.ndarray)
        assert weights.dtype == np.float32
        assert weights.shape == ((2, 1, 5, 16) if name.startswith("read") else (2, 2, 5, 5))
        np.testing.assert_allclose(weights.sum(-1), 1.0, atol=1e-5)


def test_positions_and_masks_are_handed_on(make, images):
    model = make()
    positions = jnp.broadcast_to(grid_coordinates((4, 4))[None, ::-1], (2, 16, 2))
    mask = jnp.ones((2, 16), bool).at[:, 3].set(False)
    latent_mask = jnp.ones((2, 5), bool).at[:, 1].set(False)
    options = {"positions": positions, "mask": mask, "latent_mask": latent_mask}
    logits, found = attention_maps(model, images, **options)
    np.testing.assert_allclose(logits, nnx.jit(lambda model: model(images, **options))(model), atol=1e-5)
    np.testing.assert_array_equal(found[0].weights[..., 3], 0.0)
    np.testing.assert_array_equal(found[1].weights[..., 1], 0.0)


def test_compiled_once_for_each_structure_and_shape_and_never_with_frozen_weights(make, images, monkeypatch):
    maps._looking.cache_clear()
    traced, record = [], maps.record_attention
    monkeypatch.setattr(maps, "record_attention", lambda *given: traced.append(1) or record(*given))
    model = make()
    before, _ = attention_maps(model, images)
    model.output_adapter.linear.bias[...] += 1.0
    after, _ = attention_maps(model, images)
    np.testing.assert_allclose(after - before, 1.0, atol=1e-5)
    attention_maps(make(), images)
    assert maps._looking.cache_info().currsize == len(traced) == 1
    attention_maps(model, images[:1])
    assert len(traced) == 2


def test_a_layers_own_weights_put_in_its_place_change_nothing_and_others_do(make, images):
    model = make(num_reads=2, num_blocks=2)
    logits, found = attention_maps(model, images)
    own = {name: weights for name, weights in found if name in ("read 0", "block 1 layer 0")}
    again, _ = attention_maps(model, images, replace=own)
    np.testing.assert_allclose(again, logits, atol=1e-5)
    corner = np.zeros((1, 1, 5, 16), np.float32)
    corner[..., 0] = 1.0
    moved, looked = attention_maps(model, images, replace={"read 0": corner})
    np.testing.assert_array_equal(looked[0].weights, np.repeat(corner, 2, axis=0))
    assert np.abs(moved - logits).max() > 1e-3
    with pytest.raises(ValueError, match="those of read 9, but the layers that attended are read 0"):
        attention_maps(model, images, replace={"read 9": corner})


def test_a_decoder_is_recorded_as_well(make, images):
    encoder = make()
    decoder = Decoder(
        PositionQueries(LearnedPositions((6,), 4, rngs=nnx.Rngs(0))), 8, output_channels=2, rngs=nnx.Rngs(1)
    )
    model = PerceiverIO(encoder.config, input_adapter=encoder.input_adapter, decoder=decoder, rngs=nnx.Rngs(2))
    out, found = attention_maps(model, images)
    assert out.shape == (2, 6, 2)
    assert [entry.name for entry in found] == ["read 0", "block 0 layer 0", "decode"]
    assert found[-1].weights.shape == (2, 1, 6, 5)


def test_other_models_that_attend(images):
    model = ViT(ViTConfig(shape=(4, 4, 1), num_classes=3, patch=2, channels=8, num_layers=2), rngs=nnx.Rngs(0))
    logits, found = attention_maps(model, images)
    assert logits.shape == (2, 3)
    assert [entry.weights.shape for entry in found] == [(2, 4, 4, 4)] * 2


def test_a_model_that_attends_to_nothing_says_so(images):
    model = ConvNet(ConvNetConfig(shape=(4, 4, 1), num_classes=3, widths=(4,)), rngs=nnx.Rngs(0))
    with pytest.raises(RuntimeError, match="No attention was recorded"):
        attention_maps(model, images)


def test_what_is_no_model_is_named(make, images):
    with pytest.raises(ValueError, match="attention_maps looks into a model, an nnx.Module; got PjitFunction"):
        attention_maps(jax.jit(lambda x: x), images)
    with pytest.raises(ValueError, match="reads batches"):
        attention_maps(make(), images[0])
