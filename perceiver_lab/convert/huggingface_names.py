"""Which parameter of the Perceiver IO release is which parameter of Hugging Face's `transformers`.

Both name the same arrays; the six published models are six classes there. PyTorch stores a linear layer as (out, in)
and a convolution as (out, in, height, width). Our own names come in through those of the release (`haiku_names`).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped


class Translation(NamedTuple):
    """Where an array of the release is in `transformers`.

    Attributes:
      name: there.
      axes: order of the release's axes there; None for the same array without its axes of length one.
    """

    name: str
    axes: tuple[int, ...] | None

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape there of an array that has this shape in the release."""
        return shape[-1:] if self.axes is None else tuple(shape[axis] for axis in self.axes)

    def forth(self, array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
        """From the release's layout to PyTorch's."""
        return array.reshape(self.shape(array.shape)) if self.axes is None else array.transpose(self.axes)

    def back(self, array: Shaped[np.ndarray, "..."], shape: tuple[int, ...]) -> Shaped[np.ndarray, "..."]:
        """From PyTorch's layout to the release's, where the array has this shape."""
        return array.reshape(shape) if self.axes is None else array.transpose(np.argsort(self.axes))


class Architecture(NamedTuple):
    """The names of one published model.

    Attributes:
      decoder: the release's name of the decoder's only cross-attention block, and that of `transformers`.
      modules: the same for linear layers, convolutions and norms, whose arrays are called w, b, scale and offset.
      arrays: the same for single arrays.
    """

    decoder: tuple[str, str]
    modules: dict[str, str]
    arrays: dict[str, str]


_INPUT, _DECODER = "perceiver.input_preprocessor", "perceiver.decoder"
_CLASSES, _FLOW, _MODALITIES = (f"{kind}_decoder" for kind in ("classification", "flow", "multimodal"))


def _image_classifier(modules: dict[str, str], arrays: dict[str, str]) -> Architecture:
    basic, theirs = f"{_CLASSES}/~/basic_decoder", f"{_DECODER}.decoder"
    queries = f"{basic}/~/trainable_position_encoding/pos_embs"
    return Architecture(
        (f"{basic}/cross_attention", f"{theirs}.decoding_cross_attention"),
        modules | {f"{basic}/output": f"{theirs}.final_layer"},
        arrays | {queries: f"{theirs}.output_position_encodings.position_embeddings"},
    )


_CONV = "image_preprocessor/~/conv2_d_downsample/~"
_POSITIONS = "image_preprocessor/~_build_network_inputs"
_NORM = f"{_INPUT}.convnet.batchnorm"

ARCHITECTURES = {
    "PerceiverForImageClassificationFourier": _image_classifier({}, {}),
    "PerceiverForImageClassificationLearned": _image_classifier(
        {
            "image_preprocessor/~/conv2_d": f"{_INPUT}.convnet_1x1",
            f"{_POSITIONS}/position_encoding_projector/linear": f"{_INPUT}.positions_projection",
        },
        {f"{_POSITIONS}/trainable_position_encoding/pos_embs": f"{_INPUT}.position_embeddings.position_embeddings"},
    ),
    "PerceiverForImageClassificationConvProcessing": _image_classifier(
        {f"{_CONV}/conv": f"{_INPUT}.convnet.conv", f"{_CONV}/batchnorm": _NORM},
        {
            f"{_CONV}/batchnorm/~/mean_ema/average": f"{_NORM}.running_mean",
            f"{_CONV}/batchnorm/~/var_ema/average": f"{_NORM}.running_var",
        },
    ),
    "PerceiverForMaskedLM": Architecture(
        ("basic_decoder/cross_attention", f"{_DECODER}.decoding_cross_attention"),
        {},
        {
            "embed/embeddings": f"{_INPUT}.embeddings.weight",
            "trainable_position_encoding/pos_embs": f"{_INPUT}.position_embeddings.weight",
            "basic_decoder/~/trainable_position_encoding/pos_embs": (
                f"{_DECODER}.output_position_encodings.position_embeddings"
            ),
            "embedding_decoder/bias": "embedding_decoder.bias",
        },
    ),
    "PerceiverForOpticalFlow": Architecture(
        (f"{_FLOW}/~/basic_decoder/cross_attention", f"{_DECODER}.decoder.decoding_cross_attention"),
        {
            "image_preprocessor/patches_linear": f"{_INPUT}.conv_after_patches",
            f"{_FLOW}/~/basic_decoder/output": f"{_DECODER}.decoder.final_layer",
        },
        {},
    ),
    "PerceiverForMultimodalAutoencoding": Architecture(
        (f"{_MODALITIES}/~/basic_decoder/cross_attention", f"{_DECODER}.decoder.decoding_cross_attention"),
        {
            f"{_MODALITIES}/~/basic_decoder/output": f"{_DECODER}.decoder.final_layer",
            **{
                f"{ours}_postprocessor/linear": f"perceiver.output_postprocessor.modalities.{name}.classifier"
                for ours, name in (("audio", "audio"), ("projection", "image"), ("classification", "label"))
            },
        },
        {
            f"{_CLASSES}/~/basic_decoder/~/trainable_position_encoding/pos_embs": (
                f"{_DECODER}.modalities.label.decoder.output_position_encodings.position_embeddings"
            ),
            **{
                ours.format(name): f"{theirs}.{name}"
                for name in ("audio", "image", "label")
                for ours, theirs in (
                    ("multimodal_preprocessor/{}_padding/pos_embs", f"{_INPUT}.padding"),
                    ("multimodal_preprocessor/{}_mask_token/pos_embs", f"{_INPUT}.mask"),
                    ("multimodal_decoder/~decoder_query/{}_padding/pos_embs", f"{_DECODER}.padding"),
                )
            },
        },
    ),
}

_ATTENTION = {
    "attention/linear": "attention.self.query",
    "attention/linear_1": "attention.self.key",
    "attention/linear_2": "attention.self.value",
    "attention/linear_3": "attention.output.dense",
    "mlp/linear": "mlp.dense1",
    "mlp/linear_1": "mlp.dense2",
    "layer_norm": "attention.self.layernorm1",
}
_SELF = _ATTENTION | {"layer_norm_1": "layernorm"}
_CROSS = _ATTENTION | {"layer_norm_1": "attention.self.layernorm2", "layer_norm_2": "layernorm"}
_LEAVES = {"w": "weight", "b": "bias", "scale": "weight", "offset": "bias"}
_ENCODER = re.compile(r"(?:perceiver_)?encoder/~/(cross|self)_attention(?:_(\d+))?/(.+)")
_LATENTS = re.compile(r"(?:perceiver_)?encoder/~/trainable_position_encoding/pos_embs")


def is_derived(name: str) -> bool:
    """Whether an array of the release has no twin there, but follows from others: sums and counters of batch norm."""
    return re.search(r"batchnorm/~/(mean|var)_ema/(hidden|counter)$", name) is not None


def translate(name: str, shape: tuple[int, ...], architecture: Architecture) -> Translation | None:
    """Where an array of the release is; None if that architecture has no place for it.

    Args:
      name: of the array in the release.
      shape: of it there.
      architecture: one of `ARCHITECTURES`.
    """
    if _LATENTS.fullmatch(name):
        return Translation("perceiver.embeddings.latents", tuple(range(len(shape))))
    if name in architecture.arrays:
        average = name.endswith("_ema/average")
        return Translation(architecture.arrays[name], None if average else tuple(range(len(shape))))
    path, _, leaf = name.rpartition("/")
    module = _module(path, architecture)
    if module is None or leaf not in _LEAVES:
        return None
    axes = {("w", 2): (1, 0), ("w", 4): (3, 2, 0, 1), ("scale", 4): None, ("offset", 4): None}
    return Translation(f"{module}.{_LEAVES[leaf]}", axes.get((leaf, len(shape)), tuple(range(len(shape)))))


def _module(path: str, architecture: Architecture) -> str | None:
    if path in architecture.modules:
        return architecture.modules[path]
    ours, theirs = architecture.decoder
    if path.startswith(f"{ours}/"):
        part = _CROSS.get(path.removeprefix(f"{ours}/"))
        return None if part is None else f"{theirs}.{part}"
    found = _ENCODER.fullmatch(path)
    if found is None:
        return None
    kind, number, part = found.groups()
    if kind == "self":
        return f"perceiver.encoder.self_attends.{number or 0}.{_SELF[part]}" if part in _SELF else None
    # There, inputs are read once.
    return f"perceiver.encoder.cross_attention.{_CROSS[part]}" if number is None and part in _CROSS else None


def architecture_of(shapes: dict[str, tuple[int, ...]]) -> tuple[str, dict[str, Translation]]:
    """The class of `transformers` for a model, and where each of its arrays is there.

    Args:
      shapes: name of the release -> shape, of every array of the model; see `haiku_shapes`.

    Returns:
      (class, name of the release -> translation); derived arrays are left out.

    Raises:
      ValueError: none of the six classes has exactly these parts.
    """
    wanted = [name for name in shapes if not is_derived(name)]
    found = {}
    for kind, architecture in ARCHITECTURES.items():
        translations = {name: translate(name, shapes[name], architecture) for name in wanted}
        missing = [name for name in _own(architecture) if name not in _paths(wanted)]
        surplus = [name for name, translation in translations.items() if translation is None]
        if not missing and not surplus:
            return kind, translations
        found[kind] = missing + surplus
    nearest = min(found, key=lambda kind: len(found[kind]))
    parts = ", ".join(found[nearest][:4]) + (" and more" if len(found[nearest]) > 4 else "")
    raise ValueError(
        f"Hugging Face's transformers has no class for this model. The nearest is {nearest}, which differs in {parts}. "
        "Only models of the six published kinds can be converted, with one read and shared blocks."
    )


def _own(architecture: Architecture) -> list[str]:
    return [*architecture.modules, *architecture.arrays]


def _paths(names: Iterable[str]) -> set[str]:
    return {part for name in names for part in (name, name.rpartition("/")[0])}
