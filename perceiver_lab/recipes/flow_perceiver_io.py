"""Optical flow: a Perceiver IO looks at two frames and says where each pixel goes.

    record   {"frames": (2, 48, 64, 3) uint8, "flow": (48, 64, 2) float16, "layers", "occluded"}
    batch    training: {"frames": (16, 2, 48, 64, 3), "cells": (16, 128), "flow": (16, 128, 2)}: a new choice of pixels
             at each step; test: all 3,072 pixels
    inputs   (B, 192, C): the windows of both frames around every fourth pixel of every fourth row
    latents  (B, 48, 96)
    queries  (B, O, C): what the encoder would read at the pixels that are asked for
    flow     (B, O, 2), pixels to the right and down

As in the paper, a query is what stands at its pixel in the inputs, and the flow is one linear map of what it decodes
(2107.14795, section 4.2). Three things differ, for the sake of two cores: windows of 11 pixels a side, near and far,
instead of 3; the encoder reads a sixteenth of the pixels; and the decoder adds its queries to what they read, so that a
pixel need not learn about itself from the latents.

    perceiver-lab train flow_perceiver_io --mode full        perceiver-lab evaluate flow_perceiver_io
"""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.adapters import FlowOutput, InputQueries, WindowInput
from perceiver_lab.datasets import mirror_pair, sample_flow, scale_pair
from perceiver_lab.models.decoder import Decoder
from perceiver_lab.models.perceiver import PerceiverConfig
from perceiver_lab.models.perceiver_io import PerceiverIO
from perceiver_lab.recipes.base import Budget, Data, Recipe
from perceiver_lab.training import OptimizerConfig, answers
from perceiver_lab.training.flow import endpoint_loss, flow_metrics, pixel_masks

SHAPE = (2, 48, 64, 3)
PIXELS_PER_UNIT = 4.0  # of what the decoder says: flow is a few pixels long


class FlowPerceiver(PerceiverIO):
    """A Perceiver IO whose encoder reads some pixels and whose queries are what it would read at others."""

    def __init__(self, *args, read_every: int, **parts):
        """As `PerceiverIO`; `read_every`: the encoder reads each such row and column."""
        super().__init__(*args, **parts)
        height, width = self.input_adapter.grid
        rows, columns = (np.arange(read_every // 2, extent, read_every) for extent in (height, width))
        self.read_cells = tuple((rows[:, None] * width + columns).reshape(-1).tolist())

    def __call__(
        self,
        frames: Float[Array, "b t h w c"],
        *,
        cells: Int[Array, "*b k"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Float[Array, "b *o 2"]:
        """Two frames -> where the pixels go.

        Args:
          frames: (B, 2, H, W, 3) in [-1, 1].
          cells: numbers of the pixels that are asked for, (K,) or (B, K); by default all.
          train: dropout acts.
          rngs: for dropout.

        Returns:
          (B, K, 2), or of all pixels (B, H, W, 2): to the right and down, pixels.
        """
        inputs = self.input_adapter(frames, cells=jnp.array(self.read_cells))
        latents = self.encode(inputs, train=train, rngs=rngs)
        flow = self.decode(latents, queries=self.input_adapter(frames, cells=cells))
        return flow if cells is not None else flow.reshape(len(frames), *self.input_adapter.grid, 2)


def build(recipe: Recipe, rngs: nnx.Rngs) -> FlowPerceiver:
    """Windows in, flow out."""
    options, channels = recipe.options, recipe.model.latent_channels
    windows = WindowInput(
        SHAPE,
        size=options["window"],
        hidden_channels=options["hidden_channels"],
        channels=options["channels"],
        num_bands=options["num_bands"],
        rngs=rngs,
    )
    decoder = Decoder(
        InputQueries(windows.num_channels),
        channels,
        output_channels=2,
        num_heads=2,
        qk_channels=channels,
        use_query_residual=True,
        zero_output=True,
        rngs=rngs,
    )
    return FlowPerceiver(
        recipe.model,
        input_adapter=windows,
        decoder=decoder,
        output_adapter=FlowOutput(SHAPE[1:3], divide_by=1.0, multiply_by=PIXELS_PER_UNIT),
        read_every=options["read_every"],
        rngs=rngs,
    )


def loss(model, batch, rngs):
    """The mean end-point error at the pixels that were asked for."""
    flow = model(batch["frames"], cells=batch["cells"], train=True, rngs=rngs)
    return endpoint_loss(flow, batch["flow"]), {}


def predict(model, batch):
    """The flow of every pixel (B, 48, 64, 2)."""
    return model(batch["frames"])


def measure(model, batches):
    """End-point errors; see `flow_metrics`."""
    said = answers(model, batches, predict, ("frames",))
    return flow_metrics((flow, np.asarray(batch["flow"]), *pixel_masks(batch)) for batch, flow in said)


RECIPES = (
    Recipe(
        name="flow_perceiver_io",
        summary="48 latents of 96 channels and the flow between two frames",
        build=build,
        model=PerceiverConfig(
            num_latents=48, latent_channels=96, num_self_attends_per_block=3, num_cross_heads=1, num_self_heads=4
        ),
        options={"window": 11, "hidden_channels": 320, "channels": 96, "num_bands": 6, "read_every": 4},
        data=Data(
            name="moving_shapes",
            train_transforms=(mirror_pair, sample_flow(128), scale_pair),
            test_transforms=(scale_pair,),
            decode_once=True,
        ),
        optimizer=OptimizerConfig(
            learning_rate=1.5e-3, warmup_steps=100, schedule="warmup_cosine", weight_decay=0.02, clip=1.0
        ),
        budgets={
            "ci": Budget(steps=4, batch_size=4, train_part="[:16]", test_part="[:4]", test_batch_size=4),
            "lab": Budget(steps=600, batch_size=16, train_part="[:1000]", test_part="[:100]", test_batch_size=20),
            "full": Budget(steps=14000, batch_size=16, test_batch_size=20, evaluate_every=3500, log_every=20),
        },
        numerics=1,
        loss=loss,
        predict=predict,
        reads=("frames",),
        measure=measure,
        headline="endpoint_error",
    ),
)
