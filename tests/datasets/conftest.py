"""One folder of prepared sets for all tests of a process."""

import jaxtyping
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


@pytest.fixture
def unchecked():
    """Turn off the checks of types that tests may add to the library: a user has none, and hears the library itself."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
