"""Our models of the sizes that the fixtures have, and calls with the layouts of `transformers`."""

import json
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.adapters import Conv1x1, Convolutions, GridInput, OnlyQuery, Pixels, PositionQueries
from perceiver_lab.layers import FourierPositions, LearnedPositions, ProjectedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from tests.convert.huggingface_weights import draw, sha256

FOLDER = Path(__file__).parent / "fixtures"


class Fixture(NamedTuple):
    """What a file holds, and the weights that belong to it."""

    config: dict
    arrays: dict[str, np.ndarray]
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


def fixture(kind: str) -> Fixture:
    with np.load(FOLDER / f"huggingface_{kind}.npz") as file:
        held = {name: file[name] for name in file.files}
    arrays = draw(json.loads(str(held["shapes"])))
    assert sha256(arrays) == str(held["sha256"]), "these are not the weights that the outputs were made with"
    inputs, outputs = (
        {name.removeprefix(f"{part}/"): array for name, array in held.items() if name.startswith(f"{part}/")}
        for part in ("input", "output")
    )
    return Fixture(json.loads(str(held["config"])), arrays, inputs, outputs)


def build(kind: str, config: dict, *, seed: int = 0) -> PerceiverIO:
    """Our model for a config of `transformers`."""
    return _BUILDERS[kind](config, nnx.Rngs(seed))


def _encoder_config(config) -> PerceiverConfig:
    return PerceiverConfig(
        num_latents=config["num_latents"],
        latent_channels=config["d_latents"],
        num_blocks=config["num_blocks"],
        num_self_attends_per_block=config["num_self_attends_per_block"],
        num_self_heads=config["num_self_attention_heads"],
        num_cross_heads=config["num_cross_attention_heads"],
        qk_channels=config.get("qk_channels"),
        v_channels=config.get("v_channels"),
    )


def _classifier(config, adapter, rngs):
    width = config["d_latents"]
    decoder = Decoder(
        PositionQueries(LearnedPositions((1,), width, rngs=rngs)),
        width,
        output_channels=config["num_labels"],
        use_query_residual=True,
        rngs=rngs,
    )
    return PerceiverIO(
        _encoder_config(config), input_adapter=adapter, decoder=decoder, output_adapter=OnlyQuery(), rngs=rngs
    )


def _fourier(config, rngs):
    positions = FourierPositions((16, 16), num_bands=64, max_resolution=(224, 224))
    return _classifier(config, GridInput(Pixels((16, 16, 3)), positions), rngs)


def _learned(config, rngs):
    side = config["image_size"]
    positions = ProjectedPositions(LearnedPositions((side, side), 256, rngs=rngs), 256, rngs=rngs)
    return _classifier(config, GridInput(Conv1x1((side, side, 3), channels=256, rngs=rngs), positions), rngs)


def _conv(config, rngs):
    features = Convolutions((16, 16, 3), channels=64, rngs=rngs)
    positions = FourierPositions(features.grid, num_bands=64, max_resolution=(56, 56))
    return _classifier(config, GridInput(features, positions), rngs)


def run(kind: str, model: PerceiverIO, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Our outputs for the inputs of `transformers`, under the names of the fixture."""
    return _CALLS.get(kind, _run_image)(model, inputs)


def _run_image(model, inputs):
    return {"logits": model(jnp.moveaxis(jnp.asarray(inputs["image"]), 1, -1))}


_BUILDERS = {
    "PerceiverForImageClassificationFourier": _fourier,
    "PerceiverForImageClassificationLearned": _learned,
    "PerceiverForImageClassificationConvProcessing": _conv,
}
_CALLS = {}
KINDS = tuple(_BUILDERS)
PRESETS = {
    "PerceiverForImageClassificationFourier": "imagenet_fourier_io",
    "PerceiverForImageClassificationLearned": "imagenet_learned_io",
    "PerceiverForImageClassificationConvProcessing": "imagenet_conv_io",
}
