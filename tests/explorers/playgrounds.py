"""Small untrained models to ask: four tasks in groups, and a flow whose queries are the inputs."""

import functools

import numpy as np
from flax import nnx

from perceiver_lab.adapters import (
    FlowOutput,
    ImageInput,
    InputQueries,
    LinearOutput,
    MultimodalOutput,
    MultimodalQueries,
    PositionQueries,
)
from perceiver_lab.explorers import QueryPlayground, Task
from perceiver_lab.layers import FourierPositions, LearnedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from tests.drawn import drawn

SIDE, LATENTS = 12, 10
KINDS = ("circle", "square", "star")
OUTPUTS = {"class": 3, "colour": 3, "mask": 1}
TASKS = (
    Task(name="class", kind="classes", classes=KINDS, at_point=False),
    Task(name="colour", kind="colour"),
    Task(name="mask", kind="probability", classes=("background", "shape")),
)


@functools.cache
def make_model():
    """A Perceiver IO that is asked for a class, and for colour and mask at points."""
    return drawn(_asked)


def _asked():
    rngs = nnx.Rngs(0)
    groups = {
        "class": PositionQueries(LearnedPositions((1,), 16, rngs=rngs)),
        "colour": PositionQueries(FourierPositions((SIDE, SIDE), num_bands=3)),
        "mask": PositionQueries(FourierPositions((SIDE, SIDE), num_bands=3)),
    }
    queries = MultimodalQueries(groups, rngs=rngs)
    decoder = Decoder(queries, 16, output_channels=None, num_heads=2, use_query_residual=True, rngs=rngs)
    parts = {
        name: LinearOutput(queries.num_channels, size, only_query=name == "class", rngs=rngs)
        for name, size in OUTPUTS.items()
    }
    return PerceiverIO(
        PerceiverConfig(num_latents=LATENTS, latent_channels=16, num_self_attends_per_block=2, num_self_heads=2),
        input_adapter=ImageInput((SIDE, SIDE, 3), num_bands=3),
        decoder=decoder,
        output_adapter=MultimodalOutput(parts),
        rngs=rngs,
    )


@functools.cache
def make_flow_model():
    """A Perceiver IO that says the flow at each of its inputs, of frames (2, H, W, 1) as two channels."""
    return drawn(_asked_for_flow)


def _asked_for_flow():
    rngs = nnx.Rngs(1)
    adapter = ImageInput((6, 8, 2), num_bands=2)
    decoder = Decoder(InputQueries(adapter.num_channels), 8, output_channels=2, num_heads=1, rngs=rngs)
    config = PerceiverConfig(num_latents=5, latent_channels=8, num_self_attends_per_block=1, num_self_heads=2)
    output = FlowOutput((6, 8), divide_by=1.0, multiply_by=3.0)
    return PerceiverIO(config, input_adapter=adapter, decoder=decoder, output_adapter=output, rngs=rngs)


def scenes():
    """Three pictures: a bright square on noise, and what is right about each."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 90, (3, SIDE, SIDE, 3), dtype=np.uint8)
    mask = np.zeros((3, SIDE, SIDE), np.uint8)
    mask[:, SIDE // 4 : SIDE // 2, SIDE // 3 : 2 * SIDE // 3] = 1
    images[mask == 1] = (230, 90, 20)
    return images, {"class": np.array([1, 1, 2]), "colour": images, "mask": mask}


def make_playground(**state):
    """Three scenes, three tasks."""
    images, truth = scenes()
    return QueryPlayground(make_model(), images, TASKS, truth=truth, **state)


def make_flow_playground(**state):
    """Two pairs of frames of 6 x 8 pixels."""
    frames = np.random.default_rng(4).random((2, 2, 6, 8, 1)).astype(np.float32)
    inputs = np.moveaxis(frames[..., 0], 1, -1)
    flow = np.full((2, 6, 8, 2), 1.5, np.float32)
    return QueryPlayground(
        make_flow_model(), frames, [Task(name="flow", kind="flow")], inputs=inputs, truth={"flow": flow}, **state
    )
