"""The benchmark of the Hierarchical Perceiver measures any sizes; here small ones."""

import importlib.util
import pathlib

from perceiver_lab.models import HiPConfig

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "hip.py"
DEEP = HiPConfig(
    num_groups=(4, 1, 4),
    num_self_attends_per_block=(1, 1, 1),
    num_latents=(2, 4, 2),
    latent_channels=(8, 16, 8),
    num_self_heads=2,
    embedding_channels=4,
)
FLAT = HiPConfig(
    num_groups=(1,),
    num_self_attends_per_block=(1,),
    num_latents=(8,),
    latent_channels=(16,),
    num_self_heads=2,
    embedding_channels=16,
)


def test_a_step_is_measured_and_counted():
    spec = importlib.util.spec_from_file_location("hip_benchmark", SCRIPT)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    result = benchmark.measure(DEEP, 12)
    assert result["inputs"] == 144 and 0.2 < result["loss"] < 0.5  # untrained, it says zero: a third is the variance
    assert result["seconds"] >= 0 and 0 <= result["gibibytes"] < 2 and result["temporary_gibibytes"] >= 0
    counted = benchmark.count({"deep": DEEP, "flat": FLAT}, 12)
    assert 0 < counted["deep"]["flops"] < counted["flat"]["flops"]
    found = benchmark.beside(FLAT, 12)
    assert set(found) == {"forward_seconds", "forward_temporary_gibibytes", "step_temporary_gibibytes"}
    assert 0 <= found["forward_temporary_gibibytes"] <= found["step_temporary_gibibytes"] < 1
