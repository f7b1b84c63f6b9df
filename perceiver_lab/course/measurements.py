"""Measurements that are stored with the library, for lessons that show what another machine's clock said."""

import json
from pathlib import Path
from typing import Any


def measured(name: str) -> dict[str, Any]:
    """What benchmarks/NAME.py measured: benchmarks/results/NAME.json, which a wheel carries too.

    Raises:
      FileNotFoundError: there is no such measurement.
    """
    package = Path(__file__).resolve().parents[1]
    folders = (package.parent / "benchmarks" / "results", package / "_data" / "benchmarks")
    for path in (folder / f"{name}.json" for folder in folders):
        if path.is_file():
            return json.loads(path.read_text("utf-8"))
    raise FileNotFoundError(
        f"No measurement {name!r}: looked for {name}.json in {folders[0]} and {folders[1]}. Clone the repository again "
        "or reinstall the package; both carry what was measured."
    )
