"""Presets: parameter counts of the papers, part by part, and one abstract call at the true input shape."""

import functools
import math
import pathlib

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
    "audioset_mel_video_io": ({"audio": MEL, "video": VIDEO}, 527, (17_344, 583), 86_971_036),
    "audioset_raw_video_io": ({"audio": SOUND, "video": VIDEO}, 527, (13_024, 583), 86_970_974),
}

KINETICS = {"audio": (2, 30_720, 1), "image": (2, 16, 224, 224, 3), "label": (2, 700)}

# Preset -> inputs by shape, inputs (M, C), shapes of the outputs, parameters in all.
BEYOND_CLASSES = {
    "mlm_bytes_io": ((2, 2_048), (2_048, 768), (2, 2_048, 262), 201_108_230),
    "optical_flow_io": ((2, 2, 368, 496, 3), (182_528, 322), (2, 368, 496, 2), 41_057_134),
    "multimodal_io": (
        KINETICS,
        (52_097, 704),
        {"audio": (2, 30_720), "image": (2, 16, 224, 224, 3), "label": (2, 700)},
        19_858_855,
    ),
}


@functools.cache
def abstract(name):
    return nnx.eval_shape(lambda: presets.get(name)(rngs=nnx.Rngs(0)))


def count(module, kind=nnx.Param):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(module, kind)))


def test_every_preset_is_expected():
    texts = "".join(path.read_text() for path in pathlib.Path(__file__).parent.glob("test_*.py"))
    assert [name for name in presets.names() if f'"{name}": (' not in texts] == []
    assert set(presets.names()) > {*EXPECTED, *BEYOND_CLASSES}


@pytest.mark.parametrize("name", [*EXPECTED, *BEYOND_CLASSES])
def test_parameter_count(name):
    assert count(abstract(name)) == (EXPECTED | BEYOND_CLASSES)[name][3]


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
    x = abstract_inputs(name, shape)

    def call(state, x):
        model = nnx.merge(graphdef, state)
        return model.embed(x), model(x, train=train, rngs=nnx.Rngs(dropout=0, modality=1))

    embedded, logits = jax.eval_shape(call, state, x)
    assert embedded.shape == (2, *inputs)
    assert logits.shape == (2, num_classes)


@pytest.mark.parametrize(
    ("name", "read", "block", "latents", "decoder", "rest"),
    [
        ("mlm_bytes_io", 6_434_816, 187_712_512, 327_680, 4_858_880, {"positions": 1_572_864}),
        ("optical_flow_io", 1_066_578, 37_871_616, 1_048_576, 1_066_844, {"feature_layer": 3_520}),
        ("multimodal_io", 2_243_520, 12_623_872, 401_408, 4_217_304 + 1_024, {}),
    ],
)
def test_parts_of_the_released_models_beyond_classes(name, read, block, latents, decoder, rest):
    model = abstract(name)
    assert [count(part) for part in model.encoder.reads] == [read]
    assert [count(part) for part in model.encoder.blocks] == [block]
    assert count(model.encoder.latents) == latents
    assert count(model.decoder) == decoder
    assert {part: count(getattr(model.input_adapter, part)) for part in rest} == rest
    if name == "mlm_bytes_io":
        assert count(model.input_adapter) == 201_216 + 1_572_864
        assert count(model.output_adapter) == 262
    if name == "multimodal_io":
        assert count(model.input_adapter) == 2_880
        parts = {part: count(model.output_adapter.parts[part]) for part in ("audio", "image", "label")}
        assert parts == {"audio": 8_208, "image": 1_539, "label": 359_100}


def abstract_inputs(name, shapes):
    kind = jnp.int32 if name == "mlm_bytes_io" else jnp.float32
    return jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, kind), shapes, is_leaf=lambda node: isinstance(node, tuple)
    )


@pytest.mark.parametrize("name", BEYOND_CLASSES)
def test_abstract_call_beyond_classes(name):
    shapes, inputs, outputs, _ = BEYOND_CLASSES[name]
    graphdef, state = nnx.split(abstract(name))

    def call(state, x):
        model = nnx.merge(graphdef, state)
        return model.embed(x), model(x)

    embedded, found = jax.eval_shape(call, state, abstract_inputs(name, shapes))
    assert embedded.shape == (2, *inputs)
    assert jax.tree.map(lambda array: array.shape, found) == outputs


def test_kinetics_is_decoded_in_128_chunks_as_published():
    graphdef, state = nnx.split(abstract("multimodal_io"))

    def decode(state, latents):
        return nnx.merge(graphdef, state).decode_in_chunks(latents, num_chunks=128)

    latents = jax.ShapeDtypeStruct((2, 784, 512), jnp.float32)
    traced = jax.make_jaxpr(decode)(state, latents)
    (loop,) = [equation for equation in traced.eqns if equation.primitive.name == "scan"]
    assert loop.params["length"] == 128
    # 15 stretches of sound, 6,272 pixels and the label are asked for at a time.
    assert f"[2,{15 + 6_272 + 1},1026]" in str(loop.params["jaxpr"])
    found = jax.eval_shape(decode, state, latents)
    assert {name: array.shape for name, array in found.items()} == BEYOND_CLASSES["multimodal_io"][2]


def test_the_label_of_kinetics_is_hidden_and_selected_cells_have_the_release_s_coordinates():
    model = abstract("multimodal_io")
    assert model.input_adapter.mask_rates == (0.0, 0.0, 1.0)
    assert {model.decoder.queries.groups[name].subsampling for name in model.decoder.queries.names} == {"release"}


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
        assert any(word in text for word in ("Table", "Tables", "release")), name


def test_unknown_preset_names_near_ones():
    with pytest.raises(ValueError, match=r"no preset 'imagenet_furier'\. Did you mean 'imagenet_fourier'"):
        presets.get("imagenet_furier")
    with pytest.raises(ValueError, match="The presets are audioset_mel, "):
        presets.get("zzz")


def test_registering_a_name_twice_is_refused():
    with pytest.raises(ValueError, match="a preset 'modelnet40' already"):
        presets.register(presets.get("modelnet40"))
