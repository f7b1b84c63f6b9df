"""Perceiver IO beyond classification: its decoders, postprocessors and whole models from the files' `config`."""

import math
import re

import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab import adapters
from perceiver_lab.convert import load_haiku
from perceiver_lab.layers import FourierPositions, LearnedPositions
from perceiver_lab.models import Decoder, PerceiverIO
from tests.drawn import drawn
from tests.parity import perceiver_io_parts as parts
from tests.parity.vectors import Options, Unsupported, Vectors, as_one_program


def flow_decoder(vectors: Vectors, options: Options) -> dict[str, np.ndarray]:
    """Queries are the inputs; the options of positions are there and have no effect."""
    inputs, latents = vectors.inputs["x"], vectors.inputs["z"]
    for name in ("position", "fourier", "trainable", "position_projection"):
        options.take(name, None)
    decoder = drawn(lambda: parts.decoder(options, latents.shape[-1], adapters.InputQueries(inputs.shape[-1])))
    output = adapters.FlowOutput(
        parts.as_tuple(options.take("image_shape")), divide_by=float(options.take("divide_by", 100.0)), multiply_by=1.0
    )
    load_haiku(decoder, vectors.params, name="flow_decoder/~/basic_decoder")

    def call(decoder, latents, inputs):
        return output(decoder(latents, decoder.queries(inputs)))

    return {"output/out": as_one_program(call, decoder, latents, inputs)}


def video_decoder(vectors: Vectors, options: Options) -> dict[str, np.ndarray]:
    """A query per pixel of `output_shape` (B, T, H, W)."""
    inputs, latents = vectors.inputs["x"], vectors.inputs["z"]
    grid = parts.as_tuple(options.take("output_shape"))[1:]

    def build():
        queries = parts.position_queries(options, grid, inputs.shape[-1])
        return parts.decoder(options, latents.shape[-1], queries)

    def call(decoder, latents, inputs):
        features = inputs if decoder.queries.feature_channels else None
        return adapters.GridOutput(grid)(decoder(latents, decoder.queries(inputs, features=features)))

    decoder = drawn(build)
    load_haiku(decoder, vectors.params, name="basic_video_autoencoding_decoder/~/basic_decoder")
    return {"output/out": as_one_program(call, decoder, latents, inputs)}


def audio_postprocessor(vectors: Vectors, options: Options) -> dict[str, np.ndarray]:
    x = vectors.inputs["x"]
    module = drawn(lambda: adapters.AudioOutput(x.shape[-1], options.take("samples_per_patch", 96), rngs=parts.RNGS))
    load_haiku(module, vectors.params)
    return {"output/out": as_one_program(lambda module, x: module(x), module, x)}


def identity_postprocessor(vectors: Vectors, options: Options) -> dict[str, np.ndarray]:
    return {"output/out": adapters.QueryOutput()(vectors.inputs["x"])}


def embedding_decoder(vectors: Vectors, options: Options) -> dict[str, np.ndarray]:
    """The table belongs to another module, and is handed over."""
    params = vectors.params
    table = jnp.asarray(params.pop("embed/embeddings"))
    assert table.shape == (options.take("vocab_size"), options.take("embed_dim"))
    module = adapters.ByteOutput(table.shape[0])
    load_haiku(module, params)
    return {"output/out": module(vectors.inputs["x"], embedding=table)}


def image_postprocessor(vectors: Vectors, options: Options) -> dict[str, np.ndarray]:
    """Inputs on a grid, or rows that are put on one."""
    x = vectors.inputs["x"]
    reshaped = options.take("reshape_to", None)
    grid = x.shape[1:-1] if reshaped is None else parts.as_tuple(reshaped)
    module = drawn(lambda: _image_output(options, x.shape[-1], grid))
    load_haiku(module, vectors.params)
    return {"output/out": as_one_program(lambda module, x: module(x), module, x.reshape(x.shape[0], -1, x.shape[-1]))}


def _image_output(options: Options, channels: int, grid: tuple[int, ...]) -> nnx.Module:
    kind = options.take("output_kind", "pixels")
    space, time = options.take("spatial_upsample", 1), options.take("temporal_upsample", 1)
    outputs = options.take("outputs", -1)
    if kind == "pixels" and space == time == 1:
        return adapters.GridOutput(grid)
    if kind == "patches":
        return adapters.PatchesOutput(grid, factor=space, time_factor=time)
    if kind == "conv1x1" and time == 1:
        return adapters.Conv1x1Output(channels, outputs, grid=grid, stride=space, rngs=parts.RNGS)
    if kind == "conv":
        # Without time there are always two layers in the release, whatever the factor.
        doublings = {"space": round(math.log2(space)), "time": round(math.log2(time))} if time != 1 else {}
        return adapters.ConvOutput(channels, outputs, grid=grid, rngs=parts.RNGS, **doublings)
    raise Unsupported(f"output_kind={kind!r} with spatial_upsample={space}, temporal_upsample={time} cannot be built.")


def mlm(vectors: Vectors, options: Options) -> dict[str, np.ndarray]:
    """Bytes in, logits of bytes out; one mask for inputs and queries."""
    given = vectors.inputs
    body, head = options.inside("encoder"), options.inside("decoder")
    config = parts.encoder_config(body)
    width, length, vocabulary = (options.take(name) for name in ("embed_dim", "length", "vocab_size"))

    def build():
        queries = parts.position_queries(head, parts.as_tuple(head.take("query_grid")), width)
        return PerceiverIO(
            config,
            input_adapter=adapters.ByteInput(width, length, vocabulary=vocabulary, rngs=parts.RNGS),
            decoder=parts.decoder(head, config.latent_channels, queries),
            output_adapter=adapters.ByteOutput(vocabulary),
            rngs=parts.RNGS,
        )

    model = drawn(build)
    for part in (body, head):
        part.done()
    load_haiku(model, vectors.params)
    mask = given["input_mask"] != 0 if "input_mask" in given else None
    query_mask = given["query_mask"] != 0 if "query_mask" in given else mask

    def call(model, inputs, mask, query_mask):
        return model(inputs, mask=mask, query_mask=query_mask)

    return {"output/out": as_one_program(call, model, given["inputs"], mask, query_mask)}


def optical_flow(vectors: Vectors, options: Options) -> dict[str, np.ndarray]:
    frames = vectors.inputs["images"]
    model = drawn(lambda: _flow_model(options, frames.shape[1:]))
    load_haiku(model, vectors.params)
    return {"output/out": as_one_program(lambda model, x: model(x), model, frames)}


def _flow_model(options, shape):
    features = adapters.FlowPatches(
        shape, size=options.take("patch", 3), channels=options.take("channels", 64), rngs=parts.RNGS
    )
    resolution = parts.as_tuple(options.take("train_size"))
    positions = FourierPositions(features.grid, num_bands=options.take("bands", 64), max_resolution=resolution)
    inputs = adapters.GridInput(features, positions)
    body = options.inside("encoder")
    head = options.inside("decoder") if "decoder" in options else Options({}, "decoder")
    config = parts.encoder_config(body)
    queries = adapters.InputQueries(inputs.num_channels)
    model = PerceiverIO(
        config,
        input_adapter=inputs,
        decoder=parts.decoder(head, config.latent_channels, queries, output_channels=2),
        output_adapter=adapters.FlowOutput(
            features.grid,
            divide_by=float(options.take("divide_by", 100.0)),
            multiply_by=float(options.take("multiply_by", 20)),
        ),
        rngs=parts.RNGS,
    )
    for part in (body, head):
        part.done()
    return model


def multimodal_autoencoder(vectors: Vectors, options: Options) -> dict[str, np.ndarray]:
    """Every call that the file has an output of: "full", "all_points_subsampled", "chunk<i>of<n>"."""
    given = vectors.inputs
    num_classes = options.take("num_classes")
    sizes = given["image"].shape[1:], given["audio"].shape[1], num_classes
    model = drawn(lambda: _multimodal_model(options, *sizes))
    load_haiku(model, vectors.params)
    given = {"label": np.zeros((len(given["image"]), num_classes), np.float32), **given}

    def outputs(model, given):
        latents = model.encode(model.embed(given, rngs=nnx.Rngs(0)))
        decoded = {call: _decoded(model, latents, call) for call in {key.split("/")[1] for key in vectors.expected}}
        return {f"output/{call}/{name}": array for call, found in decoded.items() for name, array in found.items()}

    return as_one_program(outputs, model, given)


def _decoded(model, latents, call):
    cut = {name: model.decoder.queries.groups[name].num_cells for name in ("audio", "image")}
    if call == "full":
        return model.decode(latents)
    if call == "all_points_subsampled":
        return model.decode_in_chunks(latents, num_chunks=min(4, *cut.values()))
    match = re.fullmatch(r"chunk(\d+)of(\d+)", call)
    if match is None:
        raise Unsupported(f"nothing here knows how to decode {call!r}.")
    number, of = int(match[1]), int(match[2])
    cells = {name: jnp.arange(total // of) + number * (total // of) for name, total in cut.items()}
    return model.decode(latents, cells=cells)


def _multimodal_model(options, image, samples, num_classes):
    for name, found in zip(("frames", "height", "width"), image, strict=False):
        options.expect(name, found)
    options.expect("audio_samples", samples)
    per_patch, patch = options.take("samples_per_patch", 96), options.take("patch")
    body, head = options.inside("encoder"), options.inside("decoder")
    config, width = parts.encoder_config(body), head.take("output_channels")
    sound = adapters.AudioPatches(samples, samples_per_patch=per_patch)
    video = adapters.Patches(image, factor=patch[1], time_factor=patch[0])
    options.expect("patch", [patch[0], patch[1], patch[1]])

    def positions(name, grid):
        return FourierPositions(
            grid,
            num_bands=options.take(f"{name}_num_bands"),
            max_resolution=parts.as_tuple(options.take(f"{name}_max_resolution")),
        )

    def queries(encoding):
        return adapters.PositionQueries(encoding, subsampling="release")

    label = LearnedPositions((1,), head.take("label_query_channels"), rngs=parts.RNGS)
    asked = {name: parts.as_tuple(head.take(f"{name}_index_dims")) for name in ("audio", "image")}
    channels = options.take("image_out_channels")
    rates = options.take("mask_probs", {}) or {}
    declared = {
        "audio": {
            "input_adapter": adapters.GridInput(sound, positions("audio", sound.grid)),
            "queries": queries(positions("audio", asked["audio"])),
            "output_adapter": adapters.AudioOutput(width, per_patch, rngs=parts.RNGS),
        },
        "image": {
            "input_adapter": adapters.GridInput(video, positions("image", video.grid)),
            "queries": queries(positions("image", asked["image"])),
            "output_adapter": adapters.LinearOutput(width, channels, rngs=parts.RNGS),
        },
        "label": {
            "input_adapter": adapters.OneHotInput(num_classes),
            "queries": queries(label),
            "output_adapter": adapters.LinearOutput(width, num_classes, only_query=True, rngs=parts.RNGS),
        },
    }
    made = adapters.multimodal_adapters(
        [adapters.Modality(name=name, mask_rate=rates.get(name), **one) for name, one in declared.items()],
        input_padding=options.take("input_min_padding", 2),
        query_padding=options.take("output_min_padding", 2),
        rngs=parts.RNGS,
    )
    decoder: Decoder = parts.decoder(head, config.latent_channels, made.queries, output_channels=width)
    for part in (body, head):
        part.done()
    return PerceiverIO(
        config, input_adapter=made.input_adapter, decoder=decoder, output_adapter=made.output_adapter, rngs=parts.RNGS
    )
