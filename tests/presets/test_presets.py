"""Presets: parameter counts of the papers, part by part, and one abstract call at the true input shape."""

import functools
import math

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from perceiver_lab import presets

PIXELS = (2, 224, 224, 3)
SOUND, MEL, VIDEO = (2, 61_440, 1), (2, 75, 64, 1), (2, 32, 224, 224, 3)

# Preset -> input shape, classes, inputs (M, C), parameters in all.
EXPECTED = {
    "audioset_mel": (MEL, 527, (4_800, 131), 20_165_296),
    "audioset_mel_video": ({"audio": MEL, "video": VIDEO}, 527, (17_344, 583), 21_276_316),
    "audioset_raw": (SOUND, 527, (480, 193), 20_269_270),
    "audioset_raw_video": ({"audio": SOUND, "video": VIDEO}, 527, (13_024, 583), 21_276_254),
    "audioset_video": (VIDEO, 527, (12_544, 579), 21_262_448),
    "imagenet_conv": (PIXELS, 1000, (3_136, 322), 42_341_754),
    "imagenet_conv_io": (PIXELS, 1000, (3_136, 322), 48_646_522),
    "imagenet_fourier": (PIXELS, 1000, (50_176, 261), 44_912_254),
    "imagenet_fourier_io": (PIXELS, 1000, (50_176, 261), 48_440_627),
    "imagenet_fourier_single_read": (PIXELS, 1000, (50_176, 261), 42_135_859),
    "imagenet_fourier_unshared": (PIXELS, 1000, (50_176, 261), 326_241_856),
    "imagenet_learned": (PIXELS, 1000, (50_176, 131), 48_189_577),
    "imagenet_learned_io": (PIXELS, 1000, (50_176, 512), 62_255_848),
    "modelnet40": ((2, 2_048, 3), 40, (2_048, 387), 44_772_202),
}


@functools.cache
def abstract(name):
    return nnx.eval_shape(lambda: presets.get(name)(rngs=nnx.Rngs(0)))


def count(module, kind=nnx.Param):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(module, kind)))


def test_every_preset_is_expected():
    assert presets.names() == tuple(sorted(EXPECTED))


@pytest.mark.parametrize("name", EXPECTED)
def test_parameter_count(name):
    assert count(abstract(name)) == EXPECTED[name][3]


@pytest.mark.parametrize(
    ("name", "millions"),
    [("imagenet_fourier", 44.9), ("imagenet_fourier_unshared", 326.2), ("imagenet_fourier_single_read", 42.1)],
)
def test_counts_that_the_paper_prints(name, millions):
    assert round(EXPECTED[name][3] / 1e6, 1) == millions


@pytest.mark.parametrize(
    ("name", "read", "rest"),
    [
        ("imagenet_fourier_io", 2_776_395, 0),
        ("imagenet_learned_io", 3_679_744, 12_911_872),
        ("imagenet_conv_io", 2_972_754, 9_536),
    ],
)
def test_parts_of_the_released_models(name, read, rest):
    model = abstract(name)
    encoder = model.encoder
    assert [count(part) for part in encoder.reads] == [read]
    assert [count(part) for part in encoder.blocks] == [37_810_176]
    assert count(encoder.latents) == 524_288
    assert count(model.decoder) == 7_329_768
    assert count(model.input_adapter) == rest
    # The release keeps 258 numbers of state here: its step counter twice.
    assert count(model, nnx.BatchStat) == (257 if name == "imagenet_conv_io" else 0)


@pytest.mark.parametrize(
    ("name", "train"),
    [*((name, False) for name in EXPECTED), ("imagenet_conv_io", True), ("audioset_mel_video", True)],
)
def test_abstract_call_at_the_true_input_shape(name, train):
    shape, num_classes, inputs, _ = EXPECTED[name]
    graphdef, state = nnx.split(abstract(name))
    x = jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32), shape, is_leaf=lambda node: isinstance(node, tuple)
    )

    def call(state, x):
        model = nnx.merge(graphdef, state)
        return model.embed(x), model(x, train=train, rngs=nnx.Rngs(dropout=0, modality=1))

    embedded, logits = jax.eval_shape(call, state, x)
    assert embedded.shape == (2, *inputs)
    assert logits.shape == (2, num_classes)


def test_video_dropout_is_that_of_the_paper():
    assert abstract("audioset_mel_video").input_adapter.drop_rates == (0.0, 0.3)


def test_reads_and_blocks_of_the_iterated_models():
    shared, unshared = abstract("imagenet_fourier"), abstract("imagenet_fourier_unshared")
    assert (shared.config.num_reads, shared.config.num_blocks) == (8, 8)
    assert (len(shared.encoder.reads), len(shared.encoder.blocks)) == (2, 1)
    assert (len(unshared.encoder.reads), len(unshared.encoder.blocks)) == (8, 8)


def test_every_preset_says_where_it_comes_from():
    for name in presets.names():
        text = " ".join(presets.get(name).__doc__.split())
        assert any(word in text for word in ("Table", "Tables")), name


def test_unknown_preset_names_near_ones():
    with pytest.raises(ValueError, match=r"no preset 'imagenet_furier'\. Did you mean 'imagenet_fourier'"):
        presets.get("imagenet_furier")
    with pytest.raises(ValueError, match="The presets are audioset_mel, "):
        presets.get("zzz")


def test_registering_a_name_twice_is_refused():
    with pytest.raises(ValueError, match="a preset 'modelnet40' already"):
        presets.register(presets.get("modelnet40"))
