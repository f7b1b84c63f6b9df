"""The recipe that these tests run."""

import pathlib

import pytest

from tests.recipes.tiny import install


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A recipe of a second, found as "tiny"; its cache and its shipped weights lie in `tmp_path`."""
    return install(monkeypatch, tmp_path)


OF_ALL_RECIPES = ("test_bad_input", "test_base", "test_measure", "test_running", "test_shipped", "test_starting")


def pytest_collection_modifyitems(items):
    """What builds and trains single recipes is marked so, and left out where minutes count."""
    for item in items:
        if item.path.parent == pathlib.Path(__file__).parent and item.path.stem not in OF_ALL_RECIPES:
            item.add_marker(pytest.mark.recipe)
