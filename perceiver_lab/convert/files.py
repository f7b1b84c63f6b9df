"""Files of published weights: read in any of three forms, written in two; what `perceiver-lab convert` does.

- .pickle or .pystate of the Perceiver IO release;
- .safetensors of Hugging Face's `transformers`;
- .safetensors of this library, with its .json beside it.

Nothing is downloaded: the source is a file that you have. A target is written only when all of the source fits.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from perceiver_lab import presets
from perceiver_lab.convert.haiku import load_haiku
from perceiver_lab.convert.huggingface import load_huggingface, to_huggingface
from perceiver_lab.convert.huggingface_config import huggingface_config, output_differences
from perceiver_lab.convert.pickle_names import CheckpointError
from perceiver_lab.convert.pickles import read_checkpoint
from perceiver_lab.training import load_weights, save_weights
from perceiver_lab.training.files import file_sha256, json_bytes, write_atomically

PICKLES = (".pickle", ".pkl", ".pystate")
TARGETS = ("perceiver_lab", "huggingface")
RELEASE, HUGGINGFACE, OURS = "Perceiver IO release", "Hugging Face transformers", "perceiver_lab"


class Converted(NamedTuple):
    """What was written: the path of the weights, and what the JSON file beside them says."""

    path: Path
    about: dict[str, Any]


def convert_file(
    source: str | os.PathLike,
    target: str | os.PathLike,
    *,
    preset: str,
    to: str = "perceiver_lab",
    force: bool = False,
) -> Converted:
    """Convert a file of published weights.

    Args:
      source: one of the three forms.
      target: NAME.safetensors; NAME.json beside it says where the weights came from. For "huggingface" a folder, for
        `from_pretrained`: model.safetensors, config.json, and perceiver_lab.json that says where they came from.
      preset: the model whose weights they are; one of `presets.names()`.
      to: "perceiver_lab" or "huggingface".
      force: replace what is there.

    Returns:
      Path and description of what was written.

    Raises:
      ValueError: no such preset; a source of another form or of another model (missing, unknown and misshapen names
        are listed), not finite, or in the target's form already; a target that exists, or that the source is.
      OSError: a file cannot be read or written.
    """
    source, target = Path(source), Path(target)
    if to not in TARGETS:
        raise ValueError(f"to={to!r} is unknown; choose one of {', '.join(TARGETS)}.")
    outputs = _outputs(target, to)
    _check_free(source, outputs, force)
    graphdef, shapes = nnx.split(nnx.eval_shape(lambda: presets.get(preset)(rngs=nnx.Rngs(0))))
    # Zeros, because drawing 200 million numbers that are then replaced would take longer than all the rest.
    model = nnx.merge(graphdef, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes))
    config = huggingface_config(model) if to == "huggingface" else None
    origin = _load(source, model)
    if origin == (HUGGINGFACE if to == "huggingface" else OURS):
        raise ValueError(f"{source} is in the form of {origin} already; there is nothing to convert.")
    about = {
        "origin": origin,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))),
        "preset": preset,
        "source": source.name,
        "source_sha256": file_sha256(source),
    }
    if config is None:
        save_weights(target, model, about)
    else:
        about |= {"differences": list(output_differences(model))}
        _write_huggingface(outputs, model, config, about)
    return Converted(outputs[0], about)


def _outputs(target: Path, to: str) -> tuple[Path, ...]:
    if to == "huggingface":
        if target.suffix == ".safetensors":
            raise ValueError(f"{target}: give a folder for Hugging Face, which wants config.json beside the weights.")
        return tuple(target / name for name in ("model.safetensors", "config.json", "perceiver_lab.json"))
    if target.suffix != ".safetensors":
        raise ValueError(f"{target}: give a file whose name ends in .safetensors.")
    return target, target.with_suffix(".json")


def _check_free(source, outputs, force):
    if source.resolve() in [path.resolve() for path in outputs]:
        raise ValueError(f"{source} would be overwritten by what is made of it. Choose another target.")
    taken = [str(path) for path in outputs if path.exists()]
    if taken and not force:
        raise ValueError(f"{' and '.join(taken)} would be overwritten. Choose another target, or add --force.")


def _load(source: Path, model: nnx.Module) -> str:
    """Fill the model and say in which form its weights were."""
    if source.suffix in PICKLES:
        params, state = read_checkpoint(source)
        _check_finite(source, params | state)
        _named(source, load_haiku, model, params, state)
        return RELEASE
    if source.suffix != ".safetensors":
        raise ValueError(
            f"{source}: weights are read from files that end in {', '.join(PICKLES)} or .safetensors. Give the file "
            "its proper ending."
        )
    arrays = read_safetensors(source)
    if any(name.startswith("perceiver.") for name in arrays):
        _check_finite(source, arrays)
        _named(source, load_huggingface, model, arrays)
        return HUGGINGFACE
    load_weights(source, model)
    return OURS


def read_safetensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """All arrays of a .safetensors file.

    Raises:
      CheckpointError: it is damaged, or holds numbers that NumPy does not have.
      OSError: it cannot be opened.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    with open(path, "rb"):  # says what is wrong with the path in the system's words
        pass
    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is no safetensors file, is damaged, or holds other numbers than NumPy has ({error}). Copy or "
            "download it again; nothing was loaded."
        ) from error


def _named(source, load, *arguments):
    try:
        load(*arguments)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def _check_finite(source, arrays):
    bad = [name for name, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if bad:
        raise ValueError(
            f"{source} holds values that are not finite, as in {bad[0]}: it is damaged. Nothing was written."
        )


def _write_huggingface(outputs, model, config, about):
    from safetensors.numpy import save

    weights, settings, manifest = outputs
    content = save(to_huggingface(model), metadata={"format": "pt"})
    write_atomically(weights, content)
    write_atomically(settings, json_bytes(config))
    # Last, because it vouches for the weights.
    write_atomically(manifest, json_bytes(about | {"sha256": file_sha256(weights), "bytes": len(content)}))
