"""Products in bfloat16, sums and parameters in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import ClassOutput, ImageInput, TokenInput
from perceiver_lab.introspect.cost import _inner
from perceiver_lab.layers import SelfAttentionStack, compute_in
from perceiver_lab.models import Perceiver, PerceiverAR, PerceiverARConfig, PerceiverConfig
from tests.drawn import drawn, normal


def perceiver():
    config = PerceiverConfig(
        num_latents=8, latent_channels=16, num_reads=2, num_blocks=2, num_self_attends_per_block=2, num_self_heads=2
    )
    return Perceiver(
        config,
        input_adapter=ImageInput((8, 8, 3), num_bands=4),
        output_adapter=ClassOutput(16, 5, rngs=nnx.Rngs(0)),
        rngs=nnx.Rngs(0),
    )


def perceiver_ar():
    config = PerceiverARConfig(
        num_latents=8, latent_channels=16, max_context=24, num_self_attends=2, num_cross_heads=2, num_self_heads=2
    )
    return PerceiverAR(config, input_adapter=TokenInput(20, 16, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0))


def scanned():
    return SelfAttentionStack(3, 16, num_heads=2, scan=True, rngs=nnx.Rngs(0))


CASES = {
    "perceiver": (perceiver, normal(2, 8, 8, 3)),
    "perceiver_ar": (perceiver_ar, np.arange(48).reshape(2, 24) % 17 + 3),
    "scanned": (scanned, normal(2, 8, 16)),
}


def factors(jaxpr):
    """The dtypes of both sides of every product, those inside loops and calls as well."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            yield tuple(variable.aval.dtype.name for variable in equation.invars[:2])
        for inner in _inner(equation.params):
            yield from factors(inner)


@pytest.fixture(params=CASES)
def case(request):
    make, x = CASES[request.param]
    return drawn(make), jnp.asarray(x)


def test_every_product_of_a_forward_pass_is_in_half_precision(case):
    model, x = case
    graphdef, state = nnx.split(compute_in(model, "bfloat16"))
    program = jax.make_jaxpr(lambda state, x: nnx.merge(graphdef, state)(x))(state, x)
    assert set(factors(program.jaxpr)) == {("bfloat16", "bfloat16")}


def test_parameters_and_gradients_stay_in_float32_and_hardly_change(case):
    model, x = case

    def loss(params, graphdef):
        return (nnx.merge(graphdef, params)(x).astype(jnp.float32) ** 2).mean()

    found = {}
    for dtype in ("float32", "bfloat16"):
        graphdef, params = nnx.split(compute_in(model, dtype))
        value, grads = jax.jit(jax.value_and_grad(loss), static_argnums=1)(params, graphdef)
        assert {leaf.dtype.name for leaf in jax.tree.leaves((params, grads))} == {"float32"}
        found[dtype] = np.concatenate([np.ravel(value), *(np.ravel(leaf) for leaf in jax.tree.leaves(grads))])
    off = np.linalg.norm(found["bfloat16"] - found["float32"]) / np.linalg.norm(found["float32"])
    assert 0 < off < 0.05  # 8 significant bits: a relative 0.004 for each factor


def test_the_way_back():
    model = drawn(perceiver)
    graphdef = nnx.split(model)[0]
    assert nnx.split(compute_in(model, "bfloat16"))[0] != graphdef
    assert nnx.split(compute_in(model, "float32"))[0] == graphdef


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
def test_another_precision_is_refused(dtype):
    with pytest.raises(ValueError, match=f"{dtype}.*choose bfloat16"):
        compute_in(scanned(), dtype)
