"""The few lines of a lesson that make one of its explorers, cut out of all its code.

An explorer's page in the reading edition must show what the lesson shows, and making it must not run the lesson: only
the statements on which the explorer depends are kept.
"""

import ast
import dis
import types
from collections.abc import Iterator


def slice_of(code: str) -> str:
    """The statements of `code` on which its last expression depends, that expression last.

    A name of the module counts as bound where it is assigned, imported, defined, a loop's variable, or changed in place
    by index or attribute. What a method changes in its object is not seen.

    Raises:
      ValueError: the code does not end in an expression.
    """
    *before, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        raise ValueError(f"The code must end in an expression, the explorer; it ends in {ast.unparse(last)[:60]!r}.")
    needed, kept = _names(last)[0], [last]
    for statement in reversed(before):
        read, bound, changed = _names(statement)
        if not (bound | changed) & needed:
            continue
        kept.append(statement)
        if isinstance(statement, ast.Assign | ast.FunctionDef | ast.ClassDef):
            needed -= bound
        needed |= read - _targets(statement)
    return "\n".join(ast.unparse(statement) for statement in reversed(kept))


def _names(statement: ast.stmt) -> tuple[set[str], set[str], set[str]]:
    """The module's names that a statement reads, binds, and changes in place; those of functions in it are not ours."""
    code = compile(ast.Module([statement], []), "lesson", "exec")
    read, bound = set(), set()
    for instruction in _instructions(code):
        if instruction.opname in ("LOAD_NAME", "LOAD_GLOBAL"):
            read.add(instruction.argval)
        elif instruction.opname in ("STORE_NAME", "STORE_GLOBAL"):
            bound.add(instruction.argval)
    places = (node for node in ast.walk(statement) if isinstance(node, ast.Attribute | ast.Subscript))
    changed = {_base(node) for node in places if isinstance(node.ctx, ast.Store)}
    return read, bound, changed & read


def _instructions(code: types.CodeType) -> Iterator[dis.Instruction]:
    """Of a module and of the functions in it; a class keeps its names to itself."""
    class_body = "__qualname__" in code.co_names
    for instruction in dis.get_instructions(code):
        if not (class_body and instruction.opname == "STORE_NAME"):
            yield instruction
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _instructions(constant)


def _base(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _targets(statement: ast.stmt) -> set[str]:
    """What a loop binds before its body reads it."""
    if not isinstance(statement, ast.For):
        return set()
    return {node.id for node in ast.walk(statement.target) if isinstance(node, ast.Name)}
