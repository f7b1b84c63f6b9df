"""Presets of Perceiver AR: parameter counts of the released code, nothing allocated, and one abstract call."""

import functools
import math

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from perceiver_lab import presets
from perceiver_lab.adapters import TokenInput
from perceiver_lab.models import PerceiverAR, PerceiverARConfig
from perceiver_lab.training import token_losses

# Preset -> context, latents, layers, vocabulary, parameters.
EXPECTED = {
    "imagenet64_ar": (12_416, 1024, 60, 259, 770_094_339),
    "copy_131k_ar": (131_072, 1024, 6, 259, 223_976_707 - 134_218_752),
    "wikitext103_ar": (2_048, 1024, 18, 267_738, 788_977_114),
    "pg19_ar": (2_048, 1024, 60, 32_003, 834_997_507),
    "maestro_ar": (4_096, 2_048, 12, 391, 165_605_767),
}


def count(module):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(module, nnx.Param)))


def formula(layers, vocabulary, d=1024):
    """Of the release: widening 4, inputs and latents of the same width, positions not counted."""
    return 12 * d**2 * (layers + 1) + 13 * d * layers + 15 * d + d**2 + d + 2 * d + 2 * vocabulary * d + vocabulary


@functools.cache
def abstract(name):
    return nnx.eval_shape(lambda: presets.get(name)(rngs=nnx.Rngs(0)))


@pytest.mark.parametrize("name", EXPECTED)
def test_parameter_count(name):
    model, (context, latents, layers, vocabulary, parameters) = abstract(name), EXPECTED[name]
    assert count(model) == parameters
    assert count(model) - count(model.input_adapter.positions) == formula(layers, vocabulary)
    config = model.config
    assert (config.max_context, config.num_latents, config.num_self_attends) == (context, latents, layers)


def test_the_release_s_other_counts():
    """Its base configuration is rotary; its small copy task and its dummy have sinusoidal tables, which it counts."""

    def base(layers):
        config = PerceiverARConfig(
            num_latents=16, latent_channels=1024, max_context=1024, num_self_attends=layers, num_cross_heads=16,
            num_self_heads=16,
        )  # fmt: skip
        return PerceiverAR(config, input_adapter=TokenInput(259, 1024, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0))

    counts = {layers: count(nnx.eval_shape(lambda layers=layers: base(layers))) for layers in (1, 2, 12)}
    assert counts == {1: 26_810_627 - 33 * 1024, 2: 39_385_347 - 12 * 1024, 12: 165_335_299}


def shapes(state):
    return {jax.tree_util.keystr(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(state)}


@pytest.mark.parametrize("name", EXPECTED)
def test_abstract_training_step_at_the_true_context(name):
    """Logits, and gradients of all parameters, of one example as long as the context."""
    context, latents, _, vocabulary, _ = EXPECTED[name]
    graphdef, params = nnx.split(abstract(name))
    axes = max(len(abstract(name).input_adapter.position_sizes), 1)

    def loss(params, tokens, positions):
        logits = nnx.merge(graphdef, params)(tokens, positions=positions, train=True, rngs=nnx.Rngs(dropout=0))
        losses, _ = token_losses(logits, tokens[:, -logits.shape[1] :], z_loss=1e-4)
        return losses.sum(), logits

    tokens = jax.ShapeDtypeStruct((1, context), jnp.int32)
    positions = jax.ShapeDtypeStruct((1, context, axes), jnp.int32)
    gradients, logits = jax.eval_shape(jax.grad(loss, has_aux=True), params, tokens, positions)
    assert logits.shape == (1, latents, vocabulary)
    assert shapes(gradients) == shapes(params)


def test_images_have_three_axes_of_learned_positions():
    adapter = abstract("imagenet64_ar").input_adapter
    assert adapter.position_sizes == (66, 66, 5)
    assert count(adapter.positions) == 137 * 1024


@pytest.mark.parametrize("name", ["wikitext103_ar", "pg19_ar", "maestro_ar"])
def test_what_was_not_checked_is_said(name):
    assert "unverified" in presets.get(name).__doc__
