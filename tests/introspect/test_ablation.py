import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import InputQueries, PositionQueries
from perceiver_lab.introspect import FirstRead, ablate, cost
from perceiver_lab.layers import LearnedPositions
from perceiver_lab.models import Decoder, PerceiverIO
from perceiver_lab.models.baselines import ViT, ViTConfig
from perceiver_lab.ops import grid_coordinates


@nnx.jit
def run(model, x, positions=None, mask=None, latent_mask=None):
    return model(x, positions=positions, mask=mask, latent_mask=latent_mask)


@pytest.mark.parametrize("num_reads", [1, 2])
def test_an_ablation_is_the_model_called_with_each_mask(make, images, num_reads):
    model = make(num_reads=num_reads, num_blocks=2)
    options = {
        "positions": jnp.broadcast_to(grid_coordinates((4, 4))[None, ::-1], (2, 16, 2)),
        "mask": jnp.ones((2, 16), bool).at[:, 9:].set(False),
    }
    masks = np.array([[1, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]], bool)
    intact, ablated = ablate(model, images, masks, **options)
    np.testing.assert_allclose(intact, run(model, images, **options), atol=1e-5)
    assert ablated.shape == (3, 2, 3)
    for found, one in zip(ablated, masks, strict=True):
        expected = run(model, images, latent_mask=jnp.broadcast_to(one[None], (2, 5)), **options)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_by_default_each_latent_goes_by_itself(make, images):
    model = make()
    found = ablate(model, images)
    assert found.ablated.shape == (5, 2, 3)
    expected = ablate(model, images, ~np.eye(5, dtype=bool))
    np.testing.assert_array_equal(found.ablated, expected.ablated)


def test_after_the_first_read_the_inputs_are_not_touched_again(make, images):
    once, twice = FirstRead(make(), images), FirstRead(make(num_reads=2, num_blocks=2), images)
    assert once._inputs is None
    assert twice._inputs is not None
    assert once.shape == (2, 5)

    def turns(read):
        return cost(read._finish, read._state, read._inputs, read._latents, read._mask, np.ones((2, 5), bool))

    # 16 inputs of 11 channels become keys and values only where they are read again.
    assert turns(twice).multiply_adds > 2 * turns(once).multiply_adds


def test_examples_may_have_other_latents_on(make, images):
    model = make()
    on = np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1]], bool)
    expected = run(model, images, latent_mask=jnp.asarray(on))
    np.testing.assert_allclose(FirstRead(model, images)(on), expected, atol=1e-5)


def test_a_read_keeps_the_weights_of_its_moment(make, images):
    model = make()
    read = FirstRead(model, images)
    before = read()
    model.output_adapter.linear.bias[...] += 1.0
    np.testing.assert_array_equal(read(), before)
    np.testing.assert_allclose(FirstRead(model, images)(), before + 1, atol=1e-5)


def test_a_decoder_does_not_read_latents_that_are_off(make, images):
    perceiver = make()
    decoder = Decoder(
        PositionQueries(LearnedPositions((6,), 4, rngs=nnx.Rngs(0))), 8, output_channels=2, rngs=nnx.Rngs(1)
    )
    model = PerceiverIO(perceiver.config, input_adapter=perceiver.input_adapter, decoder=decoder, rngs=nnx.Rngs(2))
    found = ablate(model, images)
    assert found.ablated.shape == (5, 2, 6, 2)
    latent_mask = jnp.ones((2, 5), bool).at[:, 3].set(False)
    np.testing.assert_allclose(found.ablated[3], run(model, images, latent_mask=latent_mask), atol=1e-5)


def test_inputs_that_are_the_queries_are_kept(make, images):
    perceiver = make()
    inputs = perceiver.input_adapter
    decoder = Decoder(InputQueries(inputs.num_channels), 8, output_channels=2, rngs=nnx.Rngs(1))
    model = PerceiverIO(perceiver.config, input_adapter=inputs, decoder=decoder, rngs=nnx.Rngs(2))
    latent_mask = jnp.ones((2, 5), bool).at[:, 3].set(False)
    expected = run(model, images, latent_mask=latent_mask)
    np.testing.assert_allclose(ablate(model, images).ablated[3], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (
            np.ones(5, bool),
            r"latent_masks must be bool of shape \(K, N\) with N = 5.*got bool of shape \(5,\).*mask\[None",
        ),
        (np.ones((2, 4), bool), r"of shape \(2, 4\)"),
        (np.ones((2, 5), int), "got int"),
        (np.ones((0, 5), bool), r"of shape \(0, 5\)"),
    ],
)
def test_masks_that_do_not_fit_are_named(make, images, masks, message):
    with pytest.raises(ValueError, match=message):
        ablate(make(), images, masks)


def test_a_mask_of_another_shape_is_named(make, images):
    with pytest.raises(ValueError, match=r"latent_mask must be a bool array of shape \(B, N\) = \(2, 5\)"):
        FirstRead(make(), images)(np.ones((1, 5), bool))


def test_models_without_latents_are_named(images):
    vit = ViT(ViTConfig(shape=(4, 4, 1), num_classes=3, patch=2, channels=8, num_layers=1), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="ViT has no latents that could be switched off"):
        ablate(vit, images)
    with pytest.raises(ValueError, match="looks into a model"):
        ablate(jax.nn.relu, images)
