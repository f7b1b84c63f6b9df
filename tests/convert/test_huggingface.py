"""Names, shapes and outputs of Hugging Face's models, both ways. What theirs give comes from fixtures they wrote."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file

from perceiver_lab import adapters, layers, models, presets
from perceiver_lab.convert import huggingface_shapes, load_huggingface, to_huggingface
from perceiver_lab.convert.haiku import haiku_shapes
from perceiver_lab.convert.huggingface_names import ARCHITECTURES, architecture_of, is_derived
from tests.convert.huggingface_models import FOLDER, KINDS, PRESETS, build, fixture, run

FULL = json.loads((FOLDER / "huggingface_shapes.json").read_text())
CONV = "PerceiverForImageClassificationConvProcessing"
NORM = "perceiver.input_preprocessor.convnet.batchnorm"


def expanded(kind):
    """Names and shapes of a published model, each layer's."""
    layers = FULL[kind]["layers"]
    return {
        name.replace("#", str(number)): tuple(shape)
        for name, shape in FULL[kind]["shapes"].items()
        for number in range(layers if "#" in name else 1)
    }


def named_state(model):
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.state(model))}


def test_all_six_are_covered():
    assert set(KINDS) == set(PRESETS) == set(FULL) == set(ARCHITECTURES)


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_of_either_side_is_used_once_at_full_size(kind):
    model = nnx.eval_shape(lambda: presets.get(PRESETS[kind])(rngs=nnx.Rngs(0)))
    assert huggingface_shapes(model) == expanded(kind)
    ours = haiku_shapes(model)
    found, translations = architecture_of(ours)
    assert found == kind
    assert set(translations) == {name for name in ours if not is_derived(name)}
    assert len({one.name for one in translations.values()}) == len(translations)
    assert {name for name in ours if is_derived(name)} == (
        set() if kind != CONV else {name for name in ours if name.endswith(("hidden", "counter"))}
    )


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_theirs(kind):
    config, arrays, inputs, outputs = fixture(kind)
    model = build(kind, config)
    load_huggingface(model, arrays)
    computed = run(kind, model, inputs)
    if kind == CONV:  # theirs pads otherwise, and only with the release's padding in it gives what the release gives
        assert np.abs(computed["logits"] - outputs["logits"]).max() > 1e-2
        outputs = {"logits": outputs["logits_same_padding"]}
    assert set(computed) == set(outputs)
    for name, expected in outputs.items():
        assert computed[name].shape == expected.shape
        difference = np.abs(computed[name] - expected).max()
        assert difference < 3e-5 * max(1, np.abs(expected).max()), (name, difference)


@pytest.mark.parametrize("kind", KINDS)
def test_round_trips_are_exact(kind):
    config, arrays, *_ = fixture(kind)
    model, other = build(kind, config), build(kind, config)
    load_huggingface(model, arrays)
    back = to_huggingface(model)
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)
    load_huggingface(other, back)
    for name, leaf in named_state(model).items():
        np.testing.assert_array_equal(leaf, named_state(other)[name])


def test_a_file_that_transformers_saved():
    kind = "PerceiverForMaskedLM"
    arrays = load_file(FOLDER / "huggingface_mlm" / "model.safetensors")
    expected = fixture(kind)
    assert set(arrays) == set(expected.arrays)
    model = build(kind, expected.config)
    load_huggingface(model, arrays)
    for name, array in to_huggingface(model).items():
        np.testing.assert_array_equal(array, expected.arrays[name])


def test_sums_of_batch_norm_come_back_to_a_rounding():
    config, *_ = fixture(CONV)
    model, other = build(CONV, config, rngs=nnx.Rngs(0)), build(CONV, config)
    for seed in range(3):
        model(jax.random.normal(jax.random.key(seed), (2, 16, 16, 3)), train=True)
    arrays = to_huggingface(model)
    assert arrays[f"{NORM}.num_batches_tracked"] == 3
    load_huggingface(other, arrays)
    for name, leaf in named_state(model).items():
        if "_sum" in name:
            np.testing.assert_allclose(leaf, named_state(other)[name], rtol=1e-6)
        else:
            np.testing.assert_array_equal(leaf, named_state(other)[name])


def test_averages_without_a_count():
    """A file that says 0 batches beside real averages: training goes on from those, not from nothing."""
    config, arrays, *_ = fixture(CONV)
    model = build(CONV, config)
    load_huggingface(model, arrays | {f"{NORM}.num_batches_tracked": np.int64(0)})
    norm = model.input_adapter.feature_layer.downsample.norms[0]
    before = np.asarray(norm.mean[...])
    np.testing.assert_array_equal(norm.mean_sum[...], before)
    norm(jnp.full((1, 1, 1, 64), 5.0), train=True)
    np.testing.assert_allclose(norm.mean[...], 0.9 * before + 0.5, rtol=1e-5)
    fresh = build(CONV, config, rngs=nnx.Rngs(0))
    load_huggingface(model, to_huggingface(fresh))
    assert norm.steps[...] == 0
    np.testing.assert_array_equal(norm.variance_sum[...], np.zeros(64))


def test_everything_that_is_wrong_is_listed_and_nothing_loaded():
    kind = "PerceiverForImageClassificationFourier"
    config, arrays, *_ = fixture(kind)
    model = build(kind, config)
    before = {name: np.asarray(leaf) for name, leaf in named_state(model).items()}
    wrong = dict(arrays)
    del wrong["perceiver.embeddings.latents"]
    wrong |= {"vit.cls": np.zeros(3), "perceiver.decoder.decoder.final_layer.weight": np.zeros((16, 5), np.float32)}
    with pytest.raises(ValueError, match="1 missing: perceiver.embeddings.latents.*1 unknown.*vit.cls") as caught:
        load_huggingface(model, wrong)
    assert "perceiver.decoder.decoder.final_layer.weight: (16, 5) instead of (5, 16)" in str(caught.value)
    for name, leaf in named_state(model).items():
        np.testing.assert_array_equal(leaf, before[name])


def test_a_model_that_transformers_has_no_class_for():
    config = models.PerceiverConfig(num_latents=2, latent_channels=8, num_self_attends_per_block=1, num_self_heads=2)
    classifier = models.Perceiver(
        config,
        input_adapter=adapters.ImageInput((4, 4, 1), num_bands=1),
        output_adapter=adapters.ClassOutput(8, 3, rngs=nnx.Rngs(0)),
        rngs=nnx.Rngs(0),
    )
    with pytest.raises(ValueError, match="no class for this model.*nearest is .*projection_decoder/~/logits/w"):
        to_huggingface(classifier)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [({"num_reads": 2}, "with one read"), ({"share_weights": False}, "2 with weights of their own")],
    ids=["two reads", "own blocks"],
)
def test_reads_and_blocks_of_their_own_have_no_place(sizes, said):
    rngs = nnx.Rngs(0)
    config = models.PerceiverConfig(
        num_latents=2, latent_channels=8, num_self_attends_per_block=1, num_self_heads=2, num_blocks=2, **sizes
    )
    queries = adapters.PositionQueries(layers.LearnedPositions((1,), 8, rngs=rngs))
    model = models.PerceiverIO(
        config,
        input_adapter=adapters.ImageInput((4, 4, 1), num_bands=1),
        decoder=models.Decoder(queries, 8, output_channels=3, rngs=rngs),
        output_adapter=adapters.OnlyQuery(),
        rngs=rngs,
    )
    with pytest.raises(ValueError, match=said):
        to_huggingface(model)
