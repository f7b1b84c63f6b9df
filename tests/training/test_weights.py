"""Weights: round trip, and every way in which they can be wrong."""

import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.training import WeightsError, load_weights, read_about, save_weights


class Net(nnx.Module):
    def __init__(self, *, rngs, width=4):
        self.layers = nnx.data([nnx.Linear(3, width, rngs=rngs)])
        self.norm = nnx.BatchNorm(width, rngs=rngs)


def model(seed, width=4):
    return Net(rngs=nnx.Rngs(seed), width=width)


def arrays(module):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.split(module)[1])]


@pytest.fixture
def path(tmp_path):
    return save_weights(tmp_path / "weights" / "net.safetensors", model(0), {"recipe": "net", "seed": 0})


def test_round_trip(path):
    other = model(1)
    other.norm.mean[...] = jnp.ones(4)
    about = load_weights(path, other)
    for found, expected in zip(arrays(other), arrays(model(0)), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert (about["recipe"], about["bytes"]) == ("net", path.stat().st_size)
    assert read_about(path) == about


def test_a_single_number(tmp_path):
    """Such as the count of batches: it has no axes, and gets none on the way."""

    class Counted(nnx.Module):
        def __init__(self, start):
            self.steps = nnx.BatchStat(jnp.asarray(start))

    path = save_weights(tmp_path / "counted.safetensors", Counted(7), {})
    other = Counted(0)
    load_weights(path, other)
    assert (other.steps.shape, int(other.steps[...])) == ((), 7)


def test_half_precision(tmp_path, path):
    """Two bytes for each number, and read back in the model's own precision."""
    half = save_weights(tmp_path / "half.safetensors", model(0), {"recipe": "net", "seed": 0}, half=True)
    floats = sum(array.size for array in arrays(model(0)) if array.dtype == np.float32)
    assert abs(path.stat().st_size - half.stat().st_size - 2 * floats) <= 16  # the header is padded to 8
    other = model(1)
    load_weights(half, other)
    for found, expected in zip(arrays(other), arrays(model(0)), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected.astype(np.float16).astype(expected.dtype))


def test_too_large_for_half_precision(tmp_path):
    large = model(0)
    large.norm.scale[...] = jnp.full(4, 1e5)
    with pytest.raises(ValueError, match=r"in half precision.*norm\.scale"):
        save_weights(tmp_path / "large.safetensors", large, {}, half=True)
    assert not list(tmp_path.iterdir())


def test_a_module_that_is_kept_elsewhere(path, tmp_path):
    part = save_weights(tmp_path / "part.safetensors", model(0), {}, without=("layers.0",))
    assert part.stat().st_size < path.stat().st_size
    other = model(1)
    before = np.asarray(other.layers[0].kernel[...])
    other.norm.mean[...] = jnp.ones(4)
    load_weights(part, other, without=("layers.0",))
    np.testing.assert_array_equal(other.layers[0].kernel[...], before)
    np.testing.assert_array_equal(other.norm.mean[...], np.zeros(4))
    with pytest.raises(WeightsError, match="layers.0.kernel is missing"):
        load_weights(part, other)
    with pytest.raises(WeightsError, match="layers.0.kernel is not part of the model"):
        load_weights(path, other, without=("layers.0",))


def test_same_model_same_bytes(path, tmp_path):
    again = save_weights(tmp_path / "again.safetensors", model(0), {"recipe": "net", "seed": 0})
    assert again.read_bytes() == path.read_bytes()


def unchanged_by(path, module, said):
    before = arrays(module)
    with pytest.raises(WeightsError, match=said) as error:
        load_weights(path, module)
    assert path.stem in str(error.value)
    for now, then in zip(arrays(module), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_another_model(path):
    unchanged_by(
        path, model(1, width=5), r"weights of another model.*float32\(3, 4\) where the model has float32\(3, 5\)"
    )


def test_corrupt(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    unchanged_by(path, model(1), "does not have the sha256")


def test_missing_parts(path):
    about = path.with_suffix(".json").read_bytes()
    path.with_suffix(".json").unlink()
    unchanged_by(path, model(1), "cannot be read")
    path.with_suffix(".json").write_bytes(about)
    path.unlink()
    unchanged_by(path, model(1), "cannot be read")


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps({"w": [1.0]}), b"\x00" * 64])
def test_foreign_files(path, content):
    """Even with a sha256 that fits."""
    import hashlib

    path.write_bytes(content)
    path.with_suffix(".json").write_text(json.dumps({"sha256": hashlib.sha256(content).hexdigest()}))
    unchanged_by(path, model(1), "is not a safetensors file")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"sha256": 3}'])
def test_foreign_descriptions(path, content):
    path.with_suffix(".json").write_text(content)
    unchanged_by(path, model(1), "json")


def test_what_is_not_saved(tmp_path):
    broken = model(0)
    broken.layers[0].kernel[...] = jnp.full((3, 4), jnp.nan)
    with pytest.raises(ValueError, match=r"not finite and were not saved: layers.0.kernel"):
        save_weights(tmp_path / "net.safetensors", broken, {})
    with pytest.raises(ValueError, match=r"ending in .safetensors, got .*net.npz"):
        save_weights(tmp_path / "net.npz", model(0), {})
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="could not be written"):
        save_weights(tmp_path / "file" / "net.safetensors", model(0), {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]
