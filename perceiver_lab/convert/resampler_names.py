"""Which variable of ours is which array of the released resamplers and gated layers.

Three implementations have weights: flamingo-pytorch and open-flamingo, which name their parts by number and keep keys
and values in one matrix, and IDEFICS in Hugging Face's `transformers`. All store a linear layer as (out, in).
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
from flax import nnx

from perceiver_lab.layers import Attention, GatedMLP
from perceiver_lab.models.gated import GatedCrossAttention
from perceiver_lab.models.resampler import Resampler, ResamplerLayer

SOURCES = ("flamingo_pytorch", "open_flamingo", "idefics")


class Entry(NamedTuple):
    """One array of a release.

    Attributes:
      name: there.
      variables: ours, one after the other along the first axis there.
      linear: whether they are kernels, (in, out) here.
      shape: there.
    """

    name: str
    variables: tuple[nnx.Variable, ...]
    linear: bool
    shape: tuple[int, ...]


def entries(module: nnx.Module, source: str) -> list[Entry]:
    """Every array of a resampler or a gated layer, under its name in a release.

    Raises:
      ValueError: an unknown source, a module of another kind, or parts that the release has no names for.
    """
    if source not in SOURCES:
        raise ValueError(f"source={source!r} is unknown; choose one of {', '.join(map(repr, SOURCES))}.")
    tables = {Resampler: (_flamingo, _idefics), GatedCrossAttention: (_flamingo_gated, _idefics_gated)}
    if type(module) not in tables:
        raise ValueError(
            f"There are no released names for a {type(module).__name__}; only for a Resampler and a "
            "GatedCrossAttention. Save others with training.save_weights."
        )
    numbered, named = tables[type(module)]
    found = list(named(module) if source == "idefics" else numbered(module, source))
    _check_complete(module, found, source)
    return found


def _check_complete(module, found, source):
    """A part without a name there would be left as it is, in silence."""
    named = sum(math.prod(variable.shape) for entry in found for variable in entry.variables)
    total = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(module, nnx.Param)))
    if named != total:
        raise ValueError(
            f"{source} has no names for {total - named} of the {total} parameters of this {type(module).__name__}: "
            f"it is not of that kind. The released choices stand in presets.resampler."
        )


def _one(name, variable, shape=None):
    return Entry(name, (variable,), False, tuple(variable.shape) if shape is None else shape)


def _linear(name, *modules):
    inputs = modules[0].kernel.shape[0]
    kernels = tuple(module.kernel for module in modules)
    return Entry(name, kernels, True, (sum(kernel.shape[1] for kernel in kernels), inputs))


def _norm(path, norm) -> Iterator[Entry]:
    yield _one(f"{path}.weight", norm.scale)
    if isinstance(norm, nnx.LayerNorm):
        yield _one(f"{path}.bias", norm.bias)


# --- flamingo-pytorch and open-flamingo -----------------------------------------------------------------------------


def _flamingo(module: Resampler, source: str) -> Iterator[Entry]:
    yield _one("latents", module.latents.table)
    times = module.times
    if source == "flamingo_pytorch" and times.frames is not None:
        yield _one("media_pos_emb", times.frames.table, _with_axis(times.frames.table))
    if source == "open_flamingo":
        if times.frames is not None:
            yield _one("frame_embs", times.frames.table)
        if times.media is not None:
            yield _one("media_time_embs", times.media.table, _with_axis(times.media.table))
    for number, layer in enumerate(module.layers):
        yield from _norm(f"layers.{number}.0.norm_media", layer.media_norm)
        yield from _norm(f"layers.{number}.0.norm_latents", layer.latent_norm)
        yield from _joined_attention(f"layers.{number}.0", layer.attention)
        yield from _numbered_mlp(f"layers.{number}.1", layer)
    if module.norm is not None:
        yield from _norm("norm", module.norm)


def _flamingo_gated(module: GatedCrossAttention, source: str) -> Iterator[Entry]:
    yield _one("attn_gate", module.attention_gate)
    yield _one("ff_gate", module.mlp_gate)
    yield from _norm("attn.norm", module.text_norm)
    yield from _joined_attention("attn", module.attention)
    yield from _numbered_mlp("ff", module)


def _joined_attention(path: str, attention: Attention) -> Iterator[Entry]:
    yield _linear(f"{path}.to_q.weight", attention.query)
    yield _linear(f"{path}.to_kv.weight", attention.key, attention.value)
    yield _linear(f"{path}.to_out.weight", attention.output)


def _numbered_mlp(path: str, module: ResamplerLayer | GatedCrossAttention) -> Iterator[Entry]:
    """Norm, linear, activation, linear: numbers 0, 1 and 3 have parameters."""
    yield from _norm(f"{path}.0", module.mlp_norm)
    yield _linear(f"{path}.1.weight", module.mlp.expand)
    yield _linear(f"{path}.3.weight", module.mlp.contract)


def _with_axis(table):
    rows, width = table.shape
    return rows, 1, width


# --- IDEFICS --------------------------------------------------------------------------------------------------------


def _idefics(module: Resampler) -> Iterator[Entry]:
    yield _one("latents", module.latents.table)
    for number, layer in enumerate(module.layers):
        path = f"blocks.{number}.0"
        yield from _norm(f"{path}.context_layer_norm", layer.media_norm)
        yield from _norm(f"{path}.latents_layer_norm", layer.latent_norm)
        yield from _named_attention(path, layer.attention, "output_proj")
        yield from _norm(f"blocks.{number}.1.ln", layer.mlp_norm)
        yield _linear(f"blocks.{number}.1.fc.weight", layer.mlp.expand)
        yield _linear(f"blocks.{number}.1.c_proj.weight", layer.mlp.contract)
    if module.norm is not None:
        yield from _norm("layer_norm", module.norm)


def _idefics_gated(module: GatedCrossAttention) -> Iterator[Entry]:
    # There a vector of gates has the axes of a batch.
    shape = (1, 1, module.config.channels) if module.config.vector_gates else (1,)
    yield _one("alpha_cross_attn", module.attention_gate, shape)
    yield _one("alpha_dense", module.mlp_gate, shape)
    yield from _norm("input_layernorm", module.text_norm)
    yield from _norm("post_attention_layernorm", module.mlp_norm)
    yield from _named_attention("cross_attn", module.attention, "o_proj")
    if isinstance(module.mlp, GatedMLP):
        yield _linear("mlp.gate_proj.weight", module.mlp.gate)
        yield _linear("mlp.up_proj.weight", module.mlp.expand)
        yield _linear("mlp.down_proj.weight", module.mlp.contract)


def _named_attention(path: str, attention: Attention, output: str) -> Iterator[Entry]:
    yield _linear(f"{path}.q_proj.weight", attention.query)
    yield _linear(f"{path}.k_proj.weight", attention.key)
    yield _linear(f"{path}.v_proj.weight", attention.value)
    yield _linear(f"{path}.{output}.weight", attention.output)
    if attention.query_norm is not None:
        yield from _norm(f"{path}.q_layer_norm", attention.query_norm)
        yield from _norm(f"{path}.k_layer_norm", attention.key_norm)
