"""The recipe that these tests run."""

import pytest

from tests.recipes.tiny import install


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A recipe of a second, found as "tiny"; its cache and its shipped weights lie in `tmp_path`."""
    return install(monkeypatch, tmp_path)
