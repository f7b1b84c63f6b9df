"""MAESTRO (1810.12247): piano performances as MIDI files, from a folder that the user fetched."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from perceiver_lab.datasets.midi import read_midi
from perceiver_lab.datasets.notes import performance_events

ORIGIN = "https://magenta.tensorflow.org/datasets/maestro"
SPLITS = ("train", "validation", "test")


class Performances(Sequence):
    """Performances as records {"events": (M,) int32, "name"}, read and turned into events when one is asked for."""

    def __init__(self, files: Sequence[tuple[str, Path]]):
        """`files`: (name, path) of each."""
        self.files = list(files)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index):
        name, path = self.files[index]
        return {"events": performance_events(read_midi(path)), "name": name}


def maestro(folder: str | os.PathLike, split: str) -> Performances:
    """The performances of one split, in the order of the table that comes with them.

    Args:
      folder: that was unpacked, such as "maestro-v3.0.0": with its table `maestro-v3.0.0.csv` and a folder per year.
      split: "train", "validation" or "test", as the table has it.

    Returns:
      What `pipeline` and `crop_events` read: a sequence of records with "events" (see `notes`) and "name", composer and
      title.

    Raises:
      ValueError: another split, or a table that lacks a column.
      FileNotFoundError: the folder is incomplete; the message says where the set is to be had.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is unknown; MAESTRO has {', '.join(map(repr, SPLITS))}.")
    root = Path(folder).expanduser()
    tables = sorted(root.glob("maestro-v*.csv"))
    if not tables:
        raise FileNotFoundError(
            f"There is no table maestro-v*.csv in {root}. Get the MIDI files (maestro-v3.0.0-midi.zip) from "
            f"{ORIGIN}, unpack them and name the folder that has the table."
        )
    with open(tables[-1], newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        wanted = {"canonical_composer", "canonical_title", "split", "midi_filename"}
        if not wanted <= set(reader.fieldnames or ()):
            raise ValueError(f"{tables[-1]} has the columns {reader.fieldnames}; expected {sorted(wanted)} among them.")
        rows = [row for row in reader if row["split"] == split]
    files = [(f"{row['canonical_composer']}: {row['canonical_title']}", root / row["midi_filename"]) for row in rows]
    missing = [path for _, path in files if not path.is_file()]
    if missing or not files:
        what = (
            f"{missing[0]} and {len(missing) - 1} other files are" if missing else f"Every {split} piece of {root} is"
        )
        raise FileNotFoundError(f"{what} missing. Get the set from {ORIGIN} and unpack all of it.")
    return Performances(files)
