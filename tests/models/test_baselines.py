import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import ImageInput
from perceiver_lab.layers import record_attention
from perceiver_lab.models.baselines import (
    ConvNet,
    ConvNetConfig,
    TransformerConfig,
    TransformerEncoder,
    ViT,
    ViTConfig,
)
from perceiver_lab.ops import grid_coordinates
from tests.drawn import drawn


def images(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32))


@nnx.jit
def run(model, x, positions=None, mask=None):
    """One compilation instead of one per operation."""
    options = {} if mask is None else {"mask": mask}
    return model(x, positions=positions, **options)


# Few sizes, with dropout that only training shows, so that tests share models and programs. None of them is changed.
SIZES = {"num_classes": 10, "dropout_rate": 0.5}
GRID = (4, 6, 1)


def make_convnet(shape=(8, 8, 1), **options):
    config = ConvNetConfig(shape=shape, **SIZES, **{"widths": (8, 12), **options})
    return ConvNet(config, rngs=nnx.Rngs(0))


def make_vit(shape=(8, 8, 1), **options):
    config = ViTConfig(shape=shape, **SIZES, channels=16, num_layers=1, **options)
    return ViT(config, rngs=nnx.Rngs(0))


def make_transformer(shape=GRID):
    config = TransformerConfig(**SIZES, channels=16, num_layers=1)
    return TransformerEncoder(config, input_adapter=ImageInput(shape, num_bands=3), rngs=nnx.Rngs(0))


def made_once(make):
    """With heads that say something: the classifiers start from zero weights."""
    return functools.cache(lambda *shape, **options: drawn(lambda: make(*shape, **options)))


convnet, vit, transformer = made_once(make_convnet), made_once(make_vit), made_once(make_transformer)


def patches_of_one():
    return vit(GRID, patch=1, num_bands=3)


KINDS = pytest.mark.parametrize(
    ("model", "make"),
    [(convnet, make_convnet), (vit, make_vit), (transformer, make_transformer)],
    ids=["convnet", "vit", "transformer"],
)


def shape_of(model):
    return GRID if model is transformer else (8, 8, 1)


@pytest.mark.parametrize("side", [8, 28, 64, 224])
def test_convnet_takes_images_from_8_to_224_pixels(side):
    model = convnet((side, side, 1))
    logits = run(model, images(2, side, side, 1))
    assert logits.shape == (2, 10)
    assert np.isfinite(logits).all()
    assert np.ptp(np.asarray(logits)) > 0


def test_a_large_image_is_shrunk_to_a_quarter_by_the_stem():
    assert convnet((64, 64, 1)).shrink
    assert not convnet((63, 64, 1)).shrink


@KINDS
def test_every_class_begins_equally_likely(model, make):
    @nnx.jit
    def head():
        made = make()
        return made.head if hasattr(made, "head") else made.trunk.head

    beginner = nnx.clone(model())
    if hasattr(beginner, "head"):
        beginner.head = head()
    else:
        beginner.trunk.head = head()
    np.testing.assert_array_equal(run(beginner, images(2, *shape_of(model))), 0.0)


def test_a_residual_block_adds_its_branch_to_its_shortcut():
    same, wider = nnx.clone(convnet()).blocks
    assert same.shortcut is None
    assert wider.shortcut.kernel.shape == (1, 1, 8, 12)
    x = images(2, 8, 8, 8)
    same.norm2.scale[...], same.norm2.bias[...] = jnp.zeros(8), jnp.zeros(8)  # the branch, silenced
    np.testing.assert_array_equal(nnx.jit(lambda block, x: block(x))(same, x), np.maximum(x, 0))


def test_vit_reads_patches_and_its_table_is_added():
    model, shapes = vit((8, 12, 3), patch=4), []

    def look(model, x):
        with record_attention() as maps:
            model(x)
        shapes.extend(entry.weights.shape for entry in maps)

    x = images(2, 8, 12, 3)
    nnx.eval_shape(look, model, x)
    assert shapes == [(2, 4, 6, 6)]
    assert model.positions.table.shape == (6, 16)
    assert np.abs(run(model, x[:, :, ::-1]) - run(model, x)).max() > 1e-3


def test_vit_with_patch_1_is_a_transformer_on_pixels():
    """Weights copied over, both give the same logits."""
    ours, reference = patches_of_one(), nnx.clone(transformer())
    nnx.update(reference, nnx.state({"embed": ours.embed, "trunk": ours.trunk}))
    x = images(2, *GRID)
    np.testing.assert_allclose(run(ours, x), run(reference, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", [patches_of_one, transformer])
def test_shuffled_pixels_with_their_positions_give_the_same_logits(make):
    model, x = make(), images(2, *GRID)
    order = np.random.default_rng(0).permutation(24)
    shuffled = x.reshape(2, 24, 1)[:, order].reshape(x.shape)
    positions = jnp.broadcast_to(grid_coordinates((4, 6))[order][None], (2, 24, 2))
    np.testing.assert_allclose(run(model, shuffled, positions=positions), run(model, x), atol=1e-5)
    assert np.abs(run(model, shuffled) - run(model, x)).max() > 1e-3


def test_vit_does_not_mind_whole_patches_that_move_with_their_positions():
    model, x = vit((4, 4, 1), patch=2, num_bands=3), np.asarray(images(2, 4, 4, 1))
    grid = np.broadcast_to(np.asarray(grid_coordinates((4, 4))).reshape(1, 4, 4, 2), (2, 4, 4, 2))

    def moved(how):
        return run(model, jnp.asarray(how(x)), positions=jnp.asarray(how(grid).reshape(2, 16, 2)))

    whole = run(model, jnp.asarray(x))
    np.testing.assert_allclose(moved(lambda part: part[:, [2, 3, 0, 1]]), whole, atol=1e-5)
    # Row by row it does mind: other pixels meet in a patch.
    assert np.abs(moved(lambda part: np.roll(part, 1, axis=1)) - whole).max() > 1e-3


def test_a_convnet_minds_even_with_positions():
    model, x = convnet(num_bands=2), images(2, 8, 8, 1)
    order = np.random.default_rng(0).permutation(64)
    shuffled = x.reshape(2, 64, 1)[:, order].reshape(x.shape)
    positions = jnp.broadcast_to(grid_coordinates((8, 8))[order][None], (2, 64, 2))
    assert np.abs(run(model, shuffled, positions=positions) - run(model, x)).max() > 1e-3


@pytest.mark.parametrize(
    ("make", "side"), [(lambda: convnet(num_bands=2), 8), (lambda: vit((4, 4, 1), patch=2, num_bands=3), 4)]
)
def test_the_grids_own_positions_change_nothing(make, side):
    model, x = make(), images(2, side, side, 1)
    positions = jnp.broadcast_to(grid_coordinates((side, side))[None], (2, side**2, 2))
    np.testing.assert_allclose(run(model, x, positions=positions), run(model, x), atol=1e-6)


def test_padding_changes_no_logit_of_the_transformer():
    model = transformer()
    x, positions = images(2, 10, 1), images(2, 10, 2, seed=3)
    mask = jnp.asarray(np.broadcast_to(np.arange(10) < 7, (2, 10)))
    expected = run(model, x[:, :7], positions[:, :7])
    np.testing.assert_allclose(run(model, x, positions=positions, mask=mask), expected, atol=1e-5)
    beginner = nnx.clone(model)
    beginner.trunk.head.bias[...] = jnp.zeros(10)
    nothing = jnp.zeros((2, 10), bool)
    np.testing.assert_array_equal(run(beginner, x, positions=positions, mask=nothing), 0.0)


@pytest.mark.parametrize("model", [convnet, vit, transformer])
def test_dropout_acts_in_training_only(model):
    x = images(2, *shape_of(model))
    call = nnx.jit(lambda model, rngs, train: model(x, train=train, rngs=rngs), static_argnames="train")
    np.testing.assert_array_equal(run(model(), x), call(model(), nnx.Rngs(dropout=1), train=False))
    one, two = (call(model(), nnx.Rngs(dropout=seed), train=True) for seed in (1, 2))
    assert np.abs(one - two).max() > 1e-3


def test_every_parameter_gets_a_gradient():
    for make in (convnet, vit, transformer):
        graphdef, params, rest = nnx.split(make(), nnx.Param, ...)
        x = images(2, *shape_of(make))

        def loss(params, graphdef=graphdef, rest=rest, x=x):
            logits = nnx.merge(graphdef, params, rest)(x)
            return -jax.nn.log_softmax(logits)[:, 3].mean()

        for path, grad in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(params)):
            name = jax.tree_util.keystr(path)
            if not ("key" in name and "bias" in name):  # one constant on all scores of a query: softmax ignores it
                assert np.abs(grad).max() > 0, name


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
    model = make()
    with pytest.raises(ValueError, match=r"shape \(B, 8, 8, 1\), B at least 1; got \(2, 8, 9, 1\)"):
        model(images(2, 8, 9, 1))
    with pytest.raises(ValueError, match="B at least 1"):
        model(images(0, 8, 8, 1))
    with pytest.raises(ValueError, match="num_bands=None"):
        model(images(1, 8, 8, 1), positions=jnp.zeros((1, 64, 2)))
    with pytest.raises(ValueError, match=r"\(B, H \* W, 2\) = \(1, 64, 2\)"):
        make(num_bands=2)(images(1, 8, 8, 1), positions=jnp.zeros((1, 63, 2)))


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"mask must be a bool array of shape \(B, M\)"):
        run(transformer(), images(1, *GRID), mask=jnp.ones((1, 23), bool))
