"""The benchmark of cached sampling measures any Perceiver AR; here a small one."""

import importlib.util
import pathlib

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "generation.py"


def test_both_ways_are_measured_and_cached_tokens_cost_the_same_everywhere():
    spec = importlib.util.spec_from_file_location("generation_benchmark", SCRIPT)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    model = benchmark.make_model(context=48, latents=8, channels=32, layers=1)
    result = benchmark.measure(model, places=(8, 40), steps=(1, 4), cached_tokens=10, uncached_tokens=2, repeats=1)
    assert (result["context"], result["latents"], result["prompt"]) == (48, 8, 38)
    assert result["cached_tokens_per_second"] > 0 and result["uncached_tokens_per_second"] > 0
    assert [row["steps"] for row in result["table"]] == [1, 4]
    assert all(row["max_difference"] < 1e-3 and row["speed_up"] > 0 for row in result["table"])
    small, large = result["cached_token"].values()
    assert small["flops"] == large["flops"] > 0 and small["milliseconds"] > 0
    few, many = result["pass_flops"].values()
    assert many > few > small["flops"]
