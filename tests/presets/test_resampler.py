"""Presets of resamplers and gated layers: parameter counts, and one abstract call at the true shape."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from perceiver_lab import presets
from perceiver_lab.presets.resampler import GATED, RESAMPLERS

# Preset -> inputs, outputs, parameters.
EXPECTED_RESAMPLERS = {
    "flamingo_resampler": ((2, 8, 100, 3072), (2, 64, 1536), 193_628_160),
    "flamingo_pytorch_resampler": ((2, 3, 100, 1024), (2, 3, 64, 1024), 63_023_104),
    "open_flamingo_resampler": ((2, 3, 1, 256, 1024), (2, 3, 64, 1024), 63_019_008),
    "idefics_resampler": ((2, 257, 1280), (2, 64, 1280), 125_959_680),
}
# Preset -> gated layers, width of the text, of the media, parameters in all.
EXPECTED_GATED = {
    "flamingo_gated_3b": (24, 2048, 1536, 1_157_898_288),
    "flamingo_gated_9b": (10, 4096, 1536, 1_803_745_300),
    "flamingo_gated_80b": (12, 8192, 1536, 8_355_483_672),
    "flamingo_pytorch_gated": (1, 1024, 1024, 10_489_858),
    "open_flamingo_gated": (1, 4096, 1024, 139_476_994),
    "idefics_gated": (1, 4096, 1280, 179_314_690),
}


def abstract(name):
    return nnx.eval_shape(lambda: presets.get(name)(rngs=nnx.Rngs(0)))


def count(module):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(module, nnx.Param)))


def call(module, *shapes, **options):
    graphdef, state = nnx.split(module)
    given = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.eval_shape(lambda state, *given: nnx.merge(graphdef, state)(*given, **options), state, *given)


def test_all_are_expected():
    assert {one.__name__ for one in RESAMPLERS} == set(EXPECTED_RESAMPLERS)
    assert {one.__name__ for one in GATED} == set(EXPECTED_GATED)


@pytest.mark.parametrize("name", EXPECTED_RESAMPLERS)
def test_resamplers(name):
    inputs, outputs, parameters = EXPECTED_RESAMPLERS[name]
    module = abstract(name)
    assert count(module) == parameters
    assert f"{parameters:,} parameters" in presets.get(name).__doc__ or f"{parameters / 1e6:.0f}M parameters" in (
        presets.get(name).__doc__
    )
    assert call(module, inputs).shape == outputs


@pytest.mark.parametrize("name", EXPECTED_GATED)
def test_gated_layers(name):
    number, text, media, parameters = EXPECTED_GATED[name]
    module = abstract(name)
    assert count(module) == parameters
    layers = module.layers if number > 1 else [module]
    assert len(layers) == number
    assert call(layers[0], (2, 10, text), (2, 3, 64, media)).shape == (2, 10, text)


@pytest.mark.parametrize(("name", "billions"), [("3b", 1.16), ("9b", 1.80), ("80b", 8.36)])
def test_gated_layers_of_the_paper_s_models(name, billions):
    assert round(EXPECTED_GATED[f"flamingo_gated_{name}"][3] / 1e9, 2) == billions
