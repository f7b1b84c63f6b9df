"""Which variable of ours is which parameter of the Perceiver IO release (DeepMind's Haiku code): layers and positions.

Haiku names a parameter by the path of its module and its own name: `perceiver_encoder/~/cross_attention/mlp/linear/w`.
A module made in a constructor has `~` in its path, one made in a private method `~method`, and the second, third, ...
of a name in one parent are called `name_1`, `name_2`, ...
"""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from flax import nnx
from jaxtyping import Array

from perceiver_lab import layers


class Entry(NamedTuple):
    """One array of the release and the place where it lives here.

    Attributes:
      name: path and name of the array in the release.
      variable: our variable.
      layer: number of the layer if the variable holds those of a scanned stack; else None.
      shape: of the array in the release; the sizes agree, axes of length one may not.
      fixed: for an array that never changes, which here is no variable: computes it.
    """

    name: str
    variable: nnx.Variable | None
    layer: int | None
    shape: tuple[int, ...]
    fixed: Callable[[], Array] | None = None

    @property
    def is_state(self) -> bool:
        """Running statistics, which the release keeps apart from the parameters."""
        return isinstance(self.variable, nnx.BatchStat)


@functools.singledispatch
def named(module: nnx.Module, path: str) -> Iterator[Entry]:
    """The arrays of a module that is called `path` in the release. Adapters and models: `haiku_names`."""
    raise ValueError(
        f"The Perceiver IO release has no names for a {type(module).__name__}. Only models made of the release's parts "
        "can be converted; save others with training.save_weights."
    )


def under(path: str, name: str) -> str:
    """`name` inside of `path`, which may be empty."""
    return f"{path}/{name}" if path else name


def numbered(name: str, number: int) -> str:
    """The name of the module that is the `number`-th of its name, from 0."""
    return f"{name}_{number}" if number else name


def array(variable: nnx.Variable, name: str, shape: tuple[int, ...] | None = None) -> Entry:
    """A variable that is one array of the release, by default of the same shape."""
    return Entry(name, variable, None, tuple(variable.shape) if shape is None else shape)


# --- layers ---------------------------------------------------------------------------------------------------------


@named.register(nnx.Linear)
@named.register(nnx.Conv)
def _(module, path):
    yield array(module.kernel, f"{path}/w")
    if module.use_bias:  # what `bias` is without one depends on the version of Flax
        yield array(module.bias, f"{path}/b")


@named.register
def _(module: nnx.LayerNorm, path):
    yield array(module.scale, f"{path}/scale")
    yield array(module.bias, f"{path}/offset")


@named.register
def _(module: layers.BatchNorm, path):
    shape = (1, 1, 1, module.scale.shape[0])
    yield array(module.scale, f"{path}/scale", shape)
    yield array(module.bias, f"{path}/offset", shape)
    for name, total, average in (
        ("mean_ema", module.mean_sum, module.mean),
        ("var_ema", module.variance_sum, module.variance),
    ):
        yield array(total, f"{path}/~/{name}/hidden", shape)
        yield array(average, f"{path}/~/{name}/average", shape)
        yield array(module.steps, f"{path}/~/{name}/counter")


@named.register
def _(module: layers.TransposedConv, path):
    yield array(module.kernel, f"{path}/w")
    yield array(module.bias, f"{path}/b")


@named.register
def _(module: layers.ConvUpsample, path):
    for number, conv in enumerate(module.convs):
        # Those over time are made when they are called, and numbered from 0.
        over_time, flat = f"conv3_d_upsample/conv3d_transpose_{number}", f"conv2_d_upsample/~/transp_conv_{number + 1}"
        yield from named(conv, f"{path}/~/{over_time if module.over_time else flat}")


@named.register
def _(module: layers.Attention, path):
    for number, linear in enumerate((module.query, module.key, module.value, module.output)):
        yield from named(linear, f"{path}/{numbered('linear', number)}")


@named.register
def _(module: layers.MLP, path):
    yield from named(module.expand, f"{path}/linear")
    yield from named(module.contract, f"{path}/linear_1")


@named.register
def _(module: layers.CrossAttentionBlock, path):
    for number, norm in enumerate((module.query_norm, module.kv_norm, module.mlp_norm)):
        yield from named(norm, f"{path}/{numbered('layer_norm', number)}")
    yield from named(module.attention, f"{path}/attention")
    yield from named(module.mlp, f"{path}/mlp")


@named.register
def _(module: layers.SelfAttentionBlock, path):
    for number, norm in enumerate((module.norm, module.mlp_norm)):
        yield from named(norm, f"{path}/{numbered('layer_norm', number)}")
    yield from named(module.attention, f"{path}/attention")
    yield from named(module.mlp, f"{path}/mlp")


@named.register
def _(module: layers.SelfAttentionStack, path):
    yield from named_stack(module, path, first=0)


def named_stack(stack: layers.SelfAttentionStack, path: str, first: int) -> Iterator[Entry]:
    """Layers, numbered from `first` on."""
    for index in range(stack.num_layers):
        layer_path = numbered(path, first + index)
        if stack.scanned:
            for entry in named(stack.layers, layer_path):
                yield entry._replace(layer=index, shape=entry.shape[1:])
        else:
            yield from named(stack.layers[index], layer_path)


# --- positions; `path` is that of the module which holds them ----------------------------------------------------


@named.register
def _(module: layers.LearnedPositions, path):
    yield array(module.table, f"{path}/pos_embs")


@named.register
def _(module: layers.FourierPositions, path):
    yield from ()


@named.register
def _(module: layers.ProjectedPositions, path):
    yield from named_positions(module.inner, path)
    yield from named(module.projection, under(path, "position_encoding_projector/linear"))


def named_positions(positions: nnx.Module, path: str) -> Iterator[Entry]:
    """An encoding inside of the module `path`."""
    learned = isinstance(positions, layers.LearnedPositions)
    yield from named(positions, under(path, "trainable_position_encoding") if learned else path)
