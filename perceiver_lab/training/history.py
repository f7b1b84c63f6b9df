"""What a run reported, step by step: in memory, and as JSON lines in a file."""

import json
from collections.abc import Iterator
from pathlib import Path

from perceiver_lab.training.files import write_atomically


class History:
    """Records such as {"step": 20, "loss": 1.93, "accuracy": 0.41, "seconds": 1.2}, oldest first.

    With a path, each record is also a line of that file. After a restart the lines beyond the restored step, and one
    cut short by a kill, are dropped: the file reads like that of an uninterrupted run.
    """

    def __init__(self, path: Path | None = None, *, until: int = 0, records: list[dict] | None = None):
        """Keep what the file says up to step `until`, or start with `records`."""
        self.path = path
        self.records = list(records or [])
        if path is not None:
            self.records += [record for record in _read(path) if record["step"] <= until]
            write_atomically(path, b"".join(_line(record) for record in self.records))

    def append(self, record: dict) -> None:
        """Add a record and write it out.

        Raises:
          OSError: it cannot be written; the message names the file.
        """
        self.records.append(record)
        if self.path is None:
            return
        try:
            with open(self.path, "ab") as file:
                file.write(_line(record))
        except OSError as error:
            raise OSError(f"{self.path} could not be written ({error}). Make room, then go on.") from error

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """The steps at which `name` was reported, and its values."""
        pairs = [(record["step"], record[name]) for record in self.records if name in record]
        return [step for step, _ in pairs], [value for _, value in pairs]

    def __iter__(self) -> Iterator[dict]:
        return iter(self.records)

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        return self.records[index]

    def __repr__(self):
        names = sorted({name for record in self.records for name in record} - {"step"})
        return f"History({len(self.records)} records of {', '.join(names)})"


def _read(path):
    if not path.is_file():
        return []
    records = []
    for line in path.read_bytes().split(b"\n")[:-1]:  # what follows the last line's end was cut short
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(
                f"{path} has a line that is not JSON: {line[:60]!r}. It was changed by hand or by a full disk; delete "
                "that line."
            ) from error
        records.append(record)
    return records


def _line(record):
    return json.dumps(record).encode() + b"\n"
