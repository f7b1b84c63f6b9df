"""Files about positions and patches, whose outputs are named by what they hold."""

import re

import jax
import numpy as np
from flax import nnx

from perceiver_lab import ops
from perceiver_lab.layers import LearnedPositions, ProjectedPositions
from tests.parity import perceiver_io_parts as parts
from tests.parity.vectors import Options, Unsupported, Vectors

PUBLISHED = 50  # from this resolution on, float32 phases show


def single_encoding(options: Options) -> nnx.Module:
    """A position encoding whose options stand beside each other."""
    kind, grid = options.take("type"), parts.as_tuple(options.take("grid"))
    if kind == "fourier":
        given = {"bands": options.take("bands"), "max_resolution": options.take("max_resolution", None)}
        for name, default in (("include_coordinates", True), ("sine_only", False)):
            given[name] = options.take(name, default)
        encoding = parts.fourier_encoding(Options(given, "fourier"), grid)
    elif kind == "trainable":
        options.take("init_std", None)
        encoding = LearnedPositions(grid, options.take("channels", 128), rngs=parts.RNGS)
    else:
        raise Unsupported(f"position type {kind!r} cannot be built.")
    width = options.take("position_projection", None)
    return ProjectedPositions(encoding, width, rngs=parts.RNGS) if width and width > 0 else encoding


def fourier(vectors: Vectors, options: Options) -> dict[str, np.ndarray]:
    """Every case, the explicit positions, and the plain coordinates."""
    computed = {}
    for case in options.take("cases", []):
        key, encoding, coordinates = _case(vectors, dict(case))
        features = jax.jit(encoding.__call__)(coordinates)
        expected = vectors.expected.get(key)
        batched = features if features.ndim == 3 else features[None]
        computed[key] = batched[0] if expected is not None and expected.ndim == 2 else batched
    if options.take("explicit", None) is not None:
        given = options.inside("explicit")
        encoding = parts.fourier_encoding(given, parts.as_tuple(given.take("grid")))
        features = jax.jit(encoding.__call__)(vectors.inputs["explicit_pos"])
        computed |= {key: features for key in vectors.expected if key.startswith("output/explicit_pos")}
    for key in vectors.expected:
        if match := re.fullmatch(r"output/linear_positions_([\dx]+)", key):
            shape = tuple(map(int, match[1].split("x")))
            computed[key] = ops.grid_coordinates(shape).reshape(*shape, len(shape))
    return computed


def _case(vectors, case):
    """Key of the output, encoding, and coordinates of the rows that the file holds (None for all)."""
    given = Options(case, f"{vectors.name}, case {case}")
    name, path = given.take("name", None), given.take("path", "full")
    key = f"output/{given.take('key', name)}"
    grid = parts.as_tuple(given.take("grid"))
    encoding = parts.fourier_encoding(given, grid)
    rows = vectors.inputs.get(f"rows_{name}", vectors.inputs.get(f"rows_{key.removeprefix('output/')}"))
    if rows is None:
        return key, encoding, None
    # The release has two sets of coordinates: of the whole grid, and of cells that are asked for one by one.
    if "sub" in path:
        return key, encoding, ops.release_coordinates(rows, grid)[None]
    return key, encoding, ops.grid_coordinates(grid)[rows][None]


def fourier_tolerance(vectors: Vectors, key: str) -> float:
    """5e-4 at published resolutions, 2e-2 for sound, whose phases go up to 15,360 half-turns."""
    for case in vectors.config.get("cases", ()):
        if key == f"output/{case.get('key', case.get('name'))}":
            resolution = case.get("max_resolution") or case["grid"]
            largest = max(parts.as_tuple(resolution))
            return 0.0 if largest < PUBLISHED else 2e-2 if len(parts.as_tuple(resolution)) == 1 else 5e-4
    return 0.0


def space_to_depth(vectors: Vectors, options: Options) -> dict[str, np.ndarray]:
    """The name of an output says what was done to which input."""
    inputs = vectors.inputs
    computed = {}
    for key in vectors.expected:
        name = key.removeprefix("output/")
        if match := re.fullmatch(r"(\w+?)(?:_t(\d+))?_s(\d+)", name):
            computed[key] = ops.space_to_depth(inputs[match[1]], int(match[3]), int(match[2] or 1))
        elif match := re.fullmatch(r"(\w+)_extract_(\d+)x(\d+)_stride(\d+)x(\d+)_rate(\d+)x(\d+)_(SAME|VALID)", name):
            numbers = [int(number) for number in match.groups()[1:7]]
            sizes, strides, rates = numbers[:2], numbers[2:4], numbers[4:]
            computed[key] = ops.extract_patches(
                inputs[match[1]], tuple(sizes), strides=tuple(strides), rates=tuple(rates), padding=match[8]
            )
        elif name == "patches_for_flow":
            frames = inputs["flow_pair"]
            patches = ops.extract_patches(frames.reshape(-1, *frames.shape[2:]), (3, 3))
            computed[key] = patches.reshape(*frames.shape[:2], *patches.shape[1:])
    return computed
