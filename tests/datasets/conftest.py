"""One folder of prepared sets for all tests."""

import pathlib

import pytest

import lab_environment


@pytest.fixture(scope="session")
def prepared():
    """The data folder of all workers and lessons; `make test` has prepared every set there."""
    return pathlib.Path(lab_environment.ENVIRONMENT["PERCEIVER_LAB_DATA_DIR"])
