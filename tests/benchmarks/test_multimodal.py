"""The benchmark of the auto-encoder: what is checked without computing is what comes out; here of a small model."""

import importlib.util
import pathlib

import pytest

from perceiver_lab.adapters import (
    AudioOutput,
    AudioPatches,
    GridInput,
    LinearOutput,
    Modality,
    OneHotInput,
    Patches,
    PositionQueries,
    multimodal_adapters,
)
from perceiver_lab.layers import FourierPositions, LearnedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from perceiver_lab.presets import get

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "multimodal.py"
VIDEO = (2, 8, 8, 3)


def small(*, rngs):
    sound, video = AudioPatches(32, samples_per_patch=4), Patches(VIDEO, factor=4)
    modalities = [
        Modality(
            name="audio",
            input_adapter=GridInput(sound, FourierPositions(sound.grid, num_bands=2)),
            queries=PositionQueries(FourierPositions(sound.grid, num_bands=2), subsampling="release"),
            output_adapter=AudioOutput(16, 4, rngs=rngs),
            mask_rate=0.0,
        ),
        Modality(
            name="image",
            input_adapter=GridInput(video, FourierPositions(video.grid, num_bands=2)),
            queries=PositionQueries(FourierPositions(VIDEO[:3], num_bands=2), subsampling="release"),
            output_adapter=LinearOutput(16, 3, grid=VIDEO[:3], rngs=rngs),
            mask_rate=0.0,
        ),
        Modality(
            name="label",
            input_adapter=OneHotInput(5),
            queries=PositionQueries(LearnedPositions((1,), 16, rngs=rngs), subsampling="release"),
            output_adapter=LinearOutput(16, 5, only_query=True, rngs=rngs),
            mask_rate=1.0,
        ),
    ]
    inputs, queries, output = multimodal_adapters(modalities, rngs=rngs)
    config = PerceiverConfig(num_latents=4, latent_channels=16, num_self_attends_per_block=1, num_self_heads=2)
    decoder = Decoder(queries, 16, output_channels=16, rngs=rngs)
    return PerceiverIO(config, input_adapter=inputs, decoder=decoder, output_adapter=output, rngs=rngs)


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("multimodal_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_announced_comes_out(benchmark):
    told = benchmark.abstract(small, num_chunks=4)
    assert told["queries"] == {"audio": 8, "image": 128, "label": 1} and told["vectors"] == 137
    found = benchmark.measure(small, num_chunks=4)
    assert found["outputs"] == {"audio": [1, 32], "image": [1, *VIDEO], "label": [1, 5]}
    assert found["finite"] and found["seconds_decode"] >= 0 and 0 <= found["gibibytes"] < 2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_published_decoder_needs_little_in_chunks(benchmark):
    """Without computing anything: 804,737 vectors, and temporaries far below the 4 GiB that are promised."""
    told = benchmark.abstract(get("multimodal_io"), num_chunks=benchmark.NUM_CHUNKS)
    assert told["queries"] == {"audio": 1920, "image": 16 * 224 * 224, "label": 1}
    assert told["vectors"] == 804_737
    assert told["decoder_temporary_gibibytes"] < 1
