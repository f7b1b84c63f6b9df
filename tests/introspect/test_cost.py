import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.introspect import cost, summary
from perceiver_lab.layers import CrossAttentionBlock
from perceiver_lab.ops import multiply_adds


def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def test_matrix_products_are_counted_with_every_turn_of_a_loop():
    def loop(x, w):
        return jax.lax.scan(lambda x, _: (x @ w, None), x, None, length=10)[0]

    found = cost(loop, shape(3, 4), shape(4, 4))
    assert found.multiply_adds == 10 * 3 * 4 * 4
    assert found.flops == 2 * found.multiply_adds
    assert found.output_bytes == 3 * 4 * 4
    assert found.parameters == found.parameter_bytes == 0
    # The compiler looks at the body of a loop once.
    assert found.compiler_flops < found.flops


def test_batched_products_and_inner_programs_are_counted():
    @jax.jit
    def inner(x, y):
        return jax.checkpoint(lambda x, y: jnp.einsum("bnc,bmc->bnm", x, y))(x, y)

    assert cost(inner, shape(2, 3, 4), shape(2, 5, 4)).multiply_adds == 2 * 3 * 5 * 4


@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions_are_counted(groups):
    conv = nnx.Conv(4, 6, (3, 3), padding="VALID", feature_group_count=groups, rngs=nnx.Rngs(0))
    assert cost(conv, shape(2, 5, 5, 4)).multiply_adds == 2 * 3 * 3 * 6 * 9 * 4 // groups


def test_of_branches_the_dearest_counts():
    def choose(x):
        return jax.lax.cond(x[0, 0] > 0, lambda x: x @ x @ x, lambda x: x @ x, x)

    assert cost(choose, shape(3, 3)).multiply_adds == 2 * 27


def test_a_model_costs_its_parameters_and_its_products(make, images):
    model = make(num_self_attends_per_block=2)
    found = cost(model, images)
    assert found.parameters == sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    assert found.parameter_bytes == 4 * found.parameters
    assert found.output_bytes == 2 * 3 * 4
    # XLA counts norms, softmax and GELU as well, which for so small a model are a good part.
    assert found.flops < found.compiler_flops < 2 * found.flops
    assert found.bytes_accessed > found.parameter_bytes
    assert found.temporary_bytes is None


def test_nothing_is_needed_but_shapes_and_nothing_is_allocated(make, images):
    abstract = nnx.eval_shape(make)
    before = len(jax.live_arrays())
    found = cost(abstract, shape(2, 4, 4, 1), positions=shape(2, 16, 2), train=False)
    huge = cost(abstract, shape(10**6, 4, 4, 1))
    assert len(jax.live_arrays()) == before
    assert found.multiply_adds == cost(make(), images).multiply_adds
    assert huge.multiply_adds > 10**5 * found.multiply_adds


def test_models_may_stand_among_the_arguments(make, images):
    def gradients(model, x):
        return nnx.grad(lambda model: model(x).sum())(model)

    found, forward = cost(gradients, make(), images, compiled=True), cost(make(), images)
    assert found.parameters == forward.parameters
    assert 2 < found.multiply_adds / forward.multiply_adds < 3.1
    assert found.output_bytes == found.parameter_bytes
    assert found.temporary_bytes > 0


def test_what_cannot_be_called_is_named():
    with pytest.raises(ValueError, match="got int, which cannot be called"):
        cost(3, shape(2))


def test_a_summary_lists_parts_shapes_and_counts(make):
    model = make(num_reads=2, num_blocks=2)
    text = summary(model)
    lines = text.splitlines()
    total = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    assert lines[0].split() == ["part", "shapes", "parameters"]
    assert lines[-1].split() == ["total", f"{total:,}"]
    assert ["encoder.latents", "table", "5", "x", "8", "40"] in [line.split() for line in lines]
    assert any(line.startswith("encoder.reads.1.attention") and "8 arrays" in line for line in lines)
    counts = [int(line.split()[-1].replace(",", "")) for line in lines[2:-2]]
    assert sum(counts) == total
    assert len({len(line) for line in lines}) == 1


def test_a_summary_adds_up_what_lies_deeper_and_needs_no_weights(make):
    abstract = nnx.eval_shape(make)
    parts = [line.split()[0] for line in summary(abstract, depth=1).splitlines()[2:-2]]
    assert parts == ["encoder", "output_adapter"]
    deep = summary(abstract, depth=9)
    assert "encoder.blocks.0.layers.0.attention.query" in deep
    assert summary(make(), depth=9) == deep


def test_a_summary_of_a_module_with_parameters_of_its_own():
    text = summary(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    assert "(the model itself)" in text
    assert "bias 3, kernel 2 x 3" in text
    assert np.all([len(line) < 100 for line in text.splitlines()])


def test_a_summary_refuses_what_is_no_module_and_no_depth(make):
    with pytest.raises(ValueError, match="summary looks into a model"):
        summary({"kernel": 1})
    with pytest.raises(ValueError, match="depth=0: a name has at least one step"):
        summary(make(), depth=0)


@pytest.mark.parametrize(
    ("latents", "inputs", "form", "why"),
    [
        (
            8,
            512,
            "folded",
            "8 latents read 512 inputs; {folded:,} multiply-adds folded < {plain:,} plain: folded; 8,192",
        ),
        (64, 512, "plain", "folded >= {plain:,} plain: not folded; 65,536 scores <= 1,048,576: in one pass"),
        (64, 32_768, "chunked", "4,194,304 scores > 1,048,576: in chunks"),
    ],
)
def test_it_says_which_form_each_read_takes_and_why(latents, inputs, form, why):
    block = CrossAttentionBlock(8, 16, num_heads=2, rngs=nnx.Rngs(0))
    (read,) = cost(block, shape(1, latents, 8), shape(1, inputs, 16)).reads
    counted = multiply_adds(latents, inputs, 16, num_heads=2, qk_channels=16, v_channels=16)
    assert read.form == form
    assert why.format(**counted) in str(read)
