"""The flow benchmark measures any flow model; here a small one."""

import importlib.util
import pathlib

from perceiver_lab.adapters import FlowOutput, FlowPatches, GridInput, InputQueries
from perceiver_lab.layers import FourierPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "flow.py"


def small(*, rngs):
    features = FlowPatches((2, 12, 16, 3), channels=8, rngs=rngs)
    inputs = GridInput(features, FourierPositions(features.grid, num_bands=2))
    config = PerceiverConfig(num_latents=4, latent_channels=16, num_self_attends_per_block=1, num_self_heads=2)
    decoder = Decoder(InputQueries(inputs.num_channels), 16, output_channels=2, rngs=rngs)
    output = FlowOutput(features.grid, divide_by=100.0, multiply_by=20.0)
    return PerceiverIO(config, input_adapter=inputs, decoder=decoder, output_adapter=output, rngs=rngs)


def test_a_pass_is_measured():
    spec = importlib.util.spec_from_file_location("flow_benchmark", SCRIPT)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    result = benchmark.measure(small)
    assert result["flow"] == [1, 12, 16, 2]
    assert result["seconds"] >= 0 and 0 <= result["gibibytes"] < 2
