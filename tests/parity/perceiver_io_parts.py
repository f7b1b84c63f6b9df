"""Adapters, encoders, decoders and classifiers from the option vocabulary of the Perceiver IO files."""

import math

from flax import nnx

from perceiver_lab import adapters
from perceiver_lab.layers import FourierPositions, LearnedPositions, ProjectedPositions
from perceiver_lab.models import Decoder, Perceiver, PerceiverConfig, PerceiverEncoder, PerceiverIO
from tests.parity.vectors import Options, Unsupported

RNGS = nnx.Rngs(0)  # the weights are all replaced


def as_tuple(grid: int | list[int]) -> tuple[int, ...]:
    return (grid,) if isinstance(grid, int) else tuple(grid)


def position_encoding(options: Options, grid: tuple[int, ...]) -> nnx.Module:
    """`position`, `fourier` or `trainable`, and `position_projection`."""
    kind = options.take("position", "fourier")
    if kind == "fourier":
        options.take("trainable", None)
        encoding = fourier_encoding(options.inside("fourier"), grid)
    elif kind == "trainable":
        options.take("fourier", None)
        given = options.inside("trainable") if "trainable" in options else Options({}, "trainable")
        encoding = LearnedPositions(grid, given.take("channels", 128), init_std=given.take("init_std", 0.02), rngs=RNGS)
        given.done()
    else:
        raise Unsupported(f"position={kind!r} cannot be built.")
    width = options.take("position_projection", None)
    return ProjectedPositions(encoding, width, rngs=RNGS) if width and width > 0 else encoding


def fourier_encoding(given: Options, grid: tuple[int, ...]) -> FourierPositions:
    """`bands`, `max_resolution`, `include_coordinates`, `sine_only`."""
    resolution = given.take("max_resolution", None)
    encoding = FourierPositions(
        grid,
        num_bands=given.take("bands"),
        max_resolution=None if resolution is None else as_tuple(resolution),
        include_positions=given.take("include_coordinates", True),
        sine_only=given.take("sine_only", False),
    )
    given.done()
    return encoding


def grid_input(options: Options, features: nnx.Module) -> adapters.GridInput:
    """Features with the positions that the options ask for."""
    return adapters.GridInput(
        features,
        position_encoding(options, features.grid),
        combine=options.take("combine", "concat"),
        position_mlp_layers=options.take("position_mlp_layers", 0),
        rngs=RNGS,
    )


def image_features(options: Options, shape: tuple[int, ...]) -> nnx.Module:
    """`input_kind` with its factors and widths; by default convolutions by 4 to 64 channels with batch norm."""
    kind = options.take("input_kind", "conv")
    factor, time_factor = options.take("spatial_factor", 4), options.take("time_factor", 1)
    channels, batch_norm = options.take("channels", 64), options.take("batch_norm", True)
    projected = options.take("linear_after_patches", False)
    if kind == "pixels":
        return adapters.Pixels(shape, factor=factor, time_factor=time_factor)
    if kind == "patches":
        width = channels if projected else None
        return adapters.Patches(shape, factor=factor, time_factor=time_factor, channels=width, rngs=RNGS)
    if time_factor != 1:
        raise Unsupported(f"input_kind={kind!r} has no time_factor={time_factor}.")
    if kind == "conv1x1":
        return adapters.Conv1x1(shape, channels=channels, factor=factor, rngs=RNGS)
    if kind != "conv":
        raise Unsupported(f"input_kind={kind!r} cannot be built.")
    num_layers = round(math.log(factor, 4))
    if 4**num_layers != factor:
        raise Unsupported(f"spatial_factor={factor} of convolutions is no power of 4.")
    return adapters.Convolutions(shape, channels=channels, num_layers=num_layers, batch_norm=batch_norm, rngs=RNGS)


def image_input(options: Options, shape: tuple[int, ...], inputs) -> tuple[nnx.Module, dict]:
    """The adapter, and what else its call takes: explicit positions, which a table ignores in the release."""
    explicit = options.take("explicit_pos", "pos" in inputs)
    learned = options.take("position", "fourier") == "trainable"
    adapter = grid_input(options, image_features(options, shape))
    return adapter, {"positions": inputs["pos"]} if explicit and not learned else {}


def audio_input(options: Options, shape: tuple[int, ...], inputs) -> tuple[nnx.Module, dict]:
    explicit = options.take("explicit_pos", "pos" in inputs)
    learned = options.take("position", "fourier") == "trainable"
    features = adapters.AudioPatches(shape[0], samples_per_patch=options.take("samples_per_patch", 96))
    return grid_input(options, features), {"positions": inputs["pos"]} if explicit and not learned else {}


def one_hot_input(options: Options, shape: tuple[int, ...], inputs) -> tuple[nnx.Module, dict]:
    return adapters.OneHotInput(shape[0]), {}


def multimodal_input(options: Options, shapes: dict[str, tuple[int, ...]]) -> adapters.MultimodalInput:
    """`audio`, `image` and `label` as they are there; their Fourier options stand beside their own."""
    options.take("order", None)
    modalities = {}
    for name in shapes:
        if name == "label":
            options.expect("label", "one_hot")
            modalities[name] = adapters.OneHotInput(shapes[name][0])
            continue
        given = _with_fourier(options.take(name), f"multimodal preprocessor, {name}")
        modalities[name] = (audio_input if name == "audio" else image_input)(given, shapes[name], {})[0]
        given.done()
    return adapters.MultimodalInput(
        modalities,
        min_padding_size=options.take("min_padding_size", 2),
        mask_rates=options.take("mask_probs", None),
        rngs=RNGS,
    )


def _with_fourier(values: dict, where: str) -> Options:
    names = ("bands", "max_resolution", "include_coordinates", "sine_only")
    fourier = {name: values[name] for name in names if name in values}
    rest = {name: value for name, value in values.items() if name not in names}
    return Options({**({"fourier": fourier} if fourier else {}), **rest}, where)


def cross_width(options: Options, query_channels: int) -> int | None:
    """`qk_channels`; without it, None for the width of keys and values or the queries' own."""
    width_from = options.take("attention_width_from", "kv")
    if width_from not in ("kv", "q"):
        raise Unsupported(f"attention_width_from={width_from!r} cannot be built.")
    explicit = options.take("qk_channels", None)
    return explicit if explicit is not None or width_from == "kv" else query_channels


def encoder_config(options: Options) -> PerceiverConfig:
    latent_channels = options.take("latent_channels", 1024)
    return PerceiverConfig(
        num_latents=options.take("latents", 512),
        latent_channels=latent_channels,
        num_blocks=options.take("blocks", 8),
        num_self_attends_per_block=options.take("layers_per_block", 6),
        num_cross_heads=options.take("cross_heads", 1),
        num_self_heads=options.take("self_heads", 8),
        cross_widening_factor=options.take("cross_widening", 1),
        self_widening_factor=options.take("self_widening", 1),
        # Latents attend to each other at this width anyway.
        qk_channels=cross_width(options, latent_channels),
        v_channels=options.take("v_channels", None),
        use_query_residual=options.take("query_residual", True),
    )


def encoder(options: Options, input_channels: int) -> PerceiverEncoder:
    return PerceiverEncoder(encoder_config(options), input_channels, rngs=RNGS)


def position_queries(options: Options, grid: tuple[int, ...], feature_channels: int) -> adapters.PositionQueries:
    """Positions on a grid, after the input features where `inputs_before_query_positions` says so."""
    with_features = options.take("inputs_before_query_positions", False)
    return adapters.PositionQueries(
        position_encoding(options, grid),
        feature_channels=feature_channels if with_features else 0,
        subsampling="release",
    )


def decoder(options: Options, latent_channels: int, queries: nnx.Module, *, output_channels: int | None = None):
    """The basic decoder around some queries; its `output_channels` are an option unless they are given."""
    options.take("latent_channels", None)
    width = options.take("output_channels") if output_channels is None else output_channels
    return Decoder(
        queries,
        latent_channels,
        output_channels=width if options.take("final_projection", True) else None,
        num_heads=options.take("heads", 1),
        qk_channels=cross_width(options, queries.num_channels),
        v_channels=options.take("v_channels", None),
        widening_factor=options.take("widening", 1),
        use_query_residual=options.take("query_residual", False),
        rngs=RNGS,
    )


def class_decoder(options: Options, latent_channels: int) -> Decoder:
    """The decoder that asks for class logits with one query."""
    num_classes = options.take("num_classes")
    queries = position_queries(options, (1,), 0)
    return decoder(options, latent_channels, queries, output_channels=num_classes)


def projection(options: Options, latent_channels: int) -> adapters.ClassOutput:
    options.take("latent_channels", None)
    return adapters.ClassOutput(latent_channels, options.take("num_classes"), rngs=RNGS)


def linear_output(input_channels: int, output_channels: int, only_query: bool) -> adapters.LinearOutput:
    return adapters.LinearOutput(input_channels, output_channels, only_query=only_query, rngs=RNGS)


def classifier(options: Options, shape: tuple[int, ...]) -> nnx.Module:
    """Preprocessor, encoder, and the classification or the projection decoder."""
    if "batchnorm" in options:
        batch_norm = options.inside("batchnorm")
        batch_norm.expect("eps", 1e-5)
        batch_norm.expect("decay", 0.9)
        batch_norm.done()
    preprocessor, body, head = (options.inside(name) for name in ("preprocessor", "encoder", "decoder"))
    input_adapter, _ = image_input(preprocessor, shape, {})
    config = encoder_config(body)
    kind = head.take("type", "classification")
    if kind == "projection":
        output = projection(head, config.latent_channels)
        model = Perceiver(config, input_adapter=input_adapter, output_adapter=output, rngs=RNGS)
    elif kind == "classification":
        model = PerceiverIO(
            config,
            input_adapter=input_adapter,
            decoder=class_decoder(head, config.latent_channels),
            output_adapter=adapters.OnlyQuery(),
            rngs=RNGS,
        )
    else:
        raise Unsupported(f"decoder type {kind!r} cannot be built.")
    for part in (preprocessor, body, head):
        part.done()
    return model
