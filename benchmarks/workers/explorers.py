"""Untrained models of the sizes at which the explorers are timed, and what is explored in them."""

import numpy as np
from flax import nnx

from perceiver_lab.adapters import (
    ByteInput,
    ByteOutput,
    ClassOutput,
    ImageInput,
    LinearOutput,
    MultimodalOutput,
    MultimodalQueries,
    PositionQueries,
)
from perceiver_lab.datasets import chorales
from perceiver_lab.explorers import AttentionExplorer, DecodeStepper, MaskPainter, QueryPlayground, SenseMixer, Task
from perceiver_lab.explorers.playground_model import KEPT_EXAMPLES
from perceiver_lab.layers import FourierPositions, LearnedPositions
from perceiver_lab.models import Decoder, Perceiver, PerceiverConfig, PerceiverIO
from perceiver_lab.recipes import get

SIDE = 224
SCENE = 48  # pixels along each side of the playground's pictures
LENGTH = 1024  # bytes that the painter's model reads
TASKS = (
    Task(name="class", kind="classes", classes=("circle", "square", "triangle", "star"), at_point=False),
    Task(name="colour", kind="colour"),
    Task(name="count", kind="classes", classes=("1", "2", "3"), at_point=False),
    Task(name="mask", kind="probability"),
)


def make_explorer(num_latents):
    """An untrained Perceiver with one read of 50,176 pixels, on random pictures."""
    config = PerceiverConfig(
        num_latents=num_latents, latent_channels=64, num_reads=1, num_blocks=2, num_self_attends_per_block=2
    )
    rngs = nnx.Rngs(0)
    adapter = ImageInput((SIDE, SIDE, 3), num_bands=16)
    model = Perceiver(config, input_adapter=adapter, output_adapter=ClassOutput(64, 10, rngs=rngs), rngs=rngs)
    images = np.random.default_rng(0).integers(0, 256, (8, SIDE, SIDE, 3), dtype=np.uint8)
    return AttentionExplorer.from_model(model, images)


def make_playground():
    """An untrained Perceiver IO with four tasks, of the sizes of `scenes_perceiver_io`, on random pictures."""
    rngs, channels = nnx.Rngs(0), 96
    groups = {
        task.name: PositionQueries(
            FourierPositions((SCENE, SCENE), num_bands=12)
            if task.at_point
            else LearnedPositions((1,), channels, rngs=rngs)
        )
        for task in TASKS
    }
    queries = MultimodalQueries(groups, rngs=rngs)
    widths = {"class": 4, "colour": 3, "count": 3, "mask": 1}
    parts = {name: LinearOutput(queries.num_channels, width, rngs=rngs) for name, width in widths.items()}
    config = PerceiverConfig(
        num_latents=32, latent_channels=channels, num_self_attends_per_block=4, num_cross_heads=1, num_self_heads=4
    )
    model = PerceiverIO(
        config,
        input_adapter=ImageInput((SCENE, SCENE, 3), num_bands=12),
        decoder=Decoder(queries, channels, output_channels=None, num_heads=4, use_query_residual=True, rngs=rngs),
        output_adapter=MultimodalOutput(parts),
        rngs=rngs,
    )
    count = 2 * KEPT_EXAMPLES  # going round through them reads each anew
    images = np.random.default_rng(0).integers(0, 256, (count, SCENE, SCENE, 3), dtype=np.uint8)
    return QueryPlayground(model, images, TASKS)


def make_painter():
    """An untrained Perceiver IO that reads 1,024 bytes, in the widths of the released model cut to a quarter."""
    rngs, channels = nnx.Rngs(0), 192
    decoder = Decoder(
        PositionQueries(LearnedPositions((LENGTH,), channels, rngs=rngs)),
        320,
        output_channels=None,
        num_heads=8,
        qk_channels=64,
        v_channels=channels,
        rngs=rngs,
    )
    config = PerceiverConfig(
        num_latents=128, latent_channels=320, num_self_attends_per_block=8, num_cross_heads=8, num_self_heads=8
    )
    adapter = ByteInput(channels, LENGTH, rngs=rngs)
    model = PerceiverIO(config, input_adapter=adapter, decoder=decoder, output_adapter=ByteOutput(), rngs=rngs)
    rng = np.random.default_rng(0)
    return MaskPainter(model, ["".join(rng.choice(list("etaoin shrdlu"), LENGTH)) for _ in range(2)])


def make_mixer():
    """The untrained model of `senses_autoencoder`, on noise."""
    rng = np.random.default_rng(0)
    examples = {
        "video": rng.uniform(-1, 1, (10, 8, 32, 32, 1)).astype(np.float32),
        "sound": rng.uniform(-1, 1, (10, 8000, 1)).astype(np.float32),
        "label": np.arange(10),
    }
    return SenseMixer(get("senses_autoencoder").make_model(nnx.Rngs(0)), examples)


def make_stepper():
    """The untrained model of `chorales_ar` behind four bars, in which each voice sings a random tone every quarter."""
    quarters = np.random.default_rng(0).integers(48, 76, (16, len(chorales.VOICES)), dtype=np.uint8)
    grid = np.repeat(quarters, chorales.PER_QUARTER, axis=0)
    grid[:: chorales.PER_QUARTER] |= chorales.ONSET
    return DecodeStepper(get("chorales_ar").make_model(nnx.Rngs(0)), {"quarters": grid})
