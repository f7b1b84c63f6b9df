"""Released names of resamplers and gated layers, there and back."""

import dataclasses

import numpy as np
import pytest
from flax import nnx

from perceiver_lab import presets
from perceiver_lab.convert import load_resampler, resampler_shapes, to_resampler
from perceiver_lab.models import GatedCrossAttention, Resampler
from perceiver_lab.presets import resampler as released

SMALL = {"latent_channels": 8, "num_latents": 3, "num_layers": 2, "num_heads": 2, "head_dim": 5}
GATED = {"channels": 8, "media_channels": 6, "num_heads": 2, "head_dim": 5}
IDEFICS = {"gated_mlp_channels": 12, "head_norm": True, "vector_gates": True}
CASES = {
    "flamingo_pytorch": ("flamingo_pytorch", Resampler, released.FLAMINGO_PYTORCH, SMALL),
    "open_flamingo": ("open_flamingo", Resampler, released.OPEN_FLAMINGO, SMALL | {"max_frames": 4, "max_media": 3}),
    "open_flamingo, no tables": ("open_flamingo", Resampler, released.OPEN_FLAMINGO, SMALL),
    "idefics": ("idefics", Resampler, released.IDEFICS, SMALL | {"head_norm": True}),
    "flamingo_pytorch gated": ("flamingo_pytorch", GatedCrossAttention, released.FLAMINGO_PYTORCH_GATED, GATED),
    "open_flamingo gated": ("open_flamingo", GatedCrossAttention, released.OPEN_FLAMINGO_GATED, GATED),
    "idefics gated": ("idefics", GatedCrossAttention, released.IDEFICS_GATED, GATED | IDEFICS),
}


def make(case, seed=0):
    source, kind, config, sizes = CASES[case]
    return source, kind(dataclasses.replace(config, **sizes), rngs=nnx.Rngs(seed))


@pytest.mark.parametrize("case", CASES)
def test_there_and_back(case):
    source, first = make(case)
    rng = np.random.default_rng(0)
    shapes = resampler_shapes(first, source=source)
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    load_resampler(first, arrays, source=source)
    back = to_resampler(first, source=source)
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
    _, second = make(case, seed=1)
    load_resampler(second, back, source=source)
    for name, array in to_resampler(second, source=source).items():
        np.testing.assert_array_equal(array, arrays[name])


def test_keys_come_before_values_in_one_matrix():
    source, module = make("open_flamingo gated")
    joined = to_resampler(module, source=source)["attn.to_kv.weight"]
    np.testing.assert_array_equal(joined[:10], module.attention.key.kernel[...].T)
    np.testing.assert_array_equal(joined[10:], module.attention.value.kernel[...].T)


def test_names_of_the_published_sizes():
    module = nnx.eval_shape(lambda: presets.get("idefics_resampler")(rngs=nnx.Rngs(0)))
    shapes = resampler_shapes(module, source="idefics")
    assert shapes["blocks.5.0.k_proj.weight"] == (1536, 1280) and shapes["latents"] == (64, 1280)


def test_what_is_missing_or_too_much_is_listed():
    source, module = make("idefics")
    arrays = to_resampler(module, source=source)
    before = to_resampler(module, source=source)
    wrong = {name: 2 * array for name, array in arrays.items() if name != "latents"}
    wrong["layer_norm.bias"], wrong["more"] = np.zeros(7), np.zeros(3)
    message = r"1 missing: latents. 1 unknown to this model: more. 1 of another shape: layer_norm.bias: \(7,\) instead"
    with pytest.raises(ValueError, match=message):
        load_resampler(module, wrong, source=source)
    for name, array in to_resampler(module, source=source).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    ("case", "source", "count"),
    [
        ("flamingo_pytorch", "idefics", 32),
        ("open_flamingo", "flamingo_pytorch", 24),
        ("idefics gated", "open_flamingo", 106),
    ],
)
def test_parts_without_a_name(case, source, count):
    _, module = make(case)
    with pytest.raises(ValueError, match=rf"{source} has no names for {count} of the \d+ parameters of this"):
        to_resampler(module, source=source)


def test_other_modules_and_sources():
    _, module = make("idefics")
    with pytest.raises(ValueError, match="source='flamingo' is unknown; choose one of 'flamingo_pytorch'"):
        to_resampler(module, source="flamingo")
    with pytest.raises(ValueError, match="no released names for a ResamplerLayer"):
        to_resampler(module.layers[0], source="idefics")
