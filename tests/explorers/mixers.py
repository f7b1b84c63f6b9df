"""A small untrained model of video, sound and label, and clips to mix."""

import functools

import numpy as np
from flax import nnx

from perceiver_lab.adapters import (
    AudioOutput,
    AudioPatches,
    GridInput,
    LinearOutput,
    Modality,
    OneHotInput,
    Pixels,
    PositionQueries,
    multimodal_adapters,
)
from perceiver_lab.explorers import SenseMixer
from perceiver_lab.layers import FourierPositions, LearnedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO

VIDEO, SAMPLES, PATCH, CLASSES = (4, 8, 8, 1), 800, 80, 3
STRETCHES = SAMPLES // PATCH
LABELS = (0, 1, 1, 2)


@functools.cache
def make_model(tokens=True):
    """Reads and answers all three; without tokens nothing can be missing."""
    rngs, channels, rate = nnx.Rngs(0), 16, 0.0 if tokens else None
    declared = [
        Modality(
            name="label",
            input_adapter=OneHotInput(CLASSES),
            queries=PositionQueries(LearnedPositions((1,), channels, rngs=rngs)),
            output_adapter=LinearOutput(channels, CLASSES, only_query=True, rngs=rngs),
            mask_rate=rate,
        ),
        Modality(
            name="sound",
            input_adapter=GridInput(
                AudioPatches(SAMPLES, samples_per_patch=PATCH), FourierPositions((STRETCHES,), num_bands=3)
            ),
            queries=PositionQueries(FourierPositions((STRETCHES,), num_bands=3)),
            output_adapter=AudioOutput(channels, PATCH, rngs=rngs),
            mask_rate=rate,
        ),
        Modality(
            name="video",
            input_adapter=GridInput(Pixels(VIDEO), FourierPositions(VIDEO[:3], num_bands=2)),
            queries=PositionQueries(FourierPositions(VIDEO[:3], num_bands=2)),
            output_adapter=LinearOutput(channels, 1, grid=VIDEO[:3], rngs=rngs),
            mask_rate=rate,
        ),
    ]
    inputs, queries, output = multimodal_adapters(declared, rngs=rngs)
    config = PerceiverConfig(num_latents=6, latent_channels=channels, num_self_attends_per_block=1, num_self_heads=2)
    decoder = Decoder(queries, channels, output_channels=channels, rngs=rngs)
    return PerceiverIO(config, input_adapter=inputs, decoder=decoder, output_adapter=output, rngs=rngs)


def clips():
    """Four videos and sounds, of the digits 0, 1, 1 and 2; the last quarter of each sound is silent."""
    rng = np.random.default_rng(7)
    video = np.full((4, *VIDEO), -1, np.float32)
    video[:, :, 2:6, 3:5] = rng.uniform(0.5, 1, (4, 4, 4, 2, 1)).astype(np.float32)
    sound = rng.uniform(-0.8, 0.8, (4, SAMPLES, 1)).astype(np.float32)
    sound[:, SAMPLES * 3 // 4 :] = 0
    return {"video": video, "sound": sound, "label": np.array(LABELS)}


def make_mixer(**state):
    """Four examples."""
    return SenseMixer(make_model(), clips(), **state)
