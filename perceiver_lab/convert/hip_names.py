"""Which variable of ours is which parameter of the Hierarchical Perceiver's release (Haiku; 2202.10890).

The release does not write the order of the modalities down: give a model the order that its parameters had in training.
"""

from collections.abc import Iterator

from flax import nnx

from perceiver_lab import layers, models
from perceiver_lab.convert.haiku_entries import Entry, array, named, numbered, under
from perceiver_lab.models.hip_modalities import places
from perceiver_lab.models.hip_parts import GroupedCrossAttention, HiPBlock


@named.register
def _(module: models.HiP, path):
    root = under(path, "perceiver")
    yield from _modalities(module, root)
    yield from _blocks(module, f"{root}/block")
    yield from named(module.head, f"{root}/reconstruction_head/hi_p_cross_attention")


@named.register
def _(module: models.HiPClassBottleneck, path):
    root = under(path, "perceiver")
    yield from _modalities(module, root)
    for number, (place, name) in enumerate(places(module.label_names).items(), start=1):
        yield from named(module.label_embeds[place], f"{root}/embedder_{number}/~embed/embed_{name}")
        yield from named(module.label_unembeds[place], f"{root}/embedder_{number}/~unembed/unembed_{name}")
        table = module.label_positions[place].table
        yield from named(table, f"{root}/position_encoder_{number}/pos_emb_mae_{name}")
    yield from _blocks(module, f"{root}/perceiver_block")
    if module.label_head is not None:
        yield from named(module.label_head, f"{root}/reconstruction_head/hi_p_cross_attention")
    # The labels' head is made first, even where there are no labels.
    yield from named(module.head, f"{root}/reconstruction_head_1/hi_p_cross_attention")


def _modalities(module: models.HiP, root: str) -> Iterator[Entry]:
    for number, (place, name) in enumerate(places(module.names).items()):
        yield from named(module.embeds[place], f"{root}/embedder/~embed/embed_{name}")
        yield from named(module.unembeds[place], f"{root}/embedder/~unembed/unembed_{name}")
        positions = module.positions[place]
        yield from named(positions.table, f"{root}/position_encoder/pos_emb_mae_{name}")
        if positions.projection is not None:  # meant to be one for all, but made anew at every call
            linear = numbered("position_encoding_linear", number)
            yield from named(positions.projection, f"{root}/position_encoder/{linear}")


def _blocks(module: models.HiP, name: str) -> Iterator[Entry]:
    for level, block in enumerate(module.blocks):
        yield from named(block, f"{name}_{level}/~")


@named.register
def _(module: HiPBlock, path):
    yield from named(module.latents, f"{path}/hi_p_cross_attention/query_inputs")
    yield from named(module.read, f"{path}/hi_p_cross_attention")
    stack = module.stack
    for index in range(stack.num_layers):
        layer_path = f"{path}/self_attend_id_{index}"
        if stack.scanned:
            for entry in _self_attention(stack.layers, layer_path):
                yield entry._replace(layer=index, shape=entry.shape[1:])
        else:
            yield from _self_attention(stack.layers[index], layer_path)


@named.register
def _(module: GroupedCrossAttention, path):
    if module.skip_projection is not None:
        yield from named(module.skip_projection, f"{path}/pre_attention_residual_linear")
    block = module.block
    yield from _norms(path, block.query_norm, block.kv_norm, block.mlp_norm)
    yield from _attention(block.attention, f"{path}/attention")
    yield from _mlp(block.mlp, f"{path}/dense")


def _self_attention(module: layers.SelfAttentionBlock, path: str) -> Iterator[Entry]:
    yield from _norms(path, module.norm, module.mlp_norm)
    yield from _attention(module.attention, f"{path}/attention")
    yield from _mlp(module.mlp, f"{path}/dense")


def _norms(path: str, *norms: nnx.LayerNorm) -> Iterator[Entry]:
    for number, norm in enumerate(norms):
        yield array(norm.scale, f"{path}/{numbered('layer_norm', number)}/scale")
        yield array(norm.bias, f"{path}/{numbered('layer_norm', number)}/offset")


def _attention(module: layers.Attention, path: str) -> Iterator[Entry]:
    for name in ("query", "key", "value"):
        yield from named(getattr(module, name), f"{path}/{name}_linear")
    yield from named(module.output, f"{path}/attention_output_linear")


def _mlp(module: layers.MLP, path: str) -> Iterator[Entry]:
    yield from named(module.expand, f"{path}/mlp_hidden_linear")
    yield from named(module.contract, f"{path}/mlp_output_linear")
