import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import ClassOutput, ImageInput
from perceiver_lab.layers import record_attention
from perceiver_lab.models.baselines import (
    ConvNet,
    ConvNetConfig,
    TransformerConfig,
    TransformerEncoder,
    ViT,
    ViTConfig,
    count_parameters,
    match_parameters,
)
from perceiver_lab.models.perceiver import Perceiver, PerceiverConfig
from perceiver_lab.ops import grid_coordinates


def images(*shape, seed=0):
    return jax.random.uniform(jax.random.key(seed), shape, minval=-1.0, maxval=1.0)


@nnx.jit
def run(model, x, positions=None, mask=None):
    """One compilation instead of one per operation."""
    options = {} if mask is None else {"mask": mask}
    return model(x, positions=positions, **options)


@nnx.jit
def run_block(block, x):
    return block(x)


def with_random_head(model, seed=1):
    """The classifiers start from zero weights; give them others, so that logits tell something."""
    head = model.head if hasattr(model, "head") else model.trunk.head
    head.kernel[...] = jax.random.normal(jax.random.key(seed), head.kernel.shape)
    return model


def convnet(shape, **options):
    return with_random_head(ConvNet(ConvNetConfig(shape=shape, num_classes=10, **options), rngs=nnx.Rngs(0)))


def vit(shape, **options):
    options = {"channels": 16, "num_layers": 1, **options}
    return with_random_head(ViT(ViTConfig(shape=shape, num_classes=10, **options), rngs=nnx.Rngs(0)))


def transformer(shape, num_bands=3, **options):
    config = TransformerConfig(num_classes=10, channels=16, num_layers=1, **options)
    adapter = ImageInput(shape, num_bands=num_bands)
    return with_random_head(TransformerEncoder(config, input_adapter=adapter, rngs=nnx.Rngs(0)))


@pytest.mark.parametrize("side", [8, 28, 36, 64, 224])
def test_convnet_takes_images_from_8_to_224_pixels(side):
    model = convnet((side, side, 1), widths=(8, 12))
    logits = run(model, images(2, side, side, 1))
    assert logits.shape == (2, 10)
    assert np.isfinite(logits).all()
    assert np.ptp(np.asarray(logits)) > 0


def test_a_large_image_is_shrunk_to_a_quarter_by_the_stem():
    assert convnet((64, 64, 1)).shrink
    assert not convnet((63, 64, 1)).shrink


@pytest.mark.parametrize("make", [convnet, vit, transformer])
def test_every_class_begins_equally_likely(make):
    model = make((8, 8, 1))
    head = model.head if hasattr(model, "head") else model.trunk.head
    head.kernel[...] = jnp.zeros(head.kernel.shape)
    np.testing.assert_array_equal(run(model, images(2, 8, 8, 1)), 0.0)


def test_a_residual_block_adds_its_branch_to_its_shortcut():
    model = convnet((8, 8, 1), widths=(8, 12))
    same, wider = model.blocks
    assert same.shortcut is None
    assert wider.shortcut.kernel.shape == (1, 1, 8, 12)
    x = images(2, 8, 8, 8)
    same.norm2.scale[...] = jnp.zeros(8)  # the branch, silenced
    np.testing.assert_array_equal(run_block(same, x), jax.nn.relu(x))


def test_vit_reads_patches_and_its_table_is_added():
    model = vit((8, 12, 3), patch=4)
    with record_attention() as maps:
        model(images(2, 8, 12, 3))
    assert [entry.weights.shape for entry in maps] == [(2, 4, 6, 6)]
    assert model.positions.table.shape == (6, 16)
    x = images(2, 8, 12, 3)
    assert np.abs(run(model, x[:, :, ::-1]) - run(model, x)).max() > 1e-3


def test_vit_with_patch_1_is_a_transformer_on_pixels():
    """Weights copied over, both give the same logits."""
    shape = (4, 4, 1)
    ours, reference = vit(shape, patch=1, num_bands=3), transformer(shape)
    nnx.update(reference, nnx.state({"embed": ours.embed, "trunk": ours.trunk}))
    x = images(2, *shape)
    np.testing.assert_allclose(run(ours, x), run(reference, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", [lambda s: vit(s, patch=1, num_bands=3), transformer])
def test_shuffled_pixels_with_their_positions_give_the_same_logits(make):
    model, x = make((4, 6, 1)), images(2, 4, 6, 1)
    order = np.random.default_rng(0).permutation(24)
    shuffled = x.reshape(2, 24, 1)[:, order].reshape(x.shape)
    positions = jnp.broadcast_to(grid_coordinates((4, 6))[order][None], (2, 24, 2))
    np.testing.assert_allclose(run(model, shuffled, positions=positions), run(model, x), atol=1e-5)
    assert np.abs(run(model, shuffled) - run(model, x)).max() > 1e-3


def test_vit_does_not_mind_whole_patches_that_move_with_their_positions():
    model, x = vit((4, 4, 1), patch=2, num_bands=3), images(1, 4, 4, 1)
    positions = grid_coordinates((4, 4)).reshape(1, 4, 4, 2)
    swapped = [jnp.concatenate([part[:, 2:], part[:, :2]], axis=1) for part in (x, positions)]
    np.testing.assert_allclose(run(model, swapped[0], positions=swapped[1].reshape(1, 16, 2)), run(model, x), atol=1e-5)
    # Row by row it does mind: other pixels meet in a patch.
    rolled = [jnp.roll(part, 1, axis=1) for part in (x, positions)]
    assert np.abs(run(model, rolled[0], positions=rolled[1].reshape(1, 16, 2)) - run(model, x)).max() > 1e-3


def test_a_convnet_minds_even_with_positions():
    model, x = convnet((8, 8, 1), num_bands=2), images(1, 8, 8, 1)
    order = np.random.default_rng(0).permutation(64)
    shuffled = x.reshape(1, 64, 1)[:, order].reshape(x.shape)
    positions = grid_coordinates((8, 8))[order][None]
    assert np.abs(run(model, shuffled, positions=positions) - run(model, x)).max() > 1e-3


@pytest.mark.parametrize("make", [lambda s: convnet(s, num_bands=2), lambda s: vit(s, num_bands=2)])
def test_the_grids_own_positions_change_nothing(make):
    model, x = make((8, 8, 1)), images(2, 8, 8, 1)
    positions = jnp.broadcast_to(grid_coordinates((8, 8))[None], (2, 64, 2))
    np.testing.assert_allclose(run(model, x, positions=positions), run(model, x), atol=1e-6)


def test_padding_changes_no_logit_of_the_transformer():
    model = transformer((4, 4, 1))
    x, positions = images(2, 10, 1), images(2, 10, 2, seed=3)
    mask = jnp.broadcast_to(jnp.arange(10)[None] < 7, (2, 10))
    expected = run(model, x[:, :7], positions[:, :7])
    np.testing.assert_allclose(run(model, x, positions=positions, mask=mask), expected, atol=1e-5)
    np.testing.assert_array_equal(run(model, x, positions=positions, mask=jnp.zeros((2, 10), bool)), 0.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda s: convnet(s, dropout_rate=0.5),
        lambda s: vit(s, dropout_rate=0.5),
        lambda s: transformer(s, dropout_rate=0.5),
    ],
)
def test_dropout_acts_in_training_only(make):
    model, x = make((8, 8, 1)), images(2, 8, 8, 1)
    np.testing.assert_array_equal(model(x), model(x, train=False, rngs=nnx.Rngs(dropout=1)))
    one, two = (model(x, train=True, rngs=nnx.Rngs(dropout=seed)) for seed in (1, 2))
    assert np.abs(one - two).max() > 1e-3


def test_every_parameter_gets_a_gradient():
    for model in (convnet((8, 8, 1), widths=(8, 12)), vit((8, 8, 1)), transformer((8, 8, 1))):
        graphdef, params, rest = nnx.split(model, nnx.Param, ...)
        x = images(4, 8, 8, 1)

        def loss(params, graphdef=graphdef, rest=rest, x=x):
            logits = nnx.merge(graphdef, params, rest)(x)
            return -jax.nn.log_softmax(logits)[:, 3].mean()

        for path, grad in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(params)):
            name = jax.tree_util.keystr(path)
            if not ("key" in name and "bias" in name):  # one constant on all scores of a query: softmax ignores it
                assert np.abs(grad).max() > 0, name


PERCEIVER = PerceiverConfig(
    num_latents=32, latent_channels=80, num_reads=2, num_blocks=2, num_self_attends_per_block=3, num_self_heads=4
)


def perceiver(shape):
    return Perceiver(
        PERCEIVER,
        input_adapter=ImageInput(shape, num_bands=8),
        output_adapter=ClassOutput(80, 10, rngs=nnx.Rngs(0)),
        rngs=nnx.Rngs(0),
    )


@pytest.mark.parametrize(("side", "patch"), [(28, 4), (36, 4)])
def test_matched_models_are_within_5_percent(side, patch):
    shape = (side, side, 1)
    target = count_parameters(lambda: perceiver(shape))
    assert 150_000 < target < 250_000

    def make_convnet(width):
        return ConvNet(ConvNetConfig(shape=shape, num_classes=10, widths=(24, 48, width)), rngs=nnx.Rngs(0))

    def make_vit(size):
        config = ViTConfig(shape=shape, num_classes=10, patch=patch, num_heads=2, channels=size)
        return ViT(config, rngs=nnx.Rngs(0))

    width = match_parameters(make_convnet, range(64, 128, 4), target)
    channels = match_parameters(make_vit, range(52, 72, 2), target)
    for count in (count_parameters(lambda: make_convnet(width)), count_parameters(lambda: make_vit(channels))):
        assert abs(count - target) <= 0.05 * target


def test_counting_agrees_with_the_arrays_themselves():
    model = vit((8, 8, 1))
    counted = count_parameters(lambda: vit((8, 8, 1)))
    assert counted == sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def test_match_parameters_says_when_nothing_fits():
    def make(width):
        return nnx.Linear(width, 10, rngs=nnx.Rngs(0))

    assert match_parameters(make, range(1, 100), 330) == 32
    with pytest.raises(ValueError, match=r"within 5% of 1,000 parameters: the nearest is 9 with 100"):
        match_parameters(make, range(1, 10), 1000)
    with pytest.raises(ValueError, match="no sizes"):
        match_parameters(make, [], 1000)


BASE = {"shape": (8, 8, 1), "num_classes": 10}


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (ConvNetConfig(**BASE), {"widths": (32, 30)}, r"widths=\(32, 30\)"),
        (ConvNetConfig(**BASE), {"widths": ()}, "at least one stage"),
        (ConvNetConfig(**BASE), {"shape": (8, 8)}, r"shape=\(8, 8\)"),
        (ConvNetConfig(**BASE), {"num_blocks": 0}, "num_blocks=0"),
        (ConvNetConfig(**BASE), {"dropout_rate": 1.0}, "dropout_rate=1.0"),
        (ViTConfig(**BASE), {"patch": 3}, "patch=3 does not divide an image of 8 x 8"),
        (ViTConfig(**BASE), {"channels": 66}, "num_heads=4 does not divide channels=66"),
        (ViTConfig(**BASE), {"num_layers": 0}, "num_layers=0"),
        (TransformerConfig(num_classes=10), {"num_classes": 0}, "num_classes=0"),
        (TransformerConfig(num_classes=10), {"num_heads": 5}, "num_heads=5 does not divide"),
        (TransformerConfig(num_classes=10), {"dropout_rate": -0.1}, "dropout_rate=-0.1"),
    ],
)
def test_bad_sizes_are_refused(config, changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **changes)


@pytest.mark.parametrize("make", [convnet, vit])
def test_bad_images_and_positions_are_refused(make):
    model = make((8, 8, 1))
    with pytest.raises(ValueError, match=r"shape \(B, 8, 8, 1\), B at least 1; got \(2, 8, 9, 1\)"):
        model(images(2, 8, 9, 1))
    with pytest.raises(ValueError, match="B at least 1"):
        model(images(0, 8, 8, 1))
    with pytest.raises(ValueError, match="num_bands=None"):
        model(images(1, 8, 8, 1), positions=jnp.zeros((1, 64, 2)))
    with pytest.raises(ValueError, match=r"\(B, H \* W, 2\) = \(1, 64, 2\)"):
        make((8, 8, 1), num_bands=2)(images(1, 8, 8, 1), positions=jnp.zeros((1, 63, 2)))


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"mask must be a bool array of shape \(B, M\)"):
        transformer((4, 4, 1))(images(1, 4, 4, 1), mask=jnp.ones((1, 15), bool))
