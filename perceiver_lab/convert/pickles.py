"""Checkpoints of the Perceiver IO release, which are pickles, read without running anything that is in them.

A pickle is a program: `pickle.load` imports what it names and calls it. Here a small interpreter follows the few
instructions that such a checkpoint consists of and builds mappings and arrays itself. Names are looked up in a table of
what NumPy, JAX and Haiku write for arrays and mappings (old and new module paths); nothing is imported or called. All
else is refused by its name. No array can be larger than the file, and no more instructions are followed than a
checkpoint of thousands of arrays has.
"""

import os
import pickletools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from perceiver_lab.convert import pickle_names
from perceiver_lab.convert.pickle_names import CheckpointError, Pending

MAX_INSTRUCTIONS = 300_000  # an array takes about 40, the largest published model has 457
_ALLOWED = (
    "A checkpoint may hold only mappings from names to arrays of numbers, as pickled by NumPy, JAX or Haiku. Nothing "
    "was loaded and nothing in the file was run; do not open this file with pickle."
)


class Checkpoint(NamedTuple):
    """Parameters and running averages, "module/path/name" -> array; the averages may be none."""

    params: dict[str, np.ndarray]
    state: dict[str, np.ndarray]


def read_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Read a checkpoint of the release (.pickle or .pystate).

    Args:
      path: of a pickled mapping "module/path" -> {"name": array}, or of {"params": such a mapping, "state": another};
        other entries beside these two are checked like all, and left out.

    Raises:
      CheckpointError: the file names or does anything else, is cut off, or is no pickle.
      OSError: it cannot be opened.
    """
    size = Path(path).stat().st_size
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of texts with strange escapes, which are refused or compared by name
            root = _Machine(_Reader(file, size)).run()
        return _as_checkpoint(root)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error} {_ALLOWED}") from error


class _Reader:
    """A file that is not asked for more bytes than it has left: a length in a damaged file may be anything."""

    def __init__(self, file: BinaryIO, size: int):
        self.file, self.size, self.tell, self.readline = file, size, file.tell, file.readline

    def read(self, count: int) -> bytes:
        if count > self.size - self.file.tell():
            raise CheckpointError("The file is cut off or damaged.")
        return self.file.read(count)


class _Machine:
    """A stack, a memo, and one method for each kind of instruction."""

    def __init__(self, reader: _Reader):
        self.reader = reader
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Follow all instructions; what is left is the content of the file."""
        for count, (code, argument) in enumerate(self._instructions()):
            if count >= MAX_INSTRUCTIONS:
                raise CheckpointError(f"The pickle has more than {MAX_INSTRUCTIONS:,} instructions.")
            if code.name == "STOP":
                break
            if code.name not in _INSTRUCTIONS:
                named = f" ({argument[:80].replace(' ', '.')})" if isinstance(argument, str) else ""
                raise CheckpointError(f"The pickle holds the instruction {code.name}{named}, which is not allowed.")
            _INSTRUCTIONS[code.name](self, argument)
        if len(self.stack) != 1 or self.reader.read(0) or self.reader.file.tell() != self.reader.size:
            raise CheckpointError("The pickle does not end where it should: the file is damaged.")
        return self.stack[0]

    def _instructions(self) -> Iterator[tuple[pickletools.OpcodeInfo, Any]]:
        try:
            for code, argument, _ in pickletools.genops(self.reader):
                yield code, argument
        except CheckpointError:
            raise
        except (ValueError, OverflowError) as error:  # what genops raises at bytes that are no instruction
            raise CheckpointError(f"The file is no pickle, or damaged ({type(error).__name__}).") from error

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise CheckpointError("The pickle takes more than it has put down: the file is damaged.")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        if not self.marks:
            raise CheckpointError("The pickle closes what it never opened: the file is damaged.")
        start = self.marks.pop()
        items, self.stack[start:] = self.stack[start:], []
        return items

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self, _) -> None:
        self.marks.append(len(self.stack))

    def memoize(self, number: int | None) -> None:
        value = self.pop()
        self.push(value)
        self.memo[len(self.memo) if number is None else number] = value

    def recall(self, number: int) -> None:
        if number not in self.memo:
            raise CheckpointError("The pickle refers to something it does not hold: the file is damaged.")
        self.push(self.memo[number])

    def tuple_of(self, count: int) -> None:
        self.push(tuple(reversed([self.pop() for _ in range(count)])))

    def set_items(self, items: list[Any]) -> None:
        target = self.pop()
        if not isinstance(target, dict) or len(items) % 2:
            raise CheckpointError("The pickle puts entries into something that is no mapping.")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str) or key in target:
                raise CheckpointError("The pickle holds a mapping with a key that is no text, or is there twice.")
            target[key] = value
        self.push(target)

    def dict_of(self, _) -> None:
        items = self.pop_to_mark()
        self.push({})
        self.set_items(items)

    def set_item(self, _) -> None:
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def name(self, module: Any, name: Any) -> None:
        found = pickle_names.Name(str(module)[:80], str(name)[:80])
        if found not in pickle_names.CALLS and found not in pickle_names.LABELS:
            raise CheckpointError(f"The pickle names {found}, which is not allowed.")
        self.push(found)

    def stack_name(self, _) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise CheckpointError("The pickle names something that is no text.")
        self.name(module, name)

    def call(self, _) -> None:
        arguments, function = self.pop(), self.pop()
        self.push(pickle_names.call(function, arguments))

    def build(self, _) -> None:
        state, target = self.pop(), self.pop()
        pickle_names.build(target, state)
        self.push(target)


_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "MARK": _Machine.mark,
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "DICT": _Machine.dict_of,
    "SETITEM": _Machine.set_item,
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    "GLOBAL": lambda machine, argument: machine.name(*argument.split(" ", 1)),
    "STACK_GLOBAL": _Machine.stack_name,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
}
for _code in ("INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT", "UNICODE"):
    _INSTRUCTIONS[_code] = _Machine.push
for _code in ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"):
    _INSTRUCTIONS[_code] = _Machine.push
for _code in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
    _INSTRUCTIONS[_code] = _Machine.memoize
for _code in ("GET", "BINGET", "LONG_BINGET"):
    _INSTRUCTIONS[_code] = _Machine.recall


def _as_checkpoint(root: Any) -> Checkpoint:
    if not isinstance(root, dict):
        raise CheckpointError("The pickle holds something else than a mapping.")
    if "params" not in root:
        return Checkpoint(_flat(root), {})
    return Checkpoint(_flat(root["params"]), _flat(root.get("state", {})))


def _flat(tree: Any) -> dict[str, np.ndarray]:
    """Two levels at most, each mapping once: how deep and how often things refer to each other plays no part."""
    if not isinstance(tree, dict):
        raise CheckpointError("The pickle holds something else than a mapping of parameters.")
    if len({id(value) for value in tree.values()}) != len(tree):
        raise CheckpointError("The pickle holds one thing under two names.")
    flat: dict[str, np.ndarray] = {}
    for path, value in tree.items():
        leaves = {f"{path}/{key}": leaf for key, leaf in value.items()} if isinstance(value, dict) else {path: value}
        for name, leaf in leaves.items():
            if not isinstance(leaf, Pending) or leaf.array is None:
                raise CheckpointError(f"The entry {name[:200]!r} is no array.")
            if name in flat:
                raise CheckpointError(f"The entry {name[:200]!r} is there twice.")
            flat[name] = leaf.array
    return flat
