"""Perceiver AR's parameters by the release's names, there and back; its tables that never change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import presets
from perceiver_lab.adapters import TokenInput
from perceiver_lab.convert import haiku_shapes, load_haiku, to_haiku
from perceiver_lab.layers import LearnedPositions, SinusoidalPositions
from perceiver_lab.models import PerceiverAR, PerceiverARConfig
from tests.drawn import drawn


def make(positions, *, layers=2, seed=0):
    config = PerceiverARConfig(
        num_latents=2, latent_channels=4, max_context=6, num_self_attends=layers, num_cross_heads=2, num_self_heads=2,
        rotary_fraction=0.0 if positions else 1.0,
    )  # fmt: skip

    def build():
        rngs = nnx.Rngs(0)
        tables = [
            LearnedPositions((7,), 6, rngs=rngs) if one == "learned" else SinusoidalPositions(7, 6) for one in positions
        ]
        adapter = TokenInput(5, 6, positions=tables, rngs=rngs)
        return PerceiverAR(config, input_adapter=adapter, zero_output=False, rngs=rngs)

    return drawn(build, seed)


call = nnx.jit(lambda model, tokens, positions: model(tokens, positions=positions))


@pytest.mark.parametrize(
    ("positions", "layers"), [((), 2), ((), 9), (("sinusoidal",), 1), (("learned", "learned"), 1)],
    ids=["rotary", "scanned", "sinusoidal", "two tables"],
)  # fmt: skip
def test_there_and_back(positions, layers):
    one, other = (make(positions, layers=layers, seed=seed) for seed in (0, 1))
    load_haiku(other, to_haiku(one)[0])
    tokens = jnp.array([[2, 3, 4]])
    places = jnp.array([[[1] * max(len(positions), 1)] * 3]) if positions else None
    np.testing.assert_array_equal(call(other, tokens, places), call(one, tokens, places))


def test_names_of_the_published_image_model():
    model = nnx.eval_shape(lambda: presets.get("imagenet64_ar")(rngs=nnx.Rngs(0)))
    shapes = haiku_shapes(model)
    assert shapes["perceiver_ar/~/embed/embeddings"] == (259, 1024)
    assert [shapes[f"perceiver_ar/~/embed_{axis}/embeddings"] for axis in (1, 2, 3)] == [
        (66, 1024),
        (66, 1024),
        (5, 1024),
    ]
    assert shapes["perceiver_ar/~/self_attention_59/dense/linear/w"] == (1024, 4096)
    assert shapes["perceiver_ar/~/cross_attention/layer_norm_2/offset"] == (1024,)
    assert sum(np.prod(shape) for shape in shapes.values()) == 770_094_339


def test_the_release_counts_the_fixed_table_too():
    model = nnx.eval_shape(lambda: presets.get("copy_131k_ar")(rngs=nnx.Rngs(0)))
    assert sum(np.prod(shape) for shape in haiku_shapes(model).values()) == 223_976_707


def test_another_fixed_table_is_refused_and_nothing_loaded():
    model = make(("sinusoidal",))
    params = to_haiku(make(("sinusoidal",), seed=1))[0]
    before = jax.tree.leaves(nnx.state(model))
    name = "perceiver_ar/~/embed_1/embeddings"
    with pytest.raises(ValueError, match=f"{name} is a fixed table that this model computes, but the file has another"):
        load_haiku(model, params | {name: params[name] + 0.01})
    for one, other in zip(before, jax.tree.leaves(nnx.state(model)), strict=True):
        np.testing.assert_array_equal(one, other)
