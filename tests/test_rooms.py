"""The shape of the library: which room may import which, and how long a file or a function may be."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "perceiver_lab"
ORDER = {
    "colab": 0,  # runs before anything that the library needs is there
    "ops": 0,
    "layers": 1,
    "adapters": 2,
    "models": 2,
    "datasets": 2,
    "presets": 3,
    "training": 3,
    "generation": 3,
    "introspect": 3,
    "convert": 4,
    "figures": 4,
    "explorers": 5,
    "recipes": 6,
    "course": 7,
    "cli": 8,
}
MAX_FILE_LINES, MAX_FUNCTION_LINES = 300, 50
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: pathlib.Path) -> str:
    """`ops` for ops/attention.py, `cli` for cli.py, the empty string for the package's own __init__."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py").removesuffix("__init__")


def imported_rooms(tree: ast.AST, path: pathlib.Path):
    """The rooms that a file imports from, at any depth of nesting, as (line, room)."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: write the import in full, `from perceiver_lab.room ...`"
            names = [node.module]
            if node.module == "perceiver_lab":
                names = [f"perceiver_lab.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "perceiver_lab" and len(parts) > 1 and not parts[1].startswith("__"):
                yield node.lineno, parts[1]


def functions(tree: ast.AST):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def body_lines(function) -> int:
    """Lines of a function without its docstring."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        docstring = function.body[0]
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_keeps_to_its_place_and_size(path):
    text = path.read_text()
    tree, room = ast.parse(text), room_of(path)
    assert room in ORDER or path == PACKAGE / "__init__.py", f"{room} has no number: where does it stand among {ORDER}?"
    for line, other in imported_rooms(tree, path):
        allowed = room in ORDER and (other == room or ORDER[other] < ORDER[room])
        assert allowed, f"{path}:{line}: {room or 'perceiver_lab'} imports {other}; only rooms with a smaller number"
    assert len(text.splitlines()) <= MAX_FILE_LINES, f"{path}: more than {MAX_FILE_LINES} lines: two ideas in one file?"
    for function in functions(tree):
        lines = body_lines(function)
        assert lines <= MAX_FUNCTION_LINES, f"{path}:{function.lineno}: {function.name} has {lines} lines: split it"


def test_every_room_can_be_named():
    import perceiver_lab

    found = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert found <= set(perceiver_lab.ROOMS) | {"_data"}
    for room in perceiver_lab.ROOMS:
        assert getattr(perceiver_lab, room).__name__ == f"perceiver_lab.{room}"
        assert room in dir(perceiver_lab)


def test_an_unknown_name_is_an_error_that_lists_the_rooms():
    import perceiver_lab

    with pytest.raises(AttributeError, match="no attribute 'attention'; its rooms are ops, layers"):
        perceiver_lab.attention  # noqa: B018


FOREIGN = ("jax", "jaxlib", "flax", "optax", "orbax", "grain")
ALL_CODE = [*FILES, *(PACKAGE.parent / "tests").rglob("*.py"), *(PACKAGE.parent / "benchmarks").rglob("*.py")]


def test_nothing_private_of_other_libraries_is_imported():
    """What begins with an underscore may be gone in their next release."""
    found = []
    for path in ALL_CODE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                first, *rest = name.split(".")
                if first in FOREIGN and any(part.startswith("_") and not part.startswith("__") for part in rest):
                    found.append(f"{path.name}:{node.lineno} {name}")
    assert not found
