import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import (
    AudioOutput,
    ByteInput,
    ByteOutput,
    LinearOutput,
    Modality,
    MultimodalOutput,
    OneHotInput,
    OnlyQuery,
    PositionQueries,
    multimodal_adapters,
)
from perceiver_lab.layers import FourierPositions, LearnedPositions


def normal(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def learned(channels=3):
    return PositionQueries(LearnedPositions((1,), channels, rngs=nnx.Rngs(0)))


def pixels():
    return PositionQueries(FourierPositions((2, 3), num_bands=2))


def test_declared_modalities_become_three_adapters():
    made = multimodal_adapters(
        [
            Modality(name="text", input_adapter=ByteInput(4, 5, rngs=nnx.Rngs(0)), drop_rate=0.25),
            Modality(name="label", input_adapter=OneHotInput(6), mask_rate=1.0, queries=learned()),
            Modality(name="image", queries=pixels(), output_adapter=LinearOutput(8, 2, grid=(2, 3), rngs=nnx.Rngs(0))),
        ],
        input_padding=3,
        query_padding=4,
        rngs=nnx.Rngs(1),
    )
    assert made.input_adapter.names == ("label", "text")
    assert made.input_adapter.num_channels == 6 + 3
    assert made.input_adapter.mask_rates == (1.0, 0.0)
    assert made.input_adapter.drop_rates == (0.0, 0.25)
    assert made.queries.names == ("image", "label")
    assert made.queries.num_channels == 10 + 4
    outputs = made.output_adapter(normal(2, 7, 8), sizes={"image": 6, "label": 1})
    assert {name: array.shape for name, array in outputs.items()} == {"image": (2, 2, 3, 2), "label": (2, 1, 8)}


def test_tasks_alone_need_no_inputs_and_nothing_masked_has_no_tokens():
    made = multimodal_adapters([Modality(name="class", queries=learned())], rngs=nnx.Rngs(0))
    assert made.input_adapter is None
    plain = Modality(name="label", input_adapter=OneHotInput(6), queries=learned())
    assert multimodal_adapters([plain], rngs=nnx.Rngs(0)).input_adapter.mask_rates is None


def test_each_group_gets_its_own_embedding():
    output = MultimodalOutput({"text": ByteOutput(7), "other": ByteOutput(7)})
    tables = {"text": normal(7, 3), "other": normal(7, 3, seed=1)}
    decoded = normal(2, 4, 3, seed=2)
    found = output(decoded, sizes={"other": 1, "text": 3}, embedding=tables)
    np.testing.assert_allclose(found["text"], decoded[:, 1:] @ tables["text"].T, atol=1e-5)
    np.testing.assert_allclose(found["other"], decoded[:, :1] @ tables["other"].T, atol=1e-5)
    alone = output(decoded, sizes={"text": 4}, embedding=tables["text"])
    np.testing.assert_allclose(alone["text"][:, 1:], found["text"], atol=1e-5)


def test_the_embeddings_of_modalities_by_name():
    text = ByteInput(4, 5, rngs=nnx.Rngs(0))
    declared = [
        Modality(name="text", input_adapter=text, queries=learned()),
        Modality(name="label", input_adapter=OneHotInput(6)),
    ]
    adapter = multimodal_adapters(declared, rngs=nnx.Rngs(0)).input_adapter
    assert list(adapter.embedding_table) == ["text"]
    np.testing.assert_array_equal(adapter.embedding_table["text"], text.embedding[...])


def test_targets_are_selected_as_the_outputs_are():
    output = MultimodalOutput(
        {
            "audio": AudioOutput(8, 2, rngs=nnx.Rngs(0)),
            "image": LinearOutput(8, 3, grid=(2, 3), rngs=nnx.Rngs(0)),
            "class": LinearOutput(8, 4, only_query=True, rngs=nnx.Rngs(0)),
            "one": OnlyQuery(),
        }
    )
    targets = {
        "audio": normal(2, 10, 1),
        "image": normal(2, 2, 3, 3),
        "class": jnp.array([3, 1]),
        "one": jnp.array([2, 0]),
    }
    cells = {"audio": jnp.array([4, 0]), "image": jnp.array([[5], [2]]), "class": jnp.array([0]), "one": jnp.array([0])}
    found = output.select(targets, cells)
    np.testing.assert_array_equal(found["audio"], targets["audio"][:, jnp.array([8, 9, 0, 1]), 0])
    np.testing.assert_array_equal(found["image"][1, 0], targets["image"][1, 0, 2])
    np.testing.assert_array_equal(found["class"], targets["class"])
    np.testing.assert_array_equal(found["one"], targets["one"])
    assert output.select(targets)["image"].shape == (2, 2, 3, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Modality(name="none"), "modality 'none' must have an input_adapter"),
        (
            lambda: Modality(name="a", queries=learned(), mask_rate=0.5),
            "'a' must have an input_adapter to be read, masked",
        ),
        (lambda: Modality(name="a", queries=learned(), drop_rate=0.5), "masked or dropped"),
        (
            lambda: Modality(name="a", input_adapter=OneHotInput(2), output_adapter=OnlyQuery()),
            "queries to be asked for",
        ),
        (lambda: Modality(name="a", input_adapter=OneHotInput(2), loss=jnp.dot), "an output_adapter or a loss"),
        (
            lambda: multimodal_adapters([Modality(name="a", queries=learned())] * 2, rngs=nnx.Rngs(0)),
            r"\['a', 'a'\]: each needs a name of its own",
        ),
        (
            lambda: multimodal_adapters([Modality(name="a", input_adapter=OneHotInput(2))], rngs=nnx.Rngs(0)),
            "at least one of them queries",
        ),
        (lambda: MultimodalOutput({"a": None})(normal(1, 3, 2), sizes={"a": 2}), "do not add up to 3 decoded queries"),
        (lambda: MultimodalOutput({"a": None})(normal(1, 3, 2), sizes={"b": 3}), r"groups \['a'\]; got \['b'\]"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
