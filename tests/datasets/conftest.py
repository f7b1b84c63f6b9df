"""One folder of prepared sets for all tests of a process."""

import pytest


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A data folder that starts empty and is shared: a set is prepared by the first test that opens it."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def use_prepared(prepared, monkeypatch):
    """Make the shared folder the default one."""
    monkeypatch.setenv("PERCEIVER_LAB_DATA_DIR", str(prepared))
    return prepared
