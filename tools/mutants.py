"""Small faults put into `ops` and `layers` on purpose: does a test notice?

    .venv/bin/python tools/mutants.py 300            # a seeded sample of that many, the table, the survivors
    .venv/bin/python tools/mutants.py 20 ops/rotary  # of one file

A mutant is one change of one line: a comparison, an arithmetic or logical sign, a number, a truth value, a statement
taken out. Each is tried in a forked process in which JAX is imported already, against the quick tests of its own file:
`ops/masks.py` against `tests/ops/test_masks*.py`. What other files' tests would notice counts as survived.
"""

import ast
import collections
import contextlib
import copy
import importlib.machinery
import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import time
from typing import NamedTuple

import lab_environment

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "perceiver_lab"
ROOMS = ("ops", "layers")
SECONDS = 300  # for one mutant: what takes longer hangs, which a test would notice too
SEED = 0

COMPARE = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}
LOGIC = {ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}


class Mutant(NamedTuple):
    """One change: the file, the line, what stood there and stands there now, and the file's whole new text."""

    path: pathlib.Path
    line: int
    kind: str
    change: str
    source: str


def mutants(path: pathlib.Path) -> list[Mutant]:
    """All mutants of a file, in the order of its lines."""
    tree = ast.parse(path.read_text())
    _drop_what_is_not_computed(tree)
    found = []
    for number, node in enumerate(ast.walk(tree)):
        for kind, replace in _changes(node):
            mutated = copy.deepcopy(tree)
            twin = next(one for index, one in enumerate(ast.walk(mutated)) if index == number)
            before = ast.unparse(node)
            new = replace(twin)
            change = f"{_short(before)} -> {_short(ast.unparse(new)) if new is not None else 'pass'}"
            found.append(Mutant(path, node.lineno, kind, change, ast.unparse(ast.fix_missing_locations(mutated))))
    return sorted(found, key=lambda one: (one.line, one.kind, one.change))


def _drop_what_is_not_computed(tree):
    """Mark what is text or a type: docstrings, messages, annotations, subscripts of types, `__all__`."""
    for node in ast.walk(tree):
        parts = []
        if isinstance(node, ast.FunctionDef):
            arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            extra = [one for one in (node.args.vararg, node.args.kwarg) if one]
            parts = [node.returns, *(one.annotation for one in arguments + extra)]
        elif isinstance(node, ast.AnnAssign):
            parts = [node.annotation]
        elif isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
            parts = [node]
        for part in parts:
            for inner in ast.walk(part) if part is not None else ():
                inner.untouched = True


def _changes(node):
    """The changes that can be made to a node of the tree, as (kind, function on the node's twin -> what it became)."""
    if getattr(node, "untouched", False):
        return
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARE:
        yield "comparison", lambda twin: _set(twin, ops=[COMPARE[type(twin.ops[0])](), *twin.ops[1:]])
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in ARITHMETIC:
        yield "arithmetic", lambda twin: _set(twin, op=ARITHMETIC[type(twin.op)]())
    if isinstance(node, ast.BoolOp | ast.BinOp) and type(node.op) in LOGIC:
        yield "logic", lambda twin: _set(twin, op=LOGIC[type(twin.op)]())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield "sign", lambda twin: _set(twin, op=ast.UAdd()) if isinstance(twin.op, ast.USub) else _unwrap(twin)
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield "truth", lambda twin: _set(twin, value=not twin.value)
        elif isinstance(node.value, int):
            yield "number", lambda twin: _set(twin, value=twin.value + 1)
        elif isinstance(node.value, float):
            yield "number", lambda twin: _set(twin, value=twin.value * 2 or 1.0)
    if isinstance(node, ast.AugAssign) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield "statement", _empty
    if isinstance(node, ast.If) and not node.orelse and isinstance(node.body[-1], ast.Raise | ast.Return):
        yield "statement", _empty
    if isinstance(node, ast.Assign) and _reassigns(node):
        yield "statement", _empty


def _set(node, **fields):
    for name, value in fields.items():
        setattr(node, name, value)
    return node


def _unwrap(node):
    """`not x` becomes `x`: the node turns into a call of nothing, a conditional that always takes x."""
    inner = node.operand
    node.__class__, node.__dict__ = inner.__class__, inner.__dict__
    return node


def _empty(node):
    """A statement becomes `pass`."""
    node.__class__, node.__dict__ = ast.Pass, {"lineno": node.lineno, "col_offset": node.col_offset}


def _reassigns(node):
    """x = f(x): without it the name is still there."""
    targets = {one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    return targets <= {one.id for one in ast.walk(node.value) if isinstance(one, ast.Name)}


def _short(text):
    text = " ".join(text.split())
    return text if len(text) <= 70 else f"{text[:67]}..."


def forked(function, seconds: float):
    """What a function returns in a forked process, as JSON has it; None if it takes too long or dies."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        signal.alarm(int(seconds))
        answer = json.dumps(function()).encode()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return json.loads(answer) if answer else None


ARGUMENTS = [
    "-q",
    "-x",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:randomly",
    "-n0",
    "-m",
    "not slow",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
]


def killed(path: pathlib.Path, source: str) -> str | None:
    """The first test of a module that fails when this is its text, or that it hangs in; None if all pass."""

    def attempt():
        import pytest

        original = importlib.machinery.SourceFileLoader.get_data

        def get_data(self, name):
            if name.endswith(".pyc") and pathlib.Path(name).name.startswith(f"{path.stem}."):
                raise OSError("compiled from another source")
            return source.encode() if name == str(path) else original(self, name)

        importlib.machinery.SourceFileLoader.get_data = get_data
        sys.dont_write_bytecode = True
        failed = []

        class Noted:
            def pytest_runtest_logreport(self, report):
                if report.failed:
                    failed.append(report.nodeid)

            def pytest_collectreport(self, report):
                if report.failed:
                    failed.append(report.nodeid)

        code = pytest.main([*ARGUMENTS, *tests_for(path)], plugins=[Noted()])
        return [int(code), failed]

    answer = forked(attempt, SECONDS)
    if answer is None:
        return f"took more than {SECONDS} seconds, or died"
    code, failed = answer
    return (failed or [f"pytest ended with {code}"])[0] if code else None


def tests_for(path: pathlib.Path) -> list[str]:
    """The files that test a module; all of its room where none has its name."""
    room = ROOT / "tests" / path.parent.name
    return sorted(str(one) for one in room.glob(f"test_{path.stem}*.py")) or [str(room)]


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    wanted = sys.argv[2:] or ROOMS
    paths = sorted(path for room in ROOMS for path in (PACKAGE / room).glob("*.py") if path.stem != "__init__")
    paths = [path for path in paths if any(one in str(path.relative_to(PACKAGE)) for one in wanted)]
    everything = [mutant for path in paths for mutant in mutants(path)]
    random.Random(SEED).shuffle(everything)  # a smaller sample is the beginning of a larger one
    sample = everything[:count]
    print(f"{len(everything)} mutants are possible in {len(paths)} files; {len(sample)} are tried.", flush=True)
    for path in sorted({mutant.path for mutant in sample}):
        failed = killed(path, path.read_text())
        if failed:
            raise SystemExit(f"The tests must pass before anything is changed: {failed}")
    table, survivors = collections.Counter(), []
    began = time.monotonic()
    for number, mutant in enumerate(sample, 1):
        by = killed(mutant.path, mutant.source)
        name = str(mutant.path.relative_to(PACKAGE))
        table[name, mutant.kind, by is not None] += 1
        if by is None:
            survivors.append(mutant)
        said = "killed" if by else "SURVIVED"
        print(f"{number:4} {said:<8} {name}:{mutant.line} {mutant.kind}: {mutant.change}", flush=True)
    _tell(table, survivors, time.monotonic() - began)
    return 0


def _tell(table, survivors, seconds):
    for place, title in ((0, "file"), (1, "kind")):
        print(f"\n{title:<24} killed  tried")
        for one in sorted({key[place] for key in table}):
            dead, tried = (
                sum(number for key, number in table.items() if key[place] == one and key[2] >= least)
                for least in (True, False)
            )
            print(f"{one:<24} {dead:6} {tried:6}")
    tried, dead = table.total(), sum(number for key, number in table.items() if key[2])
    print(f"\n{dead} of {tried} killed ({100 * dead / tried:.0f} %) in {seconds / 60:.0f} minutes. Survivors:")
    for mutant in sorted(survivors, key=lambda one: (one.path, one.line)):
        print(f"  {mutant.path.relative_to(PACKAGE)}:{mutant.line} {mutant.kind}: {mutant.change}")


def warm() -> None:
    """What every forked process needs, and nothing of ours, whose text changes: no computation, which forks forbid."""
    import beartype  # noqa: F401
    import flax.nnx  # noqa: F401
    import hypothesis  # noqa: F401
    import jax.numpy  # noqa: F401
    import jaxtyping  # noqa: F401
    import optax  # noqa: F401
    import pytest  # noqa: F401
    import scipy.signal  # noqa: F401


if __name__ == "__main__":
    with contextlib.ExitStack() as stack:
        # Programs of mutants stay out of the cache that the tests use.
        os.environ["JAX_COMPILATION_CACHE_DIR"] = stack.enter_context(tempfile.TemporaryDirectory())
        lab_environment.apply()
        os.chdir(ROOT)
        sys.path.insert(0, str(ROOT))
        warm()
        sys.exit(main())
