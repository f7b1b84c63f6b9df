"""The tool that puts faults into the library on purpose: what it changes, and that it notices what a test notices."""

import ast

import pytest

import mutants

SOURCE = '''
"""A text with 3 numbers < 4."""

def clipped(x: "Float[Array, '3 n']", low=0.5, *, wrap=True):
    """Not 1 + 1 either."""
    if x < low and not wrap:
        raise ValueError(f"{x} is below {low + 1}")
    x = x + 1
    print(x)
    return -x
'''


def test_what_is_changed(tmp_path):
    path = tmp_path / "some.py"
    path.write_text(SOURCE)
    found = mutants.mutants(path)
    assert {(one.kind, one.change) for one in found} == {
        ("number", "0.5 -> 1.0"),
        ("truth", "True -> False"),
        ("comparison", "x < low -> x <= low"),
        ("logic", "x < low and (not wrap) -> x < low or not wrap"),
        ("sign", "not wrap -> wrap"),
        ("statement", "if x < low and (not wrap): raise ValueError(f'{x} is below {low + 1}') -> pass"),
        ("statement", "x = x + 1 -> pass"),
        ("statement", "print(x) -> pass"),
        ("arithmetic", "x + 1 -> x - 1"),
        ("number", "1 -> 2"),
        ("sign", "-x -> +x"),
    }
    sources = [one.source for one in found]
    assert len(set(sources)) == len(sources)
    for source in sources:
        assert ast.dump(ast.parse(source)) != ast.dump(ast.parse(SOURCE))


@pytest.mark.parametrize("name", ["ops/masks", "layers/mlp"])
def test_every_module_has_tests_to_be_tried_against(name):
    path = mutants.PACKAGE / f"{name}.py"
    assert all("tests" in one for one in mutants.tests_for(path))
    assert mutants.mutants(path)
