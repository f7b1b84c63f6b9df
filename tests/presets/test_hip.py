"""Presets of the Hierarchical Perceiver: parameter counts of the released code, part by part, nothing allocated."""

import functools
import math

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from perceiver_lab import presets
from perceiver_lab.introspect import cost
from perceiver_lab.models import HiP, HiPClassBottleneck, HiPConfig
from perceiver_lab.presets.hip import VARIANTS

# Preset -> all blocks and the head; parameters in all with 224 x 224 pixels; those of the release's two made-up data
# sets, with one set of weights for both and projected positions; the same with the label at the processor.
EXPECTED = {
    "hip_mini": (18_666_752, 20_272_611, 18_709_668, 21_114_788),
    "hip_16": (99_182_080, 100_787_939, 99_224_996, 102_943_012),
    "hip_16x3": (233_197_440, 234_803_299, 233_240_356, 235_645_476),
    "hip_256": (95_564_224, 96_367_155, 95_585_188, 99_305_316),
    "hip_flat_mini": (481_024, 6_904_451, 677_156, None),
    "hip_flat_50m": (30_475_776, 56_169_475, 31_129_124, None),
    "hip_flat_150m": (131_137_664, 176_101_635, 133_886_628, None),
}
BLOCKS = {
    "hip_mini": (702_752, 15_061_632, 2_858_496),
    "hip_16": (702_752, 2_073_472, 57_796_352, 28_937_728, 6_962_176, 1_973_760, 691_968),
    "hip_16x3": (702_752, 229_394_048, 3_056_768),
    "hip_256": (
        585_552, 544_960, 735_840, 2_073_472, 57_796_352, 28_937_728, 3_746_048, 593_792, 247_744, 161_760, 139_248,
    ),
}  # fmt: skip
MADE_UP = ({"image": (1024, 3), "label": (32, 1)}, {"audio": (128, 16), "label": (16, 16)})


def count(*modules):
    leaves = jax.tree.leaves([nnx.state(module, nnx.Param) for module in modules])
    return sum(math.prod(leaf.shape) for leaf in leaves)


@functools.cache
def abstract(name):
    return nnx.eval_shape(lambda: presets.get(name)(rngs=nnx.Rngs(0)))


def with_projection(name):
    fields = {one: getattr(VARIANTS[name], one) for one in VARIANTS[name].__dataclass_fields__}
    return HiPConfig(**fields | {"project_positions": VARIANTS[name].embedding_channels != 512})


@pytest.mark.parametrize("name", EXPECTED)
def test_parameter_count(name):
    model, (core, whole, _, _) = abstract(name), EXPECTED[name]
    assert count(*model.blocks, model.head) == core
    assert count(model) == whole
    if name in BLOCKS:
        assert tuple(count(block) for block in model.blocks) == BLOCKS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_parameter_count_of_two_data_sets_with_one_set_of_weights(name):
    config = with_projection(name)
    models = [nnx.eval_shape(lambda shapes=shapes: HiP(config, shapes, rngs=nnx.Rngs(0))) for shapes in MADE_UP]
    shared = EXPECTED[name][0] + config.project_positions * 2 * config.embedding_channels**2
    assert sum(count(model) for model in models) - shared == EXPECTED[name][2]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, counts in EXPECTED.items() if counts[3] is not None])
def test_parameter_count_with_the_label_at_the_processor(name):
    config = with_projection(name)

    def make(shapes):
        modalities = {one: shape for one, shape in shapes.items() if one != "label"}
        return HiPClassBottleneck(config, modalities, labels={"label": shapes["label"]}, rngs=nnx.Rngs(0))

    models = [nnx.eval_shape(functools.partial(make, shapes)) for shapes in MADE_UP]
    shared = EXPECTED[name][0] + config.project_positions * config.embedding_channels**2 + count(models[0].label_head)
    assert sum(count(model) for model in models) - shared == EXPECTED[name][3]


@pytest.mark.parametrize("name", EXPECTED)
def test_abstract_call_at_the_true_input_shape(name):
    graphdef, state = nnx.split(abstract(name))
    x = {"image": jax.ShapeDtypeStruct((2, 50_176, 3), jnp.float32)}
    found = jax.eval_shape(lambda state, x: nnx.merge(graphdef, state)(x), state, x)
    assert found["image"].shape == (2, 50_176, 3)


def test_groups_of_the_pixels():
    sizes = {name: (abstract(name).grouping.num_groups, abstract(name).grouping.group_size) for name in EXPECTED}
    assert sizes == {
        **dict.fromkeys(("hip_mini", "hip_16", "hip_16x3"), (16, 3136)),
        "hip_256": (256, 196),
        **dict.fromkeys(("hip_flat_mini", "hip_flat_50m", "hip_flat_150m"), (1, 50_176)),
    }


def test_layers_and_latents_of_the_largest():
    config = VARIANTS["hip_256"]
    assert config.num_levels == 11 and config.processor == 5 and config.num_self_attends_per_block[4] == 18
    assert abstract("hip_256").blocks[4].stack.scanned and not abstract("hip_256").blocks[5].stack.scanned


def test_many_groups_make_pixels_cheaper_than_one():
    x = {"image": jax.ShapeDtypeStruct((1, 50_176, 3), jnp.float32)}
    assert cost(abstract("hip_256"), x).flops < cost(abstract("hip_flat_50m"), x).flops / 2
