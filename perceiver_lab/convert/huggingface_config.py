"""config.json for a model of ours that is to be opened by Hugging Face's `transformers`.

The six classes there have much of the published models built in: bands, resolutions, heads of the decoder. A model that
differs in one of these would open and compute something else, so it is refused here.
"""

from collections.abc import Iterator
from typing import Any

from flax import nnx

from perceiver_lab import adapters, layers
from perceiver_lab.convert.huggingface import find_architecture

Check = tuple[str, Any, Any]  # what, here, there


def huggingface_config(model: nnx.Module) -> dict[str, Any]:
    """What config.json has to say so that `from_pretrained` builds the same model.

    Args:
      model: one of the six published kinds, of any size; abstract ones too.

    Raises:
      ValueError: `transformers` has no class for it, or has other values built in; all are listed.
    """
    kind, _ = find_architecture(model)
    checks, sizes = _KINDS[kind](model)
    checks = [*_encoder_checks(model), *_decoder_checks(model, kind), *checks]
    wrong = [f"{what} is {here} instead of {there}" for what, here, there in checks if here != there]
    if wrong:
        raise ValueError(
            f"{kind} of transformers cannot be this model: {'; '.join(wrong)}. These are fixed there. Give the model "
            "the values of the published one, or keep its weights in this library's own files."
        )
    return {"architectures": [kind], "model_type": "perceiver", "dtype": "float32"} | _encoder_sizes(model) | sizes


def output_differences(model: nnx.Module) -> tuple[str, ...]:
    """Where `transformers` computes something else from the same parameters; one sentence each.

    Raises:
      ValueError: `transformers` has no class for the model.
    """
    kind, _ = find_architecture(model)
    told = [_DIFFERENCES[kind]] if kind in _DIFFERENCES else []
    if kind.startswith("PerceiverForImage") and not model.decoder.block.use_query_residual:
        told.append("There, the decoder adds the query to what it reads; this model does not.")
    return tuple(told)


_DIFFERENCES = {
    "PerceiverForImageClassificationConvProcessing": (
        "There, convolution and pool are padded otherwise: 55 x 55 tokens instead of 56 x 56 for 224 pixels."
    ),
    "PerceiverForMaskedLM": "There, the query mask is ignored: padded positions get other logits, valid ones the same.",
    "PerceiverForOpticalFlow": (
        "There, inputs are ready-made patches (B, 2, 27, H, W), and the flow is divided by 100, not multiplied again."
    ),
}


def _encoder_sizes(model):
    config = model.config
    return {
        "num_latents": config.num_latents,
        "d_latents": config.latent_channels,
        "d_model": model.encoder.input_channels,
        "num_blocks": config.num_blocks,
        "num_self_attends_per_block": config.num_self_attends_per_block,
        "num_self_attention_heads": config.num_self_heads,
        "num_cross_attention_heads": config.num_cross_heads,
        "qk_channels": config.qk_channels,
        "v_channels": config.v_channels,
        "cross_attention_shape_for_attention": "kv",
        "self_attention_widening_factor": config.self_widening_factor,
        "cross_attention_widening_factor": config.cross_widening_factor,
        "use_query_residual": config.use_query_residual,
        "hidden_act": "gelu_pytorch_tanh",
        "attention_probs_dropout_prob": 0.0,
    }


def _encoder_checks(model) -> Iterator[Check]:
    config = model.config
    width = config.latent_channels
    values = config.v_channels or config.qk_channels or width
    yield "the width of the values in a latent layer", values, width  # its output is as wide as its values there


def _decoder_checks(model, kind) -> Iterator[Check]:
    block, attention = model.decoder.block, model.decoder.block.attention
    classifies = kind.startswith("PerceiverForImage")
    text = kind == "PerceiverForMaskedLM"
    width, queries = model.config.latent_channels, model.decoder.queries.num_channels
    yield "num_heads of the decoder", attention.num_heads, 8 if text else 1
    yield "qk_channels of the decoder", attention.query.out_features, 256 if text else width
    yield "v_channels of the decoder", attention.value.out_features, queries if text else width
    yield "widening_factor of the decoder", block.mlp.expand.out_features, queries
    if classifies:
        yield "the width of the decoder's query", queries, width
    else:
        yield "use_query_residual of the decoder", block.use_query_residual, False


def _fourier(what, positions, num_bands, resolution) -> Iterator[Check]:
    if not isinstance(positions, layers.FourierPositions):
        yield f"the encoding of {what}", type(positions).__name__, "FourierPositions"
        return
    yield f"num_bands of {what}", positions.num_bands, num_bands
    yield f"max_resolution of {what}", tuple(positions.max_resolution), tuple(resolution)
    yield f"include_positions of {what}", positions.include_positions, True
    yield f"sine_only of {what}", positions.sine_only, False


def _grid(adapter, features: type, channels: int) -> Iterator[Check]:
    yield "the input's features", type(adapter.feature_layer).__name__, features.__name__
    yield "channels of an image", adapter.feature_layer.shape[-1], 3
    yield "channels of the input's features", adapter.feature_layer.num_channels, channels
    yield "combine", adapter.combine, "concat"
    yield "position_mlp_layers", len(adapter.position_mlp), 0


def _classifier(model) -> dict[str, Any]:
    return {"num_labels": model.decoder.num_channels, "image_size": model.input_adapter.feature_layer.shape[0]}


def _fourier_classifier(model):
    adapter = model.input_adapter
    checks = [
        *_grid(adapter, adapters.Pixels, 3),
        *_fourier("the input", adapter.positions, 64, (224, 224)),
        ("the pixels that are read", adapter.feature_layer.grid, adapter.feature_layer.shape[:2]),
    ]
    return checks, _classifier(model)


def _learned_classifier(model):
    adapter = model.input_adapter
    side = adapter.feature_layer.shape[0]
    checks = [
        *_grid(adapter, adapters.Conv1x1, 256),
        ("the grid of the positions", adapter.positions.shape, (side, side)),
        ("channels of the table of positions", adapter.positions.inner.num_channels, 256),
        ("channels of the projected positions", adapter.positions.num_channels, 256),
    ]
    return checks, _classifier(model)


def _conv_classifier(model):
    adapter = model.input_adapter
    checks = [*_grid(adapter, adapters.Convolutions, 64), *_fourier("the input", adapter.positions, 64, (56, 56))]
    return checks, _classifier(model)


def _masked_language(model):
    adapter = model.input_adapter
    length = adapter.positions.shape[0]
    checks = [
        ("combine", adapter.combine, "add"),
        ("the number of queries", model.decoder.queries.positions.shape, (length,)),
        ("the width of the decoder's queries", model.decoder.queries.num_channels, adapter.num_channels),
    ]
    return checks, {"vocab_size": adapter.embedding.shape[0], "max_position_embeddings": length}


def _optical_flow(model):
    adapter = model.input_adapter
    size = adapter.feature_layer.grid
    checks = [
        *_grid(adapter, adapters.FlowPatches, 64),
        *_fourier("the input", adapter.positions, 64, size),
        ("the side of a neighbourhood", adapter.feature_layer.size, 3),
        ("the number of frames", adapter.feature_layer.shape[0], 2),
        ("the decoder's queries", type(model.decoder.queries).__name__, "InputQueries"),
        ("divide_by of the output", model.output_adapter.divide_by, 100.0),
    ]
    return checks, {"train_size": list(size)}


def _multimodal(model):
    inputs, queries = model.input_adapter.modalities, model.decoder.queries.groups
    image, audio, video = inputs["image"], inputs["audio"], queries["image"].positions
    samples, patch = audio.feature_layer.shape[0], audio.feature_layer.num_channels
    frames, resolution = video.shape[0], image.positions.max_resolution
    rates = dict(zip(model.input_adapter.names, model.input_adapter.mask_rates, strict=True))
    bounds = (frames, resolution[-1], resolution[-1])
    checks = [
        ("factor of the image's patches", image.feature_layer.factor, 4),
        ("time_factor of the image's patches", image.feature_layer.time_factor, 1),
        *_grid(image, adapters.Patches, 48),
        *_fourier("the image", image.positions, 32, bounds),
        *_fourier("the image's queries", video, 32, bounds),
        *_fourier("the audio", audio.positions, 192, (samples,)),
        *_fourier("the audio's queries", queries["audio"].positions, 192, (samples,)),
        ("the grid of the image's queries", video.shape, image.feature_layer.shape[:3]),
        ("the grid of the audio's queries", queries["audio"].positions.shape, (samples // patch,)),
        ("samples that frames share out", samples % frames, 0),
        ("mask_rates", rates, {"audio": 0.0, "image": 0.0, "label": 1.0}),
    ]
    sizes = {
        "num_frames": frames,
        "image_size": resolution[-1],
        "audio_samples_per_frame": samples // frames,
        "samples_per_patch": patch,
        "output_shape": [1, *video.shape],
        "output_num_channels": model.decoder.num_channels,
        "num_labels": inputs["label"].num_channels,
        "_label_trainable_num_channels": queries["label"].num_channels,
    }
    return checks, sizes


_KINDS = {
    "PerceiverForImageClassificationFourier": _fourier_classifier,
    "PerceiverForImageClassificationLearned": _learned_classifier,
    "PerceiverForImageClassificationConvProcessing": _conv_classifier,
    "PerceiverForMaskedLM": _masked_language,
    "PerceiverForOpticalFlow": _optical_flow,
    "PerceiverForMultimodalAutoencoding": _multimodal,
}
