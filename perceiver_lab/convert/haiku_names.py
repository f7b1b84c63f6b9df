"""Which variable of ours is which parameter of the Perceiver IO release (DeepMind's Haiku code).

Haiku names a parameter by the path of its module and its own name: `perceiver_encoder/~/cross_attention/mlp/linear/w`.
A module made in a constructor has `~` in its path, one made in a private method `~method`, and the second, third, ...
of a name in one parent are called `name_1`, `name_2`, ...
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

from flax import nnx

from perceiver_lab import adapters, layers, models


class Entry(NamedTuple):
    """One array of the release and the place where it lives here.

    Attributes:
      name: path and name of the array in the release.
      variable: our variable.
      layer: number of the layer if the variable holds those of a scanned stack; else None.
      shape: of the array in the release; the sizes agree, axes of length one may not.
    """

    name: str
    variable: nnx.Variable
    layer: int | None
    shape: tuple[int, ...]

    @property
    def is_state(self) -> bool:
        """Running statistics, which the release keeps apart from the parameters."""
        return isinstance(self.variable, nnx.BatchStat)


def entries(module: nnx.Module, name: str | None = None) -> list[Entry]:
    """Every array of a module, under its name in the release.

    Args:
      module: a model, or any part of one.
      name: of a part, by default the one that the release gives it.

    Raises:
      ValueError: a module that the release has no name for.
    """
    name = root_name(module) if name is None else name
    return list(_named(module, name))


def root_name(module: nnx.Module) -> str:
    """The name of a module that is not inside another; empty for those that only hold others."""
    if isinstance(module, adapters.GridInput):
        return "audio_preprocessor" if isinstance(module.feature_layer, adapters.AudioPatches) else "image_preprocessor"
    if isinstance(module, adapters.LinearOutput):
        return "projection_postprocessor" if module.only_query is None else "classification_postprocessor"
    return _ROOT_NAMES.get(type(module), "")


_ROOT_NAMES = {
    layers.Attention: "attention",
    layers.CrossAttentionBlock: "cross_attention",
    layers.LearnedPositions: "trainable_position_encoding",
    layers.MLP: "mlp",
    layers.SelfAttentionBlock: "self_attention",
    layers.SelfAttentionStack: "self_attention",
    nnx.LayerNorm: "layer_norm",
    nnx.Linear: "linear",
    adapters.ClassOutput: "projection_decoder",
    adapters.MultimodalInput: "multimodal_preprocessor",
    models.Decoder: "basic_decoder",
    models.PerceiverEncoder: "perceiver_encoder",
}


@functools.singledispatch
def _named(module: nnx.Module, path: str) -> Iterator[Entry]:
    raise ValueError(
        f"The Perceiver IO release has no names for a {type(module).__name__}. Only models made of the release's parts "
        "can be converted; save others with training.save_weights."
    )


def _under(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _array(variable, name, shape=None) -> Entry:
    return Entry(name, variable, None, tuple(variable.shape) if shape is None else shape)


# --- layers ---------------------------------------------------------------------------------------------------------


@_named.register(nnx.Linear)
@_named.register(nnx.Conv)
def _(module, path):
    yield _array(module.kernel, f"{path}/w")
    if module.use_bias:  # what `bias` is without one depends on the version of Flax
        yield _array(module.bias, f"{path}/b")


@_named.register
def _(module: nnx.LayerNorm, path):
    yield _array(module.scale, f"{path}/scale")
    yield _array(module.bias, f"{path}/offset")


@_named.register
def _(module: layers.BatchNorm, path):
    shape = (1, 1, 1, module.scale.shape[0])
    yield _array(module.scale, f"{path}/scale", shape)
    yield _array(module.bias, f"{path}/offset", shape)
    for name, total, average in (
        ("mean_ema", module.mean_sum, module.mean),
        ("var_ema", module.variance_sum, module.variance),
    ):
        yield _array(total, f"{path}/~/{name}/hidden", shape)
        yield _array(average, f"{path}/~/{name}/average", shape)
        yield _array(module.steps, f"{path}/~/{name}/counter")


@_named.register
def _(module: layers.Attention, path):
    for number, linear in enumerate((module.query, module.key, module.value, module.output)):
        yield from _named(linear, f"{path}/{_numbered('linear', number)}")


@_named.register
def _(module: layers.MLP, path):
    yield from _named(module.expand, f"{path}/linear")
    yield from _named(module.contract, f"{path}/linear_1")


@_named.register
def _(module: layers.CrossAttentionBlock, path):
    for number, norm in enumerate((module.query_norm, module.kv_norm, module.mlp_norm)):
        yield from _named(norm, f"{path}/{_numbered('layer_norm', number)}")
    yield from _named(module.attention, f"{path}/attention")
    yield from _named(module.mlp, f"{path}/mlp")


@_named.register
def _(module: layers.SelfAttentionBlock, path):
    for number, norm in enumerate((module.norm, module.mlp_norm)):
        yield from _named(norm, f"{path}/{_numbered('layer_norm', number)}")
    yield from _named(module.attention, f"{path}/attention")
    yield from _named(module.mlp, f"{path}/mlp")


@_named.register
def _(module: layers.SelfAttentionStack, path):
    yield from _named_stack(module, path, first=0)


def _named_stack(stack, path, first):
    for index in range(stack.num_layers):
        layer_path = _numbered(path, first + index)
        if stack.scanned:
            for entry in _named(stack.layers, layer_path):
                yield entry._replace(layer=index, shape=entry.shape[1:])
        else:
            yield from _named(stack.layers[index], layer_path)


# --- positions; `path` is that of the module which holds them ----------------------------------------------------


@_named.register
def _(module: layers.LearnedPositions, path):
    yield _array(module.table, f"{path}/pos_embs")


@_named.register
def _(module: layers.FourierPositions, path):
    yield from ()


@_named.register
def _(module: layers.ProjectedPositions, path):
    yield from _named_positions(module.inner, path)
    yield from _named(module.projection, _under(path, "position_encoding_projector/linear"))


def _named_positions(positions, path):
    learned = isinstance(positions, layers.LearnedPositions)
    yield from _named(positions, _under(path, "trainable_position_encoding") if learned else path)


# --- adapters -------------------------------------------------------------------------------------------------------


@_named.register(adapters.Pixels)
@_named.register(adapters.AudioPatches)
@_named.register(adapters.OneHotInput)
@_named.register(adapters.OnlyQuery)
@_named.register(adapters.PointInput)
def _(module, path):
    yield from ()


@_named.register
def _(module: adapters.Patches, path):
    if module.linear is not None:
        yield from _named(module.linear, f"{path}/patches_linear")


@_named.register
def _(module: adapters.Conv1x1, path):
    kernel = module.linear.kernel
    yield _array(kernel, f"{path}/~/conv2_d/w", (1, 1, *kernel.shape))
    yield _array(module.linear.bias, f"{path}/~/conv2_d/b")


@_named.register
def _(module: adapters.Convolutions, path):
    for number, conv in enumerate(module.downsample.convs):
        yield from _named(conv, f"{path}/~/conv2_d_downsample/~/{_numbered('conv', number)}")
    for number, norm in enumerate(module.downsample.norms):
        yield from _named(norm, f"{path}/~/conv2_d_downsample/~/{_numbered('batchnorm', number)}")


@_named.register
def _(module: adapters.GridInput, path):
    yield from _named(module.feature_layer, path)
    yield from _named_positions(module.positions, f"{path}/~_build_network_inputs")
    for number, linear in enumerate(module.position_mlp):
        yield from _named(linear, f"{path}/~_build_network_inputs/{_numbered('linear', number)}")


@_named.register
def _(module: adapters.MultimodalInput, path):
    roots = [root_name(module.modalities[name]) for name in module.names]
    for number, name in enumerate(module.names):
        repeated = roots[:number].count(roots[number])
        yield from _named(module.modalities[name], _numbered(roots[number], repeated))
        yield from _named(module.paddings[name], f"{path}/{name}_padding")
        if module.mask_rates is not None:
            yield from _named(module.mask_tokens[name], f"{path}/{name}_mask_token")


@_named.register
def _(module: adapters.PositionQueries, path):
    yield from _named_positions(module.positions, path)


@_named.register
def _(module: adapters.ClassOutput, path):
    yield from _named(module.linear, f"{path}/~/logits")


@_named.register
def _(module: adapters.LinearOutput, path):
    yield from _named(module.linear, f"{path}/linear")


# --- models ---------------------------------------------------------------------------------------------------------


@_named.register
def _(module: models.PerceiverEncoder, path):
    yield from _named_positions(module.latents, f"{path}/~")
    # The release reads once; what this library reads more often is named as Haiku would go on.
    for number, read in enumerate(module.reads):
        yield from _named(read, f"{path}/~/{_numbered('cross_attention', number)}")
    for number, block in enumerate(module.blocks):
        yield from _named_stack(block, f"{path}/~/self_attention", first=number * block.num_layers)


@_named.register
def _(module: models.Decoder, path):
    yield from _named(module.queries, f"{path}/~")
    yield from _named(module.block, f"{path}/cross_attention")
    if module.output is not None:
        yield from _named(module.output, f"{path}/output")


@_named.register
def _(module: models.Perceiver, path):
    for part in (module.input_adapter, module.encoder, module.output_adapter):
        yield from _named(part, root_name(part))


@_named.register
def _(module: models.PerceiverIO, path):
    classifies = isinstance(module.output_adapter, adapters.OnlyQuery)
    decoder = "classification_decoder/~/basic_decoder" if classifies else root_name(module.decoder)
    yield from _named(module.input_adapter, root_name(module.input_adapter))
    yield from _named(module.encoder, root_name(module.encoder))
    yield from _named(module.decoder, decoder)
    if module.output_adapter is not None:
        yield from _named(module.output_adapter, root_name(module.output_adapter))
