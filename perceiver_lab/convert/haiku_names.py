"""Which variable of ours is which parameter of the release: adapters and models. Layers and rules: `haiku_entries`."""

from flax import nnx

from perceiver_lab import adapters, layers, models
from perceiver_lab.convert.haiku_entries import Entry, array, named, named_positions, named_stack, numbered, under

__all__ = ["Entry", "entries", "root_name"]


def entries(module: nnx.Module, name: str | None = None) -> list[Entry]:
    """Every array of a module, under its name in the release.

    Args:
      module: a model, or any part of one.
      name: of a part, by default the one that the release gives it.

    Raises:
      ValueError: a module that the release has no name for.
    """
    name = root_name(module) if name is None else name
    return list(named(module, name))


def root_name(module: nnx.Module) -> str:
    """The name of a module that is not inside another; empty for those that only hold others."""
    if isinstance(module, adapters.GridInput):
        return "audio_preprocessor" if isinstance(module.feature_layer, adapters.AudioPatches) else "image_preprocessor"
    if isinstance(module, adapters.LinearOutput):
        return "projection_postprocessor" if module.only_query is None else "classification_postprocessor"
    if isinstance(module, models.Decoder):
        return _decoder_name(module.queries, None)
    return _ROOT_NAMES.get(type(module), "")


def _decoder_name(queries, output):
    """The release has a class for each kind of decoder, around the basic one that does the work."""
    if isinstance(queries, adapters.MultimodalQueries):
        kind = "multimodal_decoder"
    elif isinstance(output, adapters.OnlyQuery):
        kind = "classification_decoder"
    elif isinstance(output, adapters.FlowOutput):
        kind = "flow_decoder"
    elif type(output) is adapters.GridOutput and len(output.grid) == 3:
        kind = "basic_video_autoencoding_decoder"
    else:
        return "basic_decoder"
    return f"{kind}/~/basic_decoder"


_ROOT_NAMES = {
    layers.Attention: "attention",
    layers.CrossAttentionBlock: "cross_attention",
    layers.LayerNorm: "layer_norm",
    layers.LearnedPositions: "trainable_position_encoding",
    layers.MLP: "mlp",
    layers.SelfAttentionBlock: "self_attention",
    layers.SelfAttentionStack: "self_attention",
    nnx.LayerNorm: "layer_norm",
    nnx.Linear: "linear",
    adapters.AudioOutput: "audio_postprocessor",
    adapters.ByteOutput: "embedding_decoder",
    adapters.ClassOutput: "projection_decoder",
    adapters.Conv1x1Output: "image_postprocessor",
    adapters.ConvOutput: "image_postprocessor",
    adapters.MultimodalInput: "multimodal_preprocessor",
    models.PerceiverEncoder: "perceiver_encoder",
}


# --- adapters -------------------------------------------------------------------------------------------------------


@named.register(adapters.Pixels)
@named.register(adapters.AudioPatches)
@named.register(adapters.OneHotInput)
@named.register(adapters.QueryOutput)  # those that have no parameters
@named.register(adapters.PointInput)
def _(module, path):
    yield from ()


@named.register(adapters.FlowPatches)
@named.register(adapters.Patches)
def _(module, path):
    if module.linear is not None:
        yield from named(module.linear, f"{path}/patches_linear")


@named.register(adapters.Conv1x1)
@named.register(adapters.Conv1x1Output)
def _(module, path):
    kernel = module.linear.kernel
    yield array(kernel, f"{path}/~/conv2_d/w", (1, 1, *kernel.shape))
    yield array(module.linear.bias, f"{path}/~/conv2_d/b")


@named.register
def _(module: adapters.Convolutions, path):
    for number, conv in enumerate(module.downsample.convs):
        yield from named(conv, f"{path}/~/conv2_d_downsample/~/{numbered('conv', number)}")
    for number, norm in enumerate(module.downsample.norms):
        yield from named(norm, f"{path}/~/conv2_d_downsample/~/{numbered('batchnorm', number)}")


@named.register
def _(module: adapters.GridInput, path):
    yield from named(module.feature_layer, path)
    yield from named_positions(module.positions, f"{path}/~_build_network_inputs")
    for number, linear in enumerate(module.position_mlp):
        yield from named(linear, f"{path}/~_build_network_inputs/{numbered('linear', number)}")


@named.register
def _(module: adapters.ByteInput, path):
    yield array(module.embedding, f"{under(path, 'embed')}/embeddings")
    yield from named_positions(module.positions, path)


@named.register
def _(module: adapters.MultimodalInput, path):
    roots = _numbered_through([root_name(module.modalities[name]) for name in module.names])
    for name, root in zip(module.names, roots, strict=True):
        yield from named(module.modalities[name], root)
        yield from named(module.paddings[name], f"{path}/{name}_padding")
        if module.mask_rates is not None:
            yield from named(module.mask_tokens[name], f"{path}/{name}_mask_token")


def _numbered_through(names):
    """Names that come again get numbers, in the first part of their path: that is the module that is made again."""
    counts = [names[:number].count(name) for number, name in enumerate(names)]
    parts = [name.partition("/") for name in names]
    return ["".join((numbered(first, count), *rest)) for (first, *rest), count in zip(parts, counts, strict=True)]


@named.register
def _(module: adapters.PositionQueries, path):
    yield from named_positions(module.positions, path)


@named.register
def _(module: adapters.InputQueries, path):
    yield from ()


@named.register
def _(module: adapters.MultimodalQueries, path):
    # Each group has a decoder of its own in the release, of which nothing exists but what makes its queries.
    kinds = _numbered_through([_group_decoder(module.groups[name]) for name in module.names])
    for name, kind in zip(module.names, kinds, strict=True):
        yield from named(module.groups[name], f"{kind}/~")
        yield from named(module.paddings[name], f"{path.split('/')[0]}/~decoder_query/{name}_padding")


def _group_decoder(queries):
    positions = getattr(queries, "positions", None)
    if positions is not None and tuple(positions.shape) == (1,):
        return _decoder_name(queries, adapters.OnlyQuery())
    return _decoder_name(queries, None if positions is None else adapters.GridOutput(positions.shape))


@named.register
def _(module: adapters.MultimodalOutput, path):
    roots = _numbered_through([root_name(module.parts[name]) for name in module.names])
    for name, root in zip(module.names, roots, strict=True):
        yield from named(module.parts[name], root)


@named.register
def _(module: adapters.ClassOutput, path):
    yield from named(module.linear, f"{path}/~/logits")


@named.register(adapters.AudioOutput)
@named.register(adapters.LinearOutput)
def _(module, path):
    yield from named(module.linear, f"{path}/linear")


@named.register
def _(module: adapters.ByteOutput, path):
    yield array(module.bias, f"{path}/bias")


@named.register
def _(module: adapters.ConvOutput, path):
    yield from named(module.upsample, path)


# --- models ---------------------------------------------------------------------------------------------------------


@named.register
def _(module: models.PerceiverEncoder, path):
    yield from named_positions(module.latents, f"{path}/~")
    # The release reads once; what this library reads more often is named as Haiku would go on.
    for number, read in enumerate(module.reads):
        yield from named(read, f"{path}/~/{numbered('cross_attention', number)}")
    for number, block in enumerate(module.blocks):
        yield from named_stack(block, f"{path}/~/self_attention", first=number * block.num_layers)


@named.register
def _(module: models.Decoder, path):
    yield from named(module.queries, f"{path}/~")
    yield from named(module.block, f"{path}/cross_attention")
    if module.output is not None:
        yield from named(module.output, f"{path}/output")


@named.register
def _(module: models.Perceiver, path):
    for part in (module.input_adapter, module.encoder, module.output_adapter):
        yield from named(part, root_name(part))


@named.register
def _(module: models.PerceiverIO, path):
    several = isinstance(module.decoder.queries, adapters.MultimodalQueries)
    yield from named(module.input_adapter, root_name(module.input_adapter))
    yield from named(module.encoder, "encoder" if several else root_name(module.encoder))
    yield from named(module.decoder, _decoder_name(module.decoder.queries, module.output_adapter))
    if module.output_adapter is not None:
        yield from named(module.output_adapter, root_name(module.output_adapter))
