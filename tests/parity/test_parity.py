"""Every published number that we hold: our models, built from each file's `config`, give the reference's outputs.

Files: tests/parity/vectors/FAMILY/*.npz, and those in the same sub-folders of the folder that the environment variable
PERCEIVER_LAB_VECTORS names.
"""

import pytest

from tests.parity.families import check, failures
from tests.parity.vectors import files


def _name(path):
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("path", list(files()), ids=_name)
def test_file(path, record_property):
    comparisons = check(path)
    worst = max(comparisons, key=lambda one: one.difference / one.tolerance)
    record_property("parity", (_name(path), *worst))
    assert not failures(comparisons)
