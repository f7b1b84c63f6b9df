"""Pickled checkpoints: what Haiku writes is read, all else is refused by name, and nothing is ever run."""

import builtins
import collections
import os
import pickle
import random
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from perceiver_lab.convert import CheckpointError, pickles, read_checkpoint

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("haiku_*.pickle"))
PARAMS = {"mlp/linear": {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, np.float32)}}


@pytest.fixture
def read(tmp_path):
    """A function: bytes, or an object to pickle -> checkpoint."""

    def call(content, protocol=4):
        path = tmp_path / "checkpoint.pickle"
        path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
        return read_checkpoint(path)

    return call


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_what_haiku_and_jax_write(path):
    params, state = read_checkpoint(path)
    assert {name: (array.shape, array.dtype.str) for name, array in params.items()} == {
        "encoder/~/linear/w": ((2, 3), "<f4"),
        "encoder/~/linear/b": ((3,), "<f4"),
        "norm/scale": ((2, 3), "<f4"),
        "norm/offset": ((), "|b1"),
    }
    for name in ("encoder/~/linear/w", "norm/scale"):
        np.testing.assert_array_equal(params[name], np.arange(6).reshape(2, 3))
    assert {name: (array.dtype.str, array.tolist()) for name, array in state.items()} == {
        "norm/~/mean_ema/counter": ("<i4", 3),
        "norm/~/mean_ema/average": ("<f8", 2.5),
        "norm/~/mean_ema/hidden": ("<f4", [1.0, 1.0]),
    }


def test_there_is_a_file_of_every_protocol():
    assert [path.stem for path in FIXTURES] == [f"haiku_{number}" for number in range(6)]


@pytest.mark.parametrize("protocol", range(6))
def test_plain_mappings_and_flat_names(read, protocol):
    nested = read(PARAMS, protocol).params
    flat = read({f"mlp/linear/{key}": array for key, array in PARAMS["mlp/linear"].items()}, protocol).params
    for params in (nested, flat):
        assert list(params) == ["mlp/linear/w", "mlp/linear/b"]
        np.testing.assert_array_equal(params["mlp/linear/w"], PARAMS["mlp/linear"]["w"])


def test_names_of_older_versions(read):
    """NumPy before 2 kept its arrays in numpy.core, JAX before 0.4 in device_array."""
    content = next(path for path in FIXTURES if path.stem == "haiku_2").read_bytes()
    old = content.replace(b"numpy._core", b"numpy.core").replace(
        b"jax._src.array\n_reconstruct_array", b"jax._src.device_array\nreconstruct_device_array"
    )
    assert old.count(b"numpy.core.multiarray") == 2
    assert b"device_array" in old
    np.testing.assert_array_equal(read(old).params["norm/scale"], np.arange(6).reshape(2, 3))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("echo run > RAN",), f"{os.system.__module__}.system"),
        (eval, ("open('RAN', 'w')",), "eval"),
        (exec, ("open('RAN', 'w')",), "exec"),
        (getattr, (os, "system"), "getattr"),
        (builtins.open, ("RAN", "w"), "io.open"),
        (np.load, ("RAN",), "numpy.load"),
        (np.fromfile, ("RAN",), "numpy.fromfile"),
        (np.frombuffer, ("RAN",), "numpy.frombuffer"),
        (collections.defaultdict, (int,), "collections.defaultdict"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_calls_are_refused_by_name_and_not_made(read, tmp_path, monkeypatch, protocol, function, arguments, named):
    monkeypatch.chdir(tmp_path)
    arguments = tuple("os" if argument is os else argument for argument in arguments)
    trick = {"mlp/linear": {"w": Calls(function, *arguments)}}
    with pytest.raises(CheckpointError, match=rf"names \S*{named}, which is not allowed.*only mappings from names"):
        read(trick, protocol)
    assert not (tmp_path / "RAN").exists()


INSTANCE = b"(S'echo run > RAN'\nios\nsystem\n."  # the oldest way to make an object


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (INSTANCE, "the instruction"),
        (b"(dios\nsystem\n.", "the instruction INST (os.system)"),
        (b"\x80\x02\x82\x01.", "the instruction EXT1"),
        (b"\x80\x02Pname\n.", "the instruction PERSID (name)"),
        (pickle.dumps(object(), 4), "names builtins.object"),
        (pickle.dumps({"a": [np.ones(2)]}, 4), "the instruction EMPTY_LIST"),
        (pickle.dumps({"a": np.array([{}, None])}, 4), "of the type 'O8'"),
        (pickle.dumps({"a": np.array(["text"])}, 4), "of the type 'U4'"),
        (pickle.dumps({"a": np.ones(2, complex)}, 4), "of the type 'c16'"),
        (pickle.dumps({"a": np.ones(2, [("x", "f4")])}, 4), "of the type 'V4'"),
        (pickle.dumps({"a": np.ma.ones(2)}, 4), "names numpy.ma"),
        (pickle.dumps({"a": 3}, 4), "The entry 'a' is no array"),
        (pickle.dumps({"a": {"b": {"c": np.ones(2)}}}, 4), "The entry 'a/b' is no array"),
        (pickle.dumps({"a/b": {"c": np.ones(2)}, "a": {"b/c": np.zeros(2)}}, 4), "'a/b/c' is there twice"),
        (pickle.dumps({"params": 3}, 4), "something else than a mapping of parameters"),
        (pickle.dumps({1: np.ones(2)}, 4), "a key that is no text"),
        (pickle.dumps(np.ones(2), 4), "something else than a mapping"),
        (pickle.dumps({}, 4) + b"more", "does not end where it should"),
        (pickle.dumps({}, 4)[:-1], "cut off or damaged"),
        (b"", "cut off or damaged"),
        (b"PK\x03\x04 a zip file", "no pickle, or damaged"),
        (b"no pickle at all", "no pickle, or damaged"),
        (b"\x80\x04.", "does not end where it should"),
        (b"\x80\x04\x85.", "takes more than it has put down"),
        (b"\x80\x04u.", "closes what it never opened"),
        (b"\x80\x04h\x07.", "refers to something it does not hold"),
        (b"\x80\x04NNN\x87R.", "takes more than"),
        (b"\x80\x04NNs.", "takes more than"),
        (b"\x80\x04NNNs.", "no mapping"),
        (b"\x80\x04N)R.", "cannot be called"),
        (b"\x80\x04NNb.", "neither an array nor its type"),
        (b"\x80\x04NN\x93.", "names something that is no text"),
        (b"cnumpy\ndtype\n)R.", "calls numpy.dtype with other arguments"),
        (b"ccollections\nOrderedDict\nN\x85R.", "a mapping of something that is none"),
        (b"c_codecs\nencode\nVa\nVutf8\n\x86R.", "bytes that are none"),
        (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nNN\x87R.", "a class that is not NumPy's own"),
        (b"cjax._src.array\n_reconstruct_array\n(cnumpy\ndtype\nVf4\n\x85N}tR.", "no array of NumPy"),
        (b"}\x94Va\nh\x00s.", "The entry 'a/a' is no array"),
        (b"}\x94(Va\n}\x94Vb\nh\x01u.", "one thing under two names"),
        (b"}(Va\n}Va\n}u.", "or is there twice"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value,
)
def test_what_is_no_checkpoint(read, tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        read(content)
    assert said in str(caught.value)
    assert "Nothing was loaded" in str(caught.value)
    assert not (tmp_path / "RAN").exists()


HUGE = 1 << 40


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80\x04\x8e" + HUGE.to_bytes(8, "little") + b"few.", "cut off"),
        (b"\x80\x04\x8d" + HUGE.to_bytes(8, "little") + b"few.", "cut off"),
        (b"\x80\x05\x96" + HUGE.to_bytes(8, "little") + b"few.", "cut off"),
        (b"\x80\x02\x8b" + (1 << 30).to_bytes(4, "little") + b"few.", "cut off"),
        (b"\x80\x04Nr" + b"\xff\xff\xff\xff" + b".", "something else than a mapping"),
        (pickle.dumps({"a": np.zeros(7, np.int8)}, 4).replace(b"K\x07\x85", b"J\xff\xff\xff\x7f\x85"), "content of 7"),
        (pickle.dumps({"a": np.zeros(7, np.int8)}, 4).replace(b"K\x07\x85", b"J\xff\xff\xff\xff\x85"), "proper shape"),
    ],
    ids=["bytes", "text", "buffer", "number", "memo", "array", "negative"],
)
def test_small_files_cannot_take_much_memory(read, content, said):
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=said):
            read(content)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"(" * (pickles.MAX_INSTRUCTIONS + 1), "more than 300,000 instructions"),
        (b"}" + b"\x85" * 200_000 + b".", "something else than a mapping"),
        (b"}" + b"Va\n}" * 90_000 + b"s" * 90_000 + b".", "is no array"),
    ],
    ids=["many", "deep tuples", "deep mappings"],
)
def test_small_files_cannot_take_much_time_or_stack(read, content, said):
    start = time.perf_counter()
    with pytest.raises(CheckpointError, match=said):
        read(content)
    assert time.perf_counter() - start < 60


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match="nowhere.pickle"):
        read_checkpoint(tmp_path / "nowhere.pickle")


def test_damaged_files_are_refused_or_read_whole(read):
    """Bytes changed, cut out, doubled: never another exception, and what is read has a right shape."""
    draw = random.Random(0)
    whole = [read_checkpoint(path) for path in FIXTURES]
    refused = 0
    for number in range(300):
        which = number % len(FIXTURES)
        content = bytearray(FIXTURES[which].read_bytes())
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(content))
            kind = draw.randrange(4)
            if kind == 0:
                content[at] = draw.randrange(256)
            elif kind == 1:
                content[at] ^= 1 << draw.randrange(8)
            elif kind == 2:
                del content[at : at + draw.randint(1, 40)]
            else:
                content[at:at] = content[at : at + draw.randint(1, 40)]
        try:
            found = read(bytes(content))
        except CheckpointError:
            refused += 1
            continue
        # A changed letter of a name or number may pass; half a checkpoint may not.
        arrays = [*found.params.values(), *found.state.values()]
        assert all(isinstance(array, np.ndarray) and array.dtype.kind in "fiub" for array in arrays)
        assert len(found.params) == len(whole[which].params) or "params" not in str(bytes(content))
    assert refused > 150
