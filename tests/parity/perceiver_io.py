"""The files of the Perceiver IO release: module by module from their `config`."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.convert import load_haiku, to_haiku
from perceiver_lab.layers import MLP, Attention, CrossAttentionBlock, LearnedPositions, SelfAttentionBlock, layer_norm
from perceiver_lab.training.optimizers import replay_release
from tests.parity import perceiver_io_models as models
from tests.parity import perceiver_io_parts as parts
from tests.parity import perceiver_io_positions as positions
from tests.parity.vectors import Options, Unsupported, Vectors


def outputs(vectors: Vectors) -> dict[str, np.ndarray]:
    """Everything that can be computed for this file, under the file's own keys."""
    config = vectors.config
    if "module" not in config and "model" not in config and "base_lr" in config:
        return replay_release(config, vectors.arrays)
    kind = "module" if "module" in config else "model"
    options = Options(config, f"{vectors.name} ({kind} {config.get(kind)})")
    name = options.take(kind)
    builders = _MODULES if kind == "module" else _MODELS
    if name not in builders:
        raise Unsupported(
            f"{vectors.name}: nothing here builds the {kind} {name!r}; what is built: {sorted(builders)}."
        )
    computed = builders[name](vectors, options)
    options.done()
    return computed


def tolerance(vectors: Vectors, key: str, expected: np.ndarray) -> float:
    """Float32 noise of the reference, more for Fourier features at published resolutions."""
    plain = 3e-5 * max(1.0, float(np.abs(expected).max(initial=0.0)))
    if vectors.config.get("module") != "fourier_position_encoding":
        return plain
    return max(plain, positions.fourier_tolerance(vectors, key))


def _run(vectors, module, call, *, name=None):
    """Load the file's parameters and call the module; the only output is `out`."""
    load_haiku(module, vectors.params, name=name)
    return {"output/out": call(module, vectors.inputs)}


def _mask(inputs, name):
    return inputs[name] != 0 if name in inputs else None


def _attention(vectors, options):
    inputs = vectors.inputs
    queries, keys = (inputs["x"], inputs["x"]) if "x" in inputs else (inputs["q"], inputs["kv"])
    module = Attention(
        queries.shape[-1],
        keys.shape[-1],
        num_heads=options.take("heads", 8),
        qk_channels=options.take("qk_channels", None),
        v_channels=options.take("v_channels", None),
        output_channels=options.take("output_channels", None),
        output_bias=options.take("output_bias", True),
        rngs=nnx.Rngs(0),
    )
    return _run(vectors, module, lambda module, given: module(queries, keys, mask=_mask(given, "mask")))


def _layer_norm(vectors, options):
    options.expect("eps", 1e-5)
    module = layer_norm(vectors.inputs["x"].shape[-1], nnx.Rngs(0))
    return _run(vectors, module, lambda module, given: module(given["x"]))


def _mlp(vectors, options):
    options.expect("activation", "gelu_tanh")
    channels = vectors.inputs["x"].shape[-1]
    module = MLP(channels, widening_factor=options.take("widening", 4), rngs=nnx.Rngs(0))
    return _run(vectors, module, lambda module, given: module(given["x"]))


def _self_attention_block(vectors, options):
    module = SelfAttentionBlock(
        vectors.inputs["x"].shape[-1],
        num_heads=options.take("heads", 8),
        qk_channels=options.take("qk_channels", None),
        v_channels=options.take("v_channels", None),
        widening_factor=options.take("widening", 4),
        rngs=nnx.Rngs(0),
    )
    return _run(vectors, module, lambda module, given: module(given["x"], mask=_mask(given, "mask")))


def _cross_attention_block(vectors, options):
    query_channels, kv_channels = vectors.inputs["q"].shape[-1], vectors.inputs["kv"].shape[-1]
    module = CrossAttentionBlock(
        query_channels,
        kv_channels,
        num_heads=options.take("heads", 8),
        qk_channels=parts.cross_width(options, query_channels),
        v_channels=options.take("v_channels", None),
        widening_factor=options.take("widening", 1),
        use_query_residual=options.take("query_residual", True),
        rngs=nnx.Rngs(0),
    )
    return _run(vectors, module, lambda module, given: module(given["q"], given["kv"], mask=_mask(given, "mask")))


def _encoder(vectors, options):
    module = parts.encoder(options, vectors.inputs["x"].shape[-1])
    name = next(iter(vectors.params)).split("/")[0]  # the multimodal model calls its encoder otherwise
    return _run(vectors, module, lambda module, given: module(given["x"], mask=_mask(given, "input_mask")), name=name)


def _trainable_position(vectors, options):
    grid, batch = parts.as_tuple(options.take("index_dim")), options.take("batch_size")
    module = LearnedPositions(grid, options.take("channels", 128), rngs=nnx.Rngs(0))
    return _run(vectors, module, lambda module, _: jnp.broadcast_to(module()[None], (batch, *module.table.shape)))


def _position(vectors, options):
    module = positions.single_encoding(options)
    batch = options.take("batch_size")
    name = "" if not isinstance(module, LearnedPositions) else None
    return _run(
        vectors, module, lambda module, _: jnp.broadcast_to(module()[None], (batch, *module().shape)), name=name
    )


def _preprocessor(build):
    def run(vectors, options):
        x = vectors.inputs["x"]
        adapter, given = build(options, x.shape[1:], vectors.inputs)
        computed = {}
        for call in vectors.calls:
            prefix = f"output/{call}/" if call else "output/"
            load_haiku(adapter, vectors.params, vectors.state)
            rows = adapter(x, train=call == "train", **given)
            after = to_haiku(adapter)[1]
            load_haiku(adapter, vectors.params, vectors.state)
            features = adapter.features(x, train=call == "train")
            for number, array in (("0", rows), ("2", features)):
                computed[prefix + number] = _as_grid(array, adapter, vectors.expected.get(prefix + number))
            computed |= {f"state_after/{call}/{key}": value for key, value in after.items()}
        return computed

    return run


def _as_grid(rows, adapter, expected):
    """Rows as they are, or on their grid where the reference did not flatten it."""
    if expected is None or expected.ndim == rows.ndim:
        return rows
    return rows.reshape(rows.shape[0], *adapter.feature_layer.grid, rows.shape[-1])


def _multimodal_preprocessor(vectors, options):
    module = parts.multimodal_input(options, {name: array.shape[1:] for name, array in vectors.inputs.items()})
    return _run(vectors, module, lambda module, given: module(given, rngs=nnx.Rngs(0)))


def _decoder(name):
    def run(vectors, options):
        latents = vectors.inputs["z"]
        features = vectors.inputs.get("without_pos", vectors.inputs["x"])
        classifies = name == "classification_decoder"
        if classifies:
            decoder = parts.class_decoder(options, latents.shape[-1])
        else:
            queries = parts.position_queries(options, parts.as_tuple(options.take("query_grid")), features.shape[-1])
            decoder = parts.decoder(options, latents.shape[-1], queries)
        path = "classification_decoder/~/basic_decoder" if classifies else None

        def call(decoder, given):
            queries = decoder.queries(
                latents,
                features=features if decoder.queries.feature_channels else None,
                cells=given.get("points"),
            )
            # The release's classification decoder does not hand the query mask on.
            decoded = decoder(latents, queries, query_mask=None if classifies else _mask(given, "query_mask"))
            return decoded[:, 0] if classifies else decoded

        return _run(vectors, decoder, call, name=path)

    return run


def _projection_decoder(vectors, options):
    module = parts.projection(options, vectors.inputs["z"].shape[-1])
    return _run(vectors, module, lambda module, given: module(given["z"]))


def _postprocessor(option, only_query):
    def run(vectors, options):
        module = parts.linear_output(vectors.inputs["x"].shape[-1], options.take(option), only_query)
        return _run(vectors, module, lambda module, given: module(given["x"]))

    return run


def _classifier(vectors, options):
    images = vectors.inputs["images"]
    model = parts.classifier(options, images.shape[1:])
    computed = {}
    for call in vectors.calls:
        load_haiku(model, vectors.params, vectors.state)
        computed[f"output/{call or 'out'}"] = model(images, train=call == "train")
        computed |= {f"state_after/{call}/{key}": value for key, value in to_haiku(model)[1].items()}
    return computed


_MODULES = {
    "attention": _attention,
    "audio_postprocessor": models.audio_postprocessor,
    "audio_preprocessor": _preprocessor(parts.audio_input),
    "basic_decoder": _decoder("basic_decoder"),
    "classification_decoder": _decoder("classification_decoder"),
    "classification_postprocessor": _postprocessor("num_classes", True),
    "cross_attention_block": _cross_attention_block,
    "embedding_decoder": models.embedding_decoder,
    "encoder": _encoder,
    "flow_decoder": models.flow_decoder,
    "fourier_position_encoding": positions.fourier,
    "identity_postprocessor": models.identity_postprocessor,
    "image_postprocessor": models.image_postprocessor,
    "image_preprocessor": _preprocessor(parts.image_input),
    "layer_norm": _layer_norm,
    "mlp": _mlp,
    "multimodal_preprocessor": _multimodal_preprocessor,
    "one_hot_preprocessor": _preprocessor(parts.one_hot_input),
    "position": _position,
    "projection_decoder": _projection_decoder,
    "projection_postprocessor": _postprocessor("num_outputs", False),
    "self_attention_block": _self_attention_block,
    "space_to_depth": positions.space_to_depth,
    "trainable_position": _trainable_position,
    "video_decoder": models.video_decoder,
}
_MODELS = {
    "classifier": _classifier,
    "mlm": models.mlm,
    "multimodal_autoencoder": models.multimodal_autoencoder,
    "optical_flow": models.optical_flow,
}
