"""The benchmark of the language model measures any of its kind; here a small one."""

import importlib.util
import pathlib

from perceiver_lab.adapters import ByteInput, ByteOutput, PositionQueries
from perceiver_lab.layers import LearnedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "mlm.py"


def small(*, rngs):
    config = PerceiverConfig(num_latents=4, latent_channels=16, num_self_attends_per_block=1, num_self_heads=2)
    queries = PositionQueries(LearnedPositions((32,), 8, rngs=rngs))
    decoder = Decoder(queries, 16, output_channels=None, num_heads=2, rngs=rngs)
    inputs = ByteInput(8, 32, rngs=rngs)
    return PerceiverIO(config, input_adapter=inputs, decoder=decoder, output_adapter=ByteOutput(), rngs=rngs)


def test_a_pass_is_measured():
    spec = importlib.util.spec_from_file_location("mlm_benchmark", SCRIPT)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    result = benchmark.measure(small)
    assert result["logits"] == [1, 32, 262] and result["parameters"] > 262 * 8
    assert result["seconds"] >= 0 and 0 <= result["gibibytes"] < 2
