"""Which variable of ours is which parameter of Perceiver AR's release (Haiku; 2202.07765)."""

from flax import nnx

from perceiver_lab import adapters, layers, models
from perceiver_lab.convert.haiku_entries import Entry, array, named, named_stack, numbered, under


@named.register
def _(module: models.PerceiverAR, path):
    root = under(path, "perceiver_ar")
    yield from named(module.input_adapter, f"{root}/~")
    yield from named(module.query, f"{root}/~/linear")
    yield from named(module.reader, f"{root}/~/cross_attention")
    yield from named_stack(module.stack, f"{root}/~/self_attention", first=0)
    yield from named(module.norm, f"{root}/layer_norm")
    yield from named(module.output, f"{root}/~/logits")


@named.register
def _(module: adapters.TokenInput, path):
    yield array(module.embedding, f"{path}/embed/embeddings")
    for number, table in enumerate(module.positions, start=1):
        name = f"{path}/embed_{number}/embeddings"
        if isinstance(table, layers.SinusoidalPositions):
            # A parameter in the release, which nothing ever changes.
            yield Entry(name, None, None, (table.shape[0], table.num_channels), fixed=table)
        else:
            yield array(table.table, name)


@named.register
def _(module: layers.CausalCrossAttentionBlock, path):
    yield from _block(module, (module.query_norm, module.kv_norm, module.mlp_norm), path)


@named.register
def _(module: layers.CausalSelfAttentionBlock, path):
    yield from _block(module, (module.norm, module.mlp_norm), path)


def _block(module: nnx.Module, norms, path):
    for number, norm in enumerate(norms):
        yield from named(norm, f"{path}/{numbered('layer_norm', number)}")
    yield from named(module.attention, f"{path}/attention")
    yield from named(module.mlp.expand, f"{path}/dense/linear")
    yield from named(module.mlp.contract, f"{path}/dense/linear_1")
