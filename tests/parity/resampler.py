"""The files of the released resamplers and gated layers: from their `config`, with the presets' choices."""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab.convert import load_resampler
from perceiver_lab.models.gated import GatedCrossAttention
from perceiver_lab.models.resampler import Resampler, ResamplerLayer
from perceiver_lab.ops.media import image_mask, images_so_far
from perceiver_lab.presets import resampler as presets
from tests.drawn import drawn
from tests.parity.vectors import Options, Unsupported, Vectors, as_one_program

ACTIVATIONS = {
    "gelu": "gelu_exact",
    "gelu_erf": "gelu_exact",
    "gelu_tanh": "gelu",
    "relu": "relu",
    "silu": "silu",
    "squared_relu": "squared_relu",
}


def outputs(vectors: Vectors) -> dict[str, np.ndarray]:
    """Everything that can be computed for this file, under the file's own keys."""
    options = Options(vectors.config, vectors.name)
    source = options.take("source")
    for words, run in _SOURCES.items():
        if all(word in source for word in words):
            computed, module = run(vectors, options)
            _check_count(module, options, vectors.name)
            options.done()
            return computed
    raise Unsupported(f"{vectors.name}: nothing here builds the source {source!r}; what is built: {list(_SOURCES)}.")


def tolerance(vectors: Vectors, key: str, expected: np.ndarray) -> float:
    return 3e-5


def _flamingo_pytorch(vectors, options):
    config = dataclasses.replace(
        presets.FLAMINGO_PYTORCH, **_numbered_sizes(options), max_frames=options.take("num_media_embeds", 4)
    )
    return _resample(vectors, config, "flamingo_pytorch", vectors.inputs["media"])


def _open_flamingo(vectors, options):
    tables = {"max_frames": options.take("max_num_frames", None), "max_media": options.take("max_num_media", None)}
    config = dataclasses.replace(presets.OPEN_FLAMINGO, **_numbered_sizes(options), **tables)
    return _resample(vectors, config, "open_flamingo", vectors.inputs["media"])


def _idefics(vectors, options):
    width, inner = options.take("embed_dim"), options.take("intermediate")
    if inner % width:
        raise Unsupported(f"{vectors.name}: intermediate={inner!r} is no multiple of embed_dim={width}.")
    config = dataclasses.replace(
        presets.IDEFICS,
        latent_channels=width,
        num_latents=options.take("n_latents"),
        num_layers=options.take("depth"),
        num_heads=options.take("n_heads"),
        head_dim=options.take("head_dim"),
        widening_factor=inner // width,
        activation=_activation(options, "activation", "relu"),
        head_norm=options.take("qk_layer_norms", False),
    )
    return _resample(vectors, config, "idefics", vectors.inputs["context"])


def _numbered_sizes(options):
    return {
        "latent_channels": options.take("dim"),
        "num_latents": options.take("num_latents"),
        "num_layers": options.take("depth"),
        "num_heads": options.take("heads"),
        "head_dim": options.take("dim_head"),
        "widening_factor": options.take("ff_mult", 4),
        "activation": _activation(options, "activation", "gelu_erf"),
    }


def _activation(options, name, default):
    value = options.take(name, default)
    if value not in ACTIVATIONS:
        raise Unsupported(f"{name}={value!r} cannot be built; only {sorted(ACTIVATIONS)} can.")
    return ACTIVATIONS[value]


def _resample(vectors, config, source, media):
    module = drawn(lambda: Resampler(config, rngs=nnx.Rngs(0)))
    load_resampler(module, vectors.params, source=source)
    names = ("blocks.{}.0", "blocks.{}.1") if source == "idefics" else ("layers.{}.0", "layers.{}.1")
    out, parts = _heard(module, media)
    computed = {"output/out": out}
    for number, part in enumerate(parts):
        computed[f"output/intermediate/{names[number % 2].format(number // 2)}"] = part.reshape(out.shape)
    if "output/out_rank3_first_media" in vectors.expected:
        computed["output/out_rank3_first_media"] = as_one_program(
            lambda module, media: module(media), module, media[:, 0]
        )
    return computed, module


def _heard(module, media):
    """What comes out, and what each layer adds, from one program."""

    def call(module, media):
        with _listening() as parts:
            return module(media), parts

    return as_one_program(call, module, media)


@contextlib.contextmanager
def _listening():
    """What each layer adds by attention and by its MLP, in order."""
    parts, originals = [], (ResamplerLayer.read, ResamplerLayer.think)

    def listen(method):
        def call(*arguments, **options):
            parts.append(method(*arguments, **options))
            return parts[-1]

        return call

    ResamplerLayer.read, ResamplerLayer.think = (listen(method) for method in originals)
    try:
        yield parts
    finally:
        ResamplerLayer.read, ResamplerLayer.think = originals


def _gated_flamingo(preset, source):
    def run(vectors, options):
        text, media = vectors.inputs["text"], vectors.inputs["media"]
        width = options.take("dim")
        config = dataclasses.replace(
            preset,
            channels=width,
            media_channels=options.take("dim_visual", width),
            num_heads=options.take("heads"),
            head_dim=options.take("dim_head"),
            widening_factor=options.take("ff_mult", 4),
            activation=_activation(options, "activation", "gelu_erf"),
        )
        module = drawn(lambda: GatedCrossAttention(config, rngs=nnx.Rngs(0)))
        load_resampler(module, vectors.params, source=source)
        markers = vectors.inputs["media_locations"] != 0
        return as_one_program(_flamingo_calls, module, text, media, markers), module

    return run


def _flamingo_calls(module, text, media, markers):
    """Each way in which the layer may read images, in one program."""
    phi, images = images_so_far(markers), media.shape[1]
    total = markers.sum(axis=1, keepdims=True)

    def masked(phi, attend):
        # There, text that announces more images than there are sees what one before all images sees.
        return jnp.where((phi <= images)[..., None], image_mask(jnp.minimum(phi, images), images, attend=attend), 0)

    def immediate(text, phi):
        return module(text, media, mask=masked(phi, "last") != 0, reads=phi > 0)

    first = immediate(text, phi)
    every = image_mask(jnp.minimum(phi, images), images, attend="previous")
    return {
        "output/out": first,
        "output/out_immediate": first,
        "output/out_no_locations": module(text, media),
        "output/out_all_previous": module(text, media, mask=every),
        "output/out_cached_last_token": immediate(text[:, -1:], total),
    }


def _gated_idefics(vectors, options):
    inputs = dict(vectors.inputs)
    allow, reads = inputs.pop("allow"), inputs.pop("cross_attention_gate") != 0
    width, media_width = options.take("hidden"), options.take("vision")
    text, media = _text_and_media(inputs, (width, media_width), reads.shape[1], vectors.name)
    heads = options.take("n_heads", None) or options.take("heads")
    alpha = options.take("alpha_type", "float")
    if alpha not in ("float", "scalar", "vector"):
        raise Unsupported(f"{vectors.name}: alpha_type={alpha!r} cannot be built.")
    config = dataclasses.replace(
        presets.IDEFICS_GATED,
        channels=width,
        media_channels=media_width,
        num_heads=heads,
        head_dim=options.take("head_dim", width // heads),
        activation=_activation(options, "hidden_act", "silu"),
        norm_epsilon=options.take("rms_eps", 1e-6),
        head_norm=options.take("qk_layer_norms", False),
        gated_mlp_channels=options.take("intermediate"),
        vector_gates=alpha == "vector",
    )
    module = drawn(lambda: GatedCrossAttention(config, rngs=nnx.Rngs(0)))
    load_resampler(module, vectors.params, source="idefics")
    mask = allow[:, 0] if allow.ndim == 4 else allow
    mask = np.repeat(np.asarray(mask) != 0, media.shape[1] // mask.shape[-1], axis=-1)
    # Each row of media is masked on its own: as many images of one token.

    def call(module, text, media, mask, reads):
        return module(text, media, mask=mask, reads=reads)

    return {"output/out": as_one_program(call, module, text, media[:, :, None], mask, reads)}, module


def _text_and_media(inputs, widths, length, name):
    """The two arrays that are left, told apart by name or by width and length."""
    for text, media in (("text", "media"), ("hidden_states", "image_hidden_states"), ("x", "media")):
        if {text, media} == set(inputs):
            return inputs[text], inputs[media]
    fits = [
        (text, media)
        for text in inputs.values()
        for media in inputs.values()
        if text is not media and (text.shape[-1], media.shape[-1]) == widths and text.shape[1] == length
    ]
    if len(fits) != 1:
        raise Unsupported(f"{name}: which of the inputs {sorted(inputs)} is the text and which the media?")
    return fits[0]


def _check_count(module, options, name):
    count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(module, nnx.Param)))
    said = options.take("num_params", count)
    assert count == said, f"{name}: {count} parameters instead of {said}"


_SOURCES = {
    ("flamingo-pytorch", "Resampler"): _flamingo_pytorch,
    ("open-flamingo", "Resampler"): _open_flamingo,
    ("transformers", "IdeficsPerceiverResampler"): _idefics,
    ("flamingo-pytorch", "Gated"): _gated_flamingo(presets.FLAMINGO_PYTORCH_GATED, "flamingo_pytorch"),
    ("open-flamingo", "Gated"): _gated_flamingo(presets.OPEN_FLAMINGO_GATED, "open_flamingo"),
    ("transformers", "Idefics", "Gated"): _gated_idefics,
}
