"""How the release cuts modalities into groups: tables of sizes and paddings."""

import json

import pytest

from perceiver_lab.ops.grouping import cut_groups
from tests.parity.vectors import files

TABLES = {path: json.loads(path.read_text()) for path in files("hip/grouping_table.json")}
ROWS = [(path, number) for path, table in TABLES.items() for number in range(len(table))]


@pytest.mark.parametrize(("path", "number"), ROWS, ids=lambda value: str(value) if isinstance(value, int) else "")
def test_row(path, number):
    row = TABLES[path][number]
    grouping = cut_groups({f"m{place}": size for place, size in enumerate(row["index_dims"])}, row["num_groups"])
    assert {
        "num_groups": grouping.num_groups,
        "index_dims": [cut.size for cut in grouping.cuts],
        "groups_per_modality": [cut.num_groups for cut in grouping.cuts],
        "index_dim_per_group": grouping.group_size,
        "final_padding": [cut.final_padding for cut in grouping.cuts],
        "group_padding": [cut.group_padding for cut in grouping.cuts],
    } == row


def test_the_table_that_ships_is_whole():
    assert len(ROWS) >= 54
