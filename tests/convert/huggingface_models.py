"""Our models of the sizes that the fixtures have, and calls with the layouts of `transformers`."""

import functools
import json
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.adapters import (
    AudioOutput,
    AudioPatches,
    ByteInput,
    ByteOutput,
    Conv1x1,
    Convolutions,
    FlowOutput,
    FlowPatches,
    GridInput,
    InputQueries,
    LinearOutput,
    Modality,
    OneHotInput,
    OnlyQuery,
    Patches,
    Pixels,
    PositionQueries,
    multimodal_adapters,
)
from perceiver_lab.layers import FourierPositions, LearnedPositions, ProjectedPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from tests.convert.huggingface_weights import draw, sha256
from tests.drawn import drawn

FOLDER = Path(__file__).parent / "fixtures"


class Fixture(NamedTuple):
    """What a file holds, and the weights that belong to it."""

    config: dict
    arrays: dict[str, np.ndarray]
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


@functools.cache
def fixture(kind: str) -> Fixture:
    """The fixture of a kind; it is drawn once, so leave its arrays as they are."""
    with np.load(FOLDER / f"huggingface_{kind}.npz") as file:
        held = {name: file[name] for name in file.files}
    arrays = draw(json.loads(str(held["shapes"])))
    assert sha256(arrays) == str(held["sha256"]), "these are not the weights that the outputs were made with"
    inputs, outputs = (
        {name.removeprefix(f"{part}/"): array for name, array in held.items() if name.startswith(f"{part}/")}
        for part in ("input", "output")
    )
    return Fixture(json.loads(str(held["config"])), arrays, inputs, outputs)


def build(kind: str, config: dict, *, rngs: nnx.Rngs | None = None) -> PerceiverIO:
    """Our model for a config of `transformers`; without `rngs` NumPy draws its weights, which are replaced anyway."""
    return drawn(lambda: _BUILDERS[kind](config, nnx.Rngs(0))) if rngs is None else _BUILDERS[kind](config, rngs)


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


def _masked_language(config, rngs):
    width, length = config["d_model"], config["max_position_embeddings"]
    decoder = Decoder(
        PositionQueries(LearnedPositions((length,), width, rngs=rngs)),
        config["d_latents"],
        output_channels=None,
        num_heads=8,
        qk_channels=256,
        v_channels=width,
        rngs=rngs,
    )
    adapter = ByteInput(width, length, rngs=rngs)
    return PerceiverIO(
        _encoder_config(config), input_adapter=adapter, decoder=decoder, output_adapter=ByteOutput(), rngs=rngs
    )


def _optical_flow(config, rngs):
    size = tuple(config["train_size"])
    features = FlowPatches((2, *size, 3), channels=64, rngs=rngs)
    adapter = GridInput(features, FourierPositions(size, num_bands=64))
    decoder = Decoder(InputQueries(adapter.num_channels), config["d_latents"], output_channels=2, rngs=rngs)
    output = FlowOutput(size, multiply_by=1.0)
    return PerceiverIO(
        _encoder_config(config), input_adapter=adapter, decoder=decoder, output_adapter=output, rngs=rngs
    )


def _multimodal(config, rngs):
    video, width = tuple(config["output_shape"][1:]), config["output_num_channels"]
    samples, patch = config["num_frames"] * config["audio_samples_per_frame"], 16
    bounds = (config["num_frames"], config["image_size"], config["image_size"])
    patches, stretches = Patches((*video, 3), factor=4), AudioPatches(samples, samples_per_patch=patch)
    sound = {"num_bands": 192, "max_resolution": (samples,)}
    parts = multimodal_adapters(
        [
            Modality(
                name="image",
                input_adapter=GridInput(patches, FourierPositions(patches.grid, num_bands=32, max_resolution=bounds)),
                queries=PositionQueries(
                    FourierPositions(video, num_bands=32, max_resolution=bounds), subsampling="release"
                ),
                output_adapter=LinearOutput(width, 3, rngs=rngs),
            ),
            Modality(
                name="audio",
                input_adapter=GridInput(stretches, FourierPositions(stretches.grid, **sound)),
                queries=PositionQueries(FourierPositions((samples // patch,), **sound), subsampling="release"),
                output_adapter=AudioOutput(width, patch, rngs=rngs),
            ),
            Modality(
                name="label",
                input_adapter=OneHotInput(config["num_labels"]),
                mask_rate=1.0,
                queries=PositionQueries(LearnedPositions((1,), config["_label_trainable_num_channels"], rngs=rngs)),
                output_adapter=LinearOutput(width, config["num_labels"], only_query=True, rngs=rngs),
            ),
        ],
        input_padding=4,
        rngs=rngs,
    )
    decoder = Decoder(parts.queries, config["d_latents"], output_channels=width, rngs=rngs)
    return PerceiverIO(
        _encoder_config(config),
        input_adapter=parts.input_adapter,
        decoder=decoder,
        output_adapter=parts.output_adapter,
        rngs=rngs,
    )


def run(kind: str, model: PerceiverIO, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Our outputs for the inputs of `transformers`, under the names of the fixture."""
    graphdef, state = nnx.split(model)
    call = _CALLS.get(kind, _run_image)
    return jax.jit(lambda state, inputs: call(nnx.merge(graphdef, state), inputs))(state, inputs)


def _run_image(model, inputs):
    return {"logits": model(jnp.moveaxis(jnp.asarray(inputs["image"]), 1, -1))}


def _run_text(model, inputs):
    mask = jnp.asarray(inputs["mask"]) != 0
    return {"logits": model(jnp.asarray(inputs["ids"], jnp.int32), mask=mask)}


def _run_flow(model, inputs):
    return {"flow": model(jnp.asarray(inputs["frames"]))}


def _run_modalities(model, inputs):
    x = {"image": jnp.moveaxis(jnp.asarray(inputs["image"]), 2, -1)}
    x |= {name: jnp.asarray(inputs[name]) for name in ("audio", "label")}
    return model(x, cells={name: jnp.asarray(inputs[f"{name}_points"], jnp.int32) for name in ("image", "audio")})


_BUILDERS = {
    "PerceiverForImageClassificationFourier": _fourier,
    "PerceiverForImageClassificationLearned": _learned,
    "PerceiverForImageClassificationConvProcessing": _conv,
    "PerceiverForMaskedLM": _masked_language,
    "PerceiverForOpticalFlow": _optical_flow,
    "PerceiverForMultimodalAutoencoding": _multimodal,
}
_CALLS = {
    "PerceiverForMaskedLM": _run_text,
    "PerceiverForOpticalFlow": _run_flow,
    "PerceiverForMultimodalAutoencoding": _run_modalities,
}
KINDS = tuple(_BUILDERS)
PRESETS = {
    "PerceiverForImageClassificationFourier": "imagenet_fourier_io",
    "PerceiverForImageClassificationLearned": "imagenet_learned_io",
    "PerceiverForImageClassificationConvProcessing": "imagenet_conv_io",
    "PerceiverForMaskedLM": "mlm_bytes_io",
    "PerceiverForOpticalFlow": "optical_flow_io",
    "PerceiverForMultimodalAutoencoding": "multimodal_io",
}
