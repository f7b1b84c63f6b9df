"""The files of the Perceiver IO release: module by module from their `config`."""

import functools

import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.convert import load_haiku, to_haiku
from perceiver_lab.layers import MLP, Attention, CrossAttentionBlock, LearnedPositions, SelfAttentionBlock, layer_norm
from perceiver_lab.training.optimizers import replay_release
from tests.drawn import drawn
from tests.parity import perceiver_io_models as models
from tests.parity import perceiver_io_parts as parts
from tests.parity import perceiver_io_positions as positions
from tests.parity.vectors import Options, Unsupported, Vectors, as_one_program


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


def _run(vectors, build, call, *, name=None):
    """Build the module, load the file's parameters and call it, as one program; the only output is `out`."""
    module = drawn(build)
    load_haiku(module, vectors.params, name=name)
    return {"output/out": as_one_program(call, module, vectors.inputs)}


def _mask(inputs, name):
    return inputs[name] != 0 if name in inputs else None


def _attention(vectors, options):
    queries, keys = ("x", "x") if "x" in vectors.inputs else ("q", "kv")
    build = functools.partial(
        Attention,
        vectors.inputs[queries].shape[-1],
        vectors.inputs[keys].shape[-1],
        num_heads=options.take("heads", 8),
        qk_channels=options.take("qk_channels", None),
        v_channels=options.take("v_channels", None),
        output_channels=options.take("output_channels", None),
        output_bias=options.take("output_bias", True),
        rngs=parts.RNGS,
    )
    return _run(vectors, build, lambda module, given: module(given[queries], given[keys], mask=_mask(given, "mask")))


def _layer_norm(vectors, options):
    options.expect("eps", 1e-5)
    channels = vectors.inputs["x"].shape[-1]
    return _run(vectors, lambda: layer_norm(channels, parts.RNGS), lambda module, given: module(given["x"]))


def _mlp(vectors, options):
    options.expect("activation", "gelu_tanh")
    channels = vectors.inputs["x"].shape[-1]
    widening = options.take("widening", 4)
    return _run(
        vectors,
        lambda: MLP(channels, widening_factor=widening, rngs=parts.RNGS),
        lambda module, given: module(given["x"]),
    )


def _self_attention_block(vectors, options):
    build = functools.partial(
        SelfAttentionBlock,
        vectors.inputs["x"].shape[-1],
        num_heads=options.take("heads", 8),
        qk_channels=options.take("qk_channels", None),
        v_channels=options.take("v_channels", None),
        widening_factor=options.take("widening", 4),
        rngs=parts.RNGS,
    )
    return _run(vectors, build, lambda module, given: module(given["x"], mask=_mask(given, "mask")))


def _cross_attention_block(vectors, options):
    query_channels, kv_channels = vectors.inputs["q"].shape[-1], vectors.inputs["kv"].shape[-1]
    build = functools.partial(
        CrossAttentionBlock,
        query_channels,
        kv_channels,
        num_heads=options.take("heads", 8),
        qk_channels=parts.cross_width(options, query_channels),
        v_channels=options.take("v_channels", None),
        widening_factor=options.take("widening", 1),
        use_query_residual=options.take("query_residual", True),
        rngs=parts.RNGS,
    )
    return _run(vectors, build, lambda module, given: module(given["q"], given["kv"], mask=_mask(given, "mask")))


def _encoder(vectors, options):
    channels = vectors.inputs["x"].shape[-1]
    name = next(iter(vectors.params)).split("/")[0]  # the multimodal model calls its encoder otherwise
    return _run(
        vectors,
        lambda: parts.encoder(options, channels),
        lambda module, given: module(given["x"], mask=_mask(given, "input_mask")),
        name=name,
    )


def _trainable_position(vectors, options):
    grid, batch = parts.as_tuple(options.take("index_dim")), options.take("batch_size")
    build = functools.partial(LearnedPositions, grid, options.take("channels", 128), rngs=parts.RNGS)
    return _run(vectors, build, lambda module, _: jnp.broadcast_to(module()[None], (batch, *module.table.shape)))


def _position(vectors, options):
    batch = options.take("batch_size")
    module = drawn(lambda: positions.single_encoding(options))
    load_haiku(module, vectors.params, name="" if not isinstance(module, LearnedPositions) else None)
    rows = as_one_program(lambda module: module(), module)
    return {"output/out": np.broadcast_to(rows[None], (batch, *rows.shape))}


def _preprocessor(build):
    def run(vectors, options):
        inputs, extra, computed = vectors.inputs, {}, {}
        x = inputs["x"]

        def alone():
            adapter, given = build(options, x.shape[1:], inputs)
            extra.update(given)
            return adapter

        adapter = drawn(alone)
        for call in vectors.calls:
            prefix = f"output/{call}/" if call else "output/"
            load_haiku(adapter, vectors.params, vectors.state)
            train = call == "train"
            rows = as_one_program(functools.partial(_rows, train=train), adapter, x, extra)
            after = to_haiku(adapter)[1]
            load_haiku(adapter, vectors.params, vectors.state)
            features = as_one_program(functools.partial(_features, train=train), adapter, x)
            for number, array in (("0", rows), ("2", features)):
                computed[prefix + number] = _as_grid(array, adapter, vectors.expected.get(prefix + number))
            computed |= {f"state_after/{call}/{key}": value for key, value in after.items()}
        return computed

    return run


def _rows(model, x, extra, *, train):
    return model(x, train=train, **extra)


def _features(adapter, x, *, train):
    return adapter.features(x, train=train)


def _as_grid(rows, adapter, expected):
    """Rows as they are, or on their grid where the reference did not flatten it."""
    if expected is None or expected.ndim == rows.ndim:
        return rows
    return rows.reshape(rows.shape[0], *adapter.feature_layer.grid, rows.shape[-1])


def _multimodal_preprocessor(vectors, options):
    shapes = {name: array.shape[1:] for name, array in vectors.inputs.items()}
    return _run(
        vectors, lambda: parts.multimodal_input(options, shapes), lambda module, given: module(given, rngs=nnx.Rngs(0))
    )


def _decoder(name):
    def run(vectors, options):
        width = vectors.inputs["z"].shape[-1]
        features = "without_pos" if "without_pos" in vectors.inputs else "x"
        classifies = name == "classification_decoder"

        def build():
            if classifies:
                return parts.class_decoder(options, width)
            grid = parts.as_tuple(options.take("query_grid"))
            queries = parts.position_queries(options, grid, vectors.inputs[features].shape[-1])
            return parts.decoder(options, width, queries)

        path = "classification_decoder/~/basic_decoder" if classifies else None

        def call(decoder, given):
            queries = decoder.queries(
                given["z"],
                features=given[features] if decoder.queries.feature_channels else None,
                cells=given.get("points"),
            )
            # The release's classification decoder does not hand the query mask on.
            decoded = decoder(given["z"], queries, query_mask=None if classifies else _mask(given, "query_mask"))
            return decoded[:, 0] if classifies else decoded

        return _run(vectors, build, call, name=path)

    return run


def _projection_decoder(vectors, options):
    channels = vectors.inputs["z"].shape[-1]
    return _run(vectors, lambda: parts.projection(options, channels), lambda module, given: module(given["z"]))


def _postprocessor(option, only_query):
    def run(vectors, options):
        channels, outputs = vectors.inputs["x"].shape[-1], options.take(option)
        return _run(
            vectors,
            lambda: parts.linear_output(channels, outputs, only_query),
            lambda module, given: module(given["x"]),
        )

    return run


def _classifier(vectors, options):
    images = vectors.inputs["images"]
    model = drawn(lambda: parts.classifier(options, images.shape[1:]))
    computed = {}
    for call in vectors.calls:
        load_haiku(model, vectors.params, vectors.state)
        answer = functools.partial(_rows, extra={}, train=call == "train")
        computed[f"output/{call or 'out'}"] = as_one_program(answer, model, images)
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
