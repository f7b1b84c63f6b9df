"""A damaged file is read or refused in words; it never crashes, hangs, fills the memory or runs anything."""

import numpy as np
import pytest
from flax import nnx

from perceiver_lab.convert.pickle_names import CheckpointError
from perceiver_lab.convert.pickles import read_checkpoint
from perceiver_lab.training import WeightsError, load_weights, save_weights
from tests import fuzzing

FILES = 300  # of each kind; `make fuzz` tries many more
NAMES = ("about", "flo", "manifest", "midi", "musicxml", "off", "pickle", "png", "safetensors", "text")


@pytest.fixture
def found(tmp_path):
    return fuzzing.readers(tmp_path)


def test_all_are_tried(found):
    assert tuple(sorted(found)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_good_files_are_read(name, found, tmp_path):
    assert fuzzing.attempt(found[name], iter(found[name].seeds[:1]), tmp_path).accepted == 1


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files(name, found, tmp_path):
    outcome = fuzzing.attempt(found[name], fuzzing.mutations(found[name].seeds, FILES, seed=0), tmp_path)
    assert outcome.files == FILES
    assert outcome.accepted < FILES or name == "text"  # bytes that are no UTF-8 are bytes all the same


def test_weights_are_loaded_whole_or_not_at_all(tmp_path):
    model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    path = save_weights(tmp_path / "a.safetensors", nnx.Linear(3, 2, rngs=nnx.Rngs(1)), {})
    before, content = np.asarray(model.kernel[...]), path.read_bytes()
    for damaged in fuzzing.mutations((content,), 100, seed=2):
        path.write_bytes(damaged)
        if damaged != content:
            with pytest.raises(WeightsError):
                load_weights(path, model)
        np.testing.assert_array_equal(model.kernel[...], before)


@pytest.mark.parametrize("tries", sorted(fuzzing.malicious()))
def test_a_pickle_that_would_run_something(tries, tmp_path):
    path = tmp_path / "bad.pickle"
    path.write_bytes(fuzzing.malicious()[tries])
    reader = fuzzing.Reader((), ".pickle", read_checkpoint)
    assert fuzzing.attempt(reader, iter([path.read_bytes()]), tmp_path).accepted == 0
    with pytest.raises(CheckpointError, match="nothing in the file was run"):
        read_checkpoint(path)


def test_a_reader_that_fails_otherwise_is_found(tmp_path):
    def careless(path):
        return {}[path]

    with pytest.raises(AssertionError, match="damaged.x: KeyError .* does not document"):
        fuzzing.attempt(fuzzing.Reader((), ".x", careless), iter([b"a"]), tmp_path)
    with pytest.raises(AssertionError, match="a file made its reader do os.system"):
        fuzzing.attempt(fuzzing.Reader((), ".x", lambda path: __import__("os").system("true")), iter([b"a"]), tmp_path)
    with pytest.raises(AssertionError, match="MB for 1 bytes"):
        fuzzing.attempt(fuzzing.Reader((), ".x", lambda path: bytearray(2**27)), iter([b"a"]), tmp_path)
