"""Parameters of the published models as Hugging Face's `transformers` keeps them, into our models and back.

Both sides are mappings from name to array, as the `safetensors` package reads and writes them; `transformers` and
PyTorch are not needed. Names: `huggingface_names`. Equal parameters give equal outputs, with these exceptions:

- GELU: theirs is the exact one unless config.json says "gelu_pytorch_tanh", as ours does; the published models were
  trained with the tanh form. Up to 3e-3 on logits.
- The learned-position classifier: their decoder adds the query to what it reads. Our preset follows the released
  notebook and does not.
- The convolutional classifier: they pad the convolution (3, 3) and not the pool, the release pads as TensorFlow's SAME,
  so that they have 55 x 55 tokens instead of 56 x 56.
- Masked language: padded positions, because they ignore the query mask; valid positions agree.
- Optical flow: they take ready-made patches, channels first, and leave out the factor of 20 after the decoder.
- Audio, video and label: the sound's Fourier features reach phases of 48,000, of which float32 keeps 1e-2 at best, and
  the two libraries round them differently. At full size the outputs, up to 19, differ by 4e-4.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import nnx

from perceiver_lab.convert.haiku import check_arrays, haiku_shapes, load_haiku, to_haiku
from perceiver_lab.convert.huggingface_names import Translation, architecture_of, is_derived
from perceiver_lab.layers import BatchNorm

_COUNTED = "num_batches_tracked"
_NORM = "perceiver.input_preprocessor.convnet.batchnorm"
_MANY_STEPS = 200  # from here on, 1 - DECAY**steps is 1 in float32


def load_huggingface(model: nnx.Module, arrays: Mapping[str, Any]) -> None:
    """Put the parameters of a model of `transformers` into one of ours, in place. Either all arrays are set, or none.

    Their batch norm has averages and a count; the sums that ours keeps beside follow from them. A count of zero beside
    averages that are not the initial ones, as some converted files have it, is taken for one that is large.

    Args:
      model: one of the six published kinds, of the same sizes.
      arrays: name there -> array.

    Raises:
      ValueError: names that are missing, names that the model does not have, arrays of another shape: all listed. Or a
        model that `transformers` has no class for.
    """
    shapes = haiku_shapes(model)
    _, translations = find_architecture(model)
    check_arrays(huggingface_shapes(model), arrays, type(model).__name__)
    found = {name: one.back(np.asarray(arrays[one.name]), shapes[name]) for name, one in translations.items()}
    load_haiku(model, found | _derived(shapes, found, int(arrays.get(f"{_NORM}.{_COUNTED}", 0))), {})


def to_huggingface(model: nnx.Module) -> dict[str, np.ndarray]:
    """The parameters of a model under the names, and in the layout, of `transformers`; inverse of `load_huggingface`.

    The sums of batch norm are left out; they come back to within a rounding, and exactly after 200 training steps.

    Raises:
      ValueError: a model that `transformers` has no class for.
    """
    params, state = to_haiku(model)
    given = params | state
    _, translations = find_architecture(model)
    arrays = {one.name: np.ascontiguousarray(one.forth(given[name])) for name, one in translations.items()}
    counters = [array for name, array in given.items() if is_derived(name) and name.endswith("counter")]
    return arrays | {f"{_NORM}.{_COUNTED}": np.asarray(counter, np.int64) for counter in counters}


def huggingface_shapes(model: nnx.Module) -> dict[str, tuple[int, ...]]:
    """The shape of every array under the names of `transformers`. Works on abstract models too."""
    shapes = haiku_shapes(model)
    _, translations = find_architecture(model)
    counted = {f"{_NORM}.{_COUNTED}": () for name in shapes if is_derived(name)}
    return {one.name: one.shape(shapes[name]) for name, one in translations.items()} | counted


def find_architecture(model: nnx.Module) -> tuple[str, dict[str, Translation]]:
    """The class of `transformers` for a model, and where each of its arrays is there; see `architecture_of`.

    Raises:
      ValueError: there is none.
    """
    kind, translations = architecture_of(haiku_shapes(model))
    if len(model.encoder.blocks) > 1:
        raise ValueError(
            f"{kind} of transformers has one block of layers that is run again and again; this model has "
            f"{len(model.encoder.blocks)} with weights of their own (share_weights=False) and cannot be converted."
        )
    return kind, translations


def _derived(shapes, found, steps):
    averages = {name: array for name, array in found.items() if name.endswith("_ema/average")}
    initial = all((array == ("var_ema" in name)).all() for name, array in averages.items())
    steps = steps if steps or initial else _MANY_STEPS
    filled = np.float32(1 - BatchNorm.DECAY**steps)
    values = {}
    for name in filter(is_derived, shapes):
        path, _, kind = name.rpartition("/")
        values[name] = np.int32(steps) if kind == "counter" else found[f"{path}/average"] * filled
    return values
