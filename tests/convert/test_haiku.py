"""Names and shapes of the Perceiver IO release, both ways."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import presets
from perceiver_lab.adapters import (
    ClassOutput,
    Convolutions,
    ConvOutput,
    EntityInput,
    FlowOutput,
    GridInput,
    GridOutput,
    ImageInput,
    InputQueries,
    MultimodalInput,
    MultimodalQueries,
    OneHotInput,
    OnlyQuery,
    PatchesOutput,
    PositionQueries,
)
from perceiver_lab.convert import haiku_shapes, load_haiku, to_haiku
from perceiver_lab.layers import MLP, FourierPositions, LearnedPositions, SelfAttentionStack
from perceiver_lab.models import Decoder, Perceiver, PerceiverConfig, PerceiverIO
from tests.drawn import drawn

PUBLISHED = json.loads((Path(__file__).parent / "haiku_parameters.json").read_text())


def perceiver(seed, **options):
    return drawn(lambda: build(**options), seed)


def build(features=None, layers=2, **sizes):
    rngs = nnx.Rngs(0)
    config = PerceiverConfig(
        num_latents=3, latent_channels=8, num_self_attends_per_block=layers, num_self_heads=2, **sizes
    )
    adapter = ImageInput((8, 8, 2), num_bands=2) if features is None else features(rngs)
    return Perceiver(config, input_adapter=adapter, output_adapter=ClassOutput(8, 5, rngs=rngs), rngs=rngs)


def conv_features(rngs):
    features = Convolutions((8, 8, 2), channels=4, rngs=rngs)
    return GridInput(features, FourierPositions(features.grid, num_bands=2))


def shapes_only(test):
    """A test in which nothing is computed: names and shapes need no weights."""

    @functools.wraps(test)
    def run():
        nnx.eval_shape(test)

    return run


def mlp(seed):
    return drawn(lambda: MLP(4, rngs=nnx.Rngs(0)), seed)


def leaves(model):
    return jax.tree.leaves(nnx.state(model))


@pytest.mark.parametrize("name", PUBLISHED)
def test_presets_have_the_names_and_shapes_of_the_release(name):
    model = nnx.eval_shape(lambda: presets.get(f"{name}_io")(rngs=nnx.Rngs(0)))
    assert haiku_shapes(model) == {key: tuple(shape) for key, shape in PUBLISHED[name].items()}


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"num_reads": 2, "num_blocks": 4},
        {"num_reads": 2, "num_blocks": 2, "share_weights": False},
        {"layers": 10},
        {"features": conv_features},
    ],
    ids=["one read", "shared reads", "own reads and blocks", "scanned stack", "batch norm"],
)
def test_round_trip(sizes):
    source, target = perceiver(0, **sizes), perceiver(1, **sizes)
    params, state = to_haiku(source)
    load_haiku(target, params, state)
    for ours, theirs in zip(leaves(source), leaves(target), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert sum(array.size for array in params.values()) == sum(
        x.size for x in jax.tree.leaves(nnx.state(source, nnx.Param))
    )


def test_layers_of_blocks_that_share_nothing_are_numbered_through():
    names = haiku_shapes(nnx.eval_shape(lambda: build(num_reads=2, num_blocks=2, share_weights=False)))
    assert {name.split("/")[2] for name in names if "attention" in name.split("/")[2]} == {
        "cross_attention",
        "cross_attention_1",
        "self_attention",
        "self_attention_1",
        "self_attention_2",
        "self_attention_3",
    }


def test_a_scanned_stack_gives_and_takes_what_a_loop_does():
    loop, scan = (
        drawn(lambda scan=scan: SelfAttentionStack(3, 8, num_heads=2, scan=scan, rngs=nnx.Rngs(0)), seed)
        for seed, scan in enumerate((False, True))
    )
    load_haiku(scan, to_haiku(loop)[0])
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, 4, 8)), jnp.float32)
    out = nnx.jit(lambda one, other: (one(x), other(x)))(scan, loop)
    np.testing.assert_allclose(*out, atol=1e-5)
    for name, array in to_haiku(scan)[0].items():
        np.testing.assert_array_equal(array, to_haiku(loop)[0][name])


@shapes_only
def test_decoder_names_depend_on_what_is_asked_for():
    rngs = nnx.Rngs(0)
    decoder = Decoder(PositionQueries(LearnedPositions((1,), 6, rngs=rngs)), 8, output_channels=4, rngs=rngs)
    config = PerceiverConfig(num_latents=3, latent_channels=8, num_self_attends_per_block=1)
    adapter = ImageInput((4, 4, 1), num_bands=1)
    classifier = PerceiverIO(config, input_adapter=adapter, decoder=decoder, output_adapter=OnlyQuery(), rngs=rngs)
    assert "classification_decoder/~/basic_decoder/output/w" in haiku_shapes(classifier)
    plain = PerceiverIO(config, input_adapter=adapter, decoder=decoder, rngs=rngs)
    assert "basic_decoder/~/trainable_position_encoding/pos_embs" in haiku_shapes(plain)
    assert "other/output/w" in haiku_shapes(decoder, name="other")


@shapes_only
def test_modalities_of_one_kind_are_numbered():
    rngs = nnx.Rngs(0)
    adapter = MultimodalInput(
        {"left": conv_features(rngs), "right": conv_features(rngs), "label": OneHotInput(3)},
        mask_rates={"label": 1.0},
        rngs=rngs,
    )
    names = haiku_shapes(adapter)
    assert "image_preprocessor/~/conv2_d_downsample/~/conv/w" in names
    assert "image_preprocessor_1/~/conv2_d_downsample/~/conv/w" in names
    assert names["multimodal_preprocessor/left_mask_token/pos_embs"] == (1, adapter.num_channels)


@shapes_only
def test_decoders_are_named_by_what_they_decode():
    rngs = nnx.Rngs(0)
    config = PerceiverConfig(num_latents=3, latent_channels=8, num_self_attends_per_block=1)
    inputs = ImageInput((4, 4, 1), num_bands=1)

    def names(queries, output):
        decoder = Decoder(queries, 8, output_channels=2, rngs=rngs)
        model = PerceiverIO(config, input_adapter=inputs, decoder=decoder, output_adapter=output, rngs=rngs)
        return {name.partition("/")[0] for name in haiku_shapes(model)} - {"perceiver_encoder"}

    frames = PositionQueries(FourierPositions((2, 4, 4), num_bands=1))
    assert names(frames, GridOutput((2, 4, 4))) == {"basic_video_autoencoding_decoder"}
    assert names(frames, PatchesOutput((2, 4, 4), factor=1)) == {"basic_decoder"}
    assert names(InputQueries(inputs.num_channels), FlowOutput((4, 4))) == {"flow_decoder"}
    upsampled = ConvOutput(2, 3, grid=(2, 4, 4), space=1, time=2, rngs=rngs)
    assert names(frames, upsampled) == {"basic_decoder", "image_postprocessor"}
    assert haiku_shapes(upsampled)["image_postprocessor/~/conv3_d_upsample/conv3d_transpose_1/w"] == (4, 4, 4, 3, 6)


@shapes_only
def test_groups_of_queries_are_named_by_their_own_decoders():
    rngs = nnx.Rngs(0)

    def table(*shape):
        return PositionQueries(LearnedPositions(shape, 3, rngs=rngs))

    groups = {"a": table(1), "b": table(1), "c": table(2, 2, 2), "d": table(5), "e": InputQueries(4)}
    names = haiku_shapes(Decoder(MultimodalQueries(groups, rngs=rngs), 8, output_channels=2, rngs=rngs))
    tables = [name for name in names if name.endswith("trainable_position_encoding/pos_embs")]
    assert [name.removesuffix("/~/trainable_position_encoding/pos_embs") for name in tables] == [
        "classification_decoder/~/basic_decoder",
        "classification_decoder_1/~/basic_decoder",
        "basic_video_autoencoding_decoder/~/basic_decoder",
        "basic_decoder",
    ]
    assert names["multimodal_decoder/~decoder_query/e_padding/pos_embs"] == (1, 2)
    assert names["multimodal_decoder/~/basic_decoder/output/w"] == (6, 2)


def test_what_the_release_does_not_have_is_refused():
    with pytest.raises(ValueError, match="no names for a EntityInput"):
        haiku_shapes(EntityInput(3, 4, rngs=nnx.Rngs(0)))


def test_nested_mappings_as_haiku_has_them():
    source, target = mlp(0), mlp(1)
    nested = {}
    for name, array in to_haiku(source)[0].items():
        module, _, last = name.rpartition("/")
        nested.setdefault(module, {})[last] = array
    load_haiku(target, nested)
    np.testing.assert_array_equal(source.expand.kernel[...], target.expand.kernel[...])


def test_without_state_the_running_averages_stay():
    source, target = perceiver(0, features=conv_features), perceiver(1, features=conv_features)
    nnx.jit(lambda model: model(jnp.ones((2, 8, 8, 2)), train=True))(source)
    params, state = to_haiku(source)
    assert state["image_preprocessor/~/conv2_d_downsample/~/batchnorm/~/mean_ema/counter"] == 1
    load_haiku(target, params)
    assert target.input_adapter.feature_layer.downsample.norms[0].steps[...] == 0


def test_everything_that_is_wrong_is_listed_and_nothing_loaded():
    model = mlp(0)
    before = np.asarray(model.expand.kernel[...])
    params = to_haiku(mlp(1))[0]
    del params["mlp/linear_1/b"]
    params |= {"mlp/linear_2/w": np.zeros((4, 4)), "mlp/linear/w": np.zeros((4, 5), np.float32)}
    with pytest.raises(
        ValueError, match="1 missing: mlp/linear_1/b.*1 unknown.*linear_2/w.*1 of another shape"
    ) as caught:
        load_haiku(model, params)
    assert "mlp/linear/w: (4, 5) instead of (4, 4)" in str(caught.value)
    assert "nothing was loaded" in str(caught.value)
    np.testing.assert_array_equal(model.expand.kernel[...], before)


def test_many_names_are_counted():
    with pytest.raises(ValueError, match=r"\d+ missing: .* and \d+ more"):
        load_haiku(perceiver(0), {})


@pytest.mark.parametrize(
    "value",
    [np.array(["a"] * 4), np.zeros(4, complex), object(), [0.0, 0.0, 0.0, 0.0]],
    ids=["text", "complex", "object", "list"],
)
def test_only_real_arrays_are_taken(value):
    params = to_haiku(mlp(1))[0] | {"mlp/linear/b": value}
    with pytest.raises(ValueError, match="1 of another shape: mlp/linear/b"):
        load_haiku(mlp(0), params)


def test_two_counters_must_agree():
    model = perceiver(0, features=conv_features)
    params, state = to_haiku(model)
    name = "image_preprocessor/~/conv2_d_downsample/~/batchnorm/~/var_ema/counter"
    with pytest.raises(ValueError, match=r"counter and .*counter must be equal"):
        load_haiku(model, params, state | {name: np.int32(7)})


def test_a_model_without_names_is_refused():
    class Other(nnx.Module):
        pass

    with pytest.raises(ValueError, match="no names for a Other"):
        to_haiku(Other())
