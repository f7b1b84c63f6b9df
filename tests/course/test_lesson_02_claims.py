"""Lesson 02: what its text claims of shares, of memory and of the budget planner."""

import ast
import json
import pathlib

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from perceiver_lab import adapters, models
from perceiver_lab.explorers import BudgetPlanner
from perceiver_lab.introspect import cost
from perceiver_lab.models import baselines
from perceiver_lab.ops import attend

ROOT = pathlib.Path(__file__).parents[2]
SOURCE = ROOT / "notebooks" / "source" / "02_the_price_of_looking.py"


@pytest.fixture(scope="module")
def lesson():
    """The functions that the lesson counts with and the models that it trains, from its own text."""
    wanted = ("attention_parts", "self_attention_layer", "read_layer", "make_perceiver", "make_transformer")
    found = [one for one in ast.parse(SOURCE.read_text("utf-8")).body if getattr(one, "name", "") in wanted]
    assert len(found) == len(wanted)
    names = {**vars(adapters), **vars(models), **vars(baselines), "nnx": nnx}
    exec(compile(ast.Module(found, []), SOURCE.name, "exec"), names)
    return names


def share(parts):
    return parts["scores and sum"] / sum(parts.values())


def memory(impl, inputs, num_queries=None, num_heads=1):
    """Bytes that a program needs for its attention, and its multiply-adds."""
    q, k = (jax.ShapeDtypeStruct((1, m, num_heads, 64), jnp.float32) for m in (num_queries or inputs, inputs))
    counted = cost(lambda q, k, v: attend(q, k, v, impl=impl), q, k, k, compiled=True)
    return counted.temporary_bytes, counted.multiply_adds


def test_the_square_is_a_twentieth_at_256_inputs_half_at_4608_and_nearly_all_at_50176(lesson):
    shares = [share(lesson["self_attention_layer"](m, 768, widening=4)) for m in (256, 4608, 50_176)]
    assert shares[0] == pytest.approx(0.05, abs=0.005)
    assert shares[1] == 0.5
    assert shares[2] > 0.9


def test_in_a_read_the_shares_settle_and_are_equal_at_as_many_latents_as_channels(lesson):
    read = lesson["read_layer"]
    assert [f"{share(read(n, 50_176, 1024, 261)):.0%}" for n in (512, 128)] == ["62%", "32%"]
    for m in (100, 10_000):
        parts = read(261, m, 1024, 261)
        assert parts["scores and sum"] == parts["keys and values"]


def test_a_read_is_98_times_smaller_than_the_square():
    assert 50_176 / 512 == 98


def test_50176_pixels_want_their_scores_twice_and_eight_heads_eight_times_that():
    whole, _ = memory("einsum", 50_176)
    assert 1.9 < whole / (4 * 50_176**2) < 2.1
    assert 7.9 < memory("einsum", 50_176, num_heads=8)[0] / whole < 8.1


def test_chunks_save_memory_and_no_work():
    (whole, work), (chunked, same) = (memory(impl, 16_384) for impl in ("einsum", "chunked"))
    assert chunked < whole / 10
    assert work == same == 2 * 16_384**2 * 64


def test_the_stored_measurement_compared_its_gradients_and_the_chosen_form_is_faster():
    stored = json.loads((ROOT / "benchmarks" / "results" / "attention.json").read_text("utf-8"))
    for case in stored["cases"].values():
        plain, chosen = case["forms"]["plain"], case["forms"][case["chosen"]]
        assert chosen["seconds"] < plain["seconds"] and chosen["mebibytes"] < plain["mebibytes"]
        assert chosen["gradient_difference"] < 1e-4


def test_a_digit_costs_the_transformer_33_times_as_much(lesson):
    picture = jax.ShapeDtypeStruct((1, 16, 16, 1), jnp.float32)
    perceiver = cost(nnx.eval_shape(lambda: lesson["make_perceiver"](16, 16)), picture).flops
    ratio = cost(nnx.eval_shape(lambda: lesson["make_transformer"](16)), picture).flops / perceiver
    assert round(ratio) == 33
    assert 10 / ratio < 1 / 3


def test_the_perceiver_of_lesson_04_reads_99_percent_of_the_same_digits():
    shipped = json.loads((ROOT / "data" / "weights" / "digits_perceiver.json").read_text("utf-8"))
    assert f"{shipped['metrics']['accuracy']:.1%}" == "99.0%"
    assert (shipped["metrics"]["total"], shipped["steps"], shipped["batch_size"]) == (297, 500, 64)


@pytest.fixture
def plan():
    """The planner as it stands in the lesson, with the changes given."""
    start = {"image": 64, "num_latents": 256, "channels": 512, "num_layers": 6}
    return lambda **changes: BudgetPlanner(**(start | changes)).prices()


def test_at_224_pixels_a_side_only_the_perceiver_fits(plan):
    prices = plan(image=224)
    assert prices["Perceiver"].memory < 16 * 2**30 < prices["Transformer"].memory
    assert f"{prices['Perceiver'].memory / 2**30:.2f} {prices['Transformer'].memory / 2**30:.0f}" == "0.24 150"


def test_the_transformer_is_the_cheaper_one_with_fewer_inputs_than_latents(plan):
    prices = plan(image=8)
    assert prices["Transformer"].flops < prices["Perceiver"].flops
    prices = plan(image=64)
    assert prices["Transformer"].flops > prices["Perceiver"].flops


def test_from_10000_inputs_on_one_grows_with_the_inputs_at_most_and_the_other_nearly_with_their_square(plan):
    small, large = plan(image=128), plan(image=256)
    growth = {name: large[name].flops / small[name].flops for name in small}
    assert 1 < growth["Perceiver"] < 4
    assert 12 < growth["Transformer"] < 16


def test_folded_and_in_chunks_the_perceiver_needs_less_memory_at_1024_pixels_a_side(plan):
    plain, folded = (plan(image=1024, folded=folded)["Perceiver"].memory for folded in (False, True))
    assert folded < plain / 2
