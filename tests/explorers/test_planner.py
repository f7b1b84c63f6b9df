"""The budget planner's formulas against what the library counts, and its state."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from perceiver_lab.adapters import ClassOutput, ImageInput
from perceiver_lab.explorers import BudgetPlanner
from perceiver_lab.explorers.planner import CHANNELS, num_inputs, perceiver_price, transformer_price
from perceiver_lab.introspect import cost
from perceiver_lab.models import Perceiver, PerceiverConfig
from perceiver_lab.models.baselines import TransformerConfig, TransformerEncoder
from perceiver_lab.ops import attention, cross

SIZES = [(8, 4, 32, 1), (16, 64, 64, 2), (24, 16, 32, 3)]
LARGE = [(64, 64, 64, 1), (128, 128, 32, 2)]


def count(make, side):
    """The library's count of a model that reads one picture of side x side pixels."""
    return cost(nnx.eval_shape(make), jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32))


def perceiver(side, latents, channels, layers):
    config = PerceiverConfig(num_latents=latents, latent_channels=channels, num_self_attends_per_block=layers)
    return lambda: Perceiver(
        config,
        input_adapter=ImageInput((side, side, 3), num_bands=64),
        output_adapter=ClassOutput(channels, 1000, rngs=nnx.Rngs(0)),
        rngs=nnx.Rngs(0),
    )


def transformer(side, channels, layers):
    config = TransformerConfig(num_classes=1000, channels=channels, num_layers=layers, num_heads=8, widening_factor=1)
    adapter = ImageInput((side, side, 3), num_bands=64)
    return lambda: TransformerEncoder(config, input_adapter=adapter, rngs=nnx.Rngs(0))


def planned(side, latents, channels, layers, folded=False):
    sizes = {"num_latents": latents, "channels": channels, "num_layers": layers, "folded": folded}
    return perceiver_price(side**2, CHANNELS["image"], **sizes)


def planned_transformer(side, channels, layers, folded=False):
    return transformer_price(side**2, CHANNELS["image"], channels=channels, num_layers=layers, folded=folded)


@pytest.fixture
def plain(monkeypatch):
    """Attention as it is written: the library would choose the cheaper order of a read, and go in chunks."""
    monkeypatch.setattr(cross, "choose_form", lambda *_, **__: "plain")
    monkeypatch.setattr(attention, "choose_implementation", attention.choose_one_pass)


@pytest.mark.parametrize(("side", "latents", "channels", "layers"), SIZES)
def test_a_perceiver_costs_what_the_library_counts(plain, side, latents, channels, layers):
    counted = count(perceiver(side, latents, channels, layers), side)
    found = planned(side, latents, channels, layers)
    assert (found.parameters, found.flops) == (counted.parameters, counted.flops)


@pytest.mark.parametrize(("side", "latents", "channels", "layers"), SIZES)
def test_folded_it_costs_what_the_library_does(side, latents, channels, layers):
    counted = count(perceiver(side, latents, channels, layers), side)
    found = planned(side, latents, channels, layers, folded=True)
    assert (found.parameters, found.flops) == (counted.parameters, counted.flops)
    assert found.flops <= planned(side, latents, channels, layers).flops


@pytest.mark.parametrize(("side", "latents", "channels", "layers"), SIZES)
def test_a_transformer_costs_what_the_library_counts(side, latents, channels, layers):
    counted = count(transformer(side, channels, layers), side)
    found = planned_transformer(side, channels, layers)
    assert (found.parameters, found.flops) == (counted.parameters, counted.flops)


def held(make, side, run):
    """Bytes of a compiled program behind the input adapter: parameters, inputs, and what it makes on the way."""
    inputs = jax.ShapeDtypeStruct((1, side**2, CHANNELS["image"]), jnp.float32)
    counted = cost(run, nnx.eval_shape(make), inputs, compiled=True)
    return counted.parameter_bytes + 4 * side**2 * CHANNELS["image"] + counted.temporary_bytes


def read_and_think(model, inputs):
    return model.decode(model.encode(inputs))


def layers_on_all(model, inputs):
    return model.trunk(model.embed(inputs), mask=None, train=False, rngs=None)


@pytest.mark.parametrize(("side", "latents", "channels", "layers"), LARGE)
def test_memory_is_near_the_compiler_s(plain, side, latents, channels, layers):
    found = planned(side, latents, channels, layers).memory
    if jax.__version_info__ >= (0, 12):  # whose XLA keeps one more array as large as the inputs
        found += 4 * side**2 * CHANNELS["image"]
    assert found == pytest.approx(held(perceiver(side, latents, channels, layers), side, read_and_think), rel=0.15)


def test_memory_of_self_attention_is_near_the_compiler_s(plain):
    found = planned_transformer(32, 64, 2).memory
    assert found == pytest.approx(held(transformer(32, 64, 2), 32, layers_on_all), rel=0.15)


@pytest.mark.parametrize(
    ("side", "channels", "chunked"), [(16, 64, False), (24, 64, True), (32, 64, True), (32, 1024, False)]
)
def test_a_transformer_in_chunks_needs_less_memory_and_the_same_work(side, channels, chunked):
    """576 and 1,024 rows of narrow heads; heads of 128 channels hold all of as many scores."""
    found, written = (planned_transformer(side, channels, 2, folded=folded) for folded in (True, False))
    assert found.memory == pytest.approx(held(transformer(side, channels, 2), side, layers_on_all), rel=0.15)
    assert (found.memory < written.memory) == chunked and found.flops == written.flops


def test_in_chunks_the_scores_are_never_all_there():
    found = planned(128, 128, 32, 2, folded=True).memory
    assert found == pytest.approx(held(perceiver(128, 128, 32, 2), 128, read_and_think), rel=0.15)
    assert found < planned(128, 128, 32, 2).memory - 4 * 128 * 128**2


def test_inputs_of_each_kind():
    assert num_inputs("image", 224) == 50_176
    assert num_inputs("sound", 0.1) == 1_600
    assert num_inputs("text", 2048) == 2048
    assert CHANNELS == {"image": 261, "sound": 130, "text": 256}


def test_state_and_first_frame():
    planner = BudgetPlanner(image=224, num_latents=512)
    assert planner.state()["image"] == 224
    alt = planner.first_frame().alt
    assert "Cost of one example of 50,176 inputs. Perceiver: FLOPs " in alt
    assert "There is memory for 16 GiB" in alt
    assert repr(planner) == "BudgetPlanner(image of 224 pixels a side, num_latents=512, channels=512, num_layers=6)"
    assert repr(BudgetPlanner(kind="sound", speed=7)).startswith("BudgetPlanner(sound of 1 seconds")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"image": 4}, "image=4 is out of range: it may be 8 to 1024 pixels a side"),
        ({"sound": 100.0}, "sound=100.0 is out of range"),
        ({"num_latents": 0}, "num_latents=0"),
        ({"channels": 100}, "channels=100 is no multiple of 8"),
        ({"num_layers": 49}, "num_layers=49 is out of range: it may be 1 to 48"),
        ({"latents": 8}, "BudgetPlanner has no latents; it has channels, folded"),
    ],
)
def test_what_cannot_be_planned_is_refused(state, message):
    with pytest.raises(ValueError, match=message):
        BudgetPlanner(**state)
