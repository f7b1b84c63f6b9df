"""Random weights that the fixtures' script and the tests draw alike, so that no fixture has to hold them."""

import hashlib
import math
import zlib
from collections.abc import Mapping

import numpy as np


def draw(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Every array of a model of `transformers`, none of them constant; the same numbers on every machine."""
    return {name: _array(name, tuple(shape)) for name, shape in shapes.items()}


def sha256(arrays: Mapping[str, np.ndarray]) -> str:
    """Of names and bytes, in alphabetical order."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in [-1, 1); the raw bits of PCG64 are what NumPy promises to keep."""
    bits = np.random.PCG64(zlib.crc32(name.encode())).random_raw(math.prod(shape))
    return ((bits >> np.uint64(40)).astype(np.float32) / 2**23 - 1).reshape(shape).astype(np.float32)


def _array(name, shape):
    if name.endswith("num_batches_tracked"):
        return np.asarray(7, np.int64)
    values = uniform(name, shape)
    if name.endswith("running_var") or (name.endswith(".weight") and len(shape) == 1):
        return 1 + values / 2
    if name.endswith(".weight") and not name.endswith("embeddings.weight"):
        return values * np.float32((3 / math.prod(shape[1:])) ** 0.5)
    return values / 2
