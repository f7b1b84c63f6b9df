"""The recipe that these tests run, and the answers that they give."""

import jax
import pytest

from tests.recipes.tiny import install


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A recipe of a second, found as "tiny"; its cache and its shipped weights lie in `tmp_path`."""
    return install(monkeypatch, tmp_path)


@pytest.fixture
def optimised():
    """What computes more than it compiles is compiled as for users, with all of XLA's optimisations."""
    jax.config.update("jax_disable_most_optimizations", False)


def pytest_generate_tests(metafunc):
    """One test per answer of a lesson."""
    for kind in {"right", "wrong"} & set(metafunc.fixturenames):
        answers = getattr(metafunc.cls, kind)
        metafunc.parametrize(kind, answers, ids=[f"{answer[0]}-{n}" for n, answer in enumerate(answers)])
