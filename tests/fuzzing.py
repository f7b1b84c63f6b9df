"""Damaged files for everything that reads one: each is either read or refused with an error that its reader documents.

`python -m tests.fuzzing 100000` tries that many and prints a table; `tests/test_fuzzing.py` tries some of each.
"""

import io
import json
import pickle
import signal
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from safetensors.numpy import save

from perceiver_lab.convert.files import read_safetensors
from perceiver_lab.convert.pickles import read_checkpoint
from perceiver_lab.datasets import decode_ids, encode_text, read_flo, write_flo
from perceiver_lab.datasets.flow_files import FlowPairs
from perceiver_lab.datasets.midi import read_midi, write_midi
from perceiver_lab.datasets.modelnet import read_off
from perceiver_lab.datasets.musicxml import read_voices
from perceiver_lab.datasets.notes import Note
from perceiver_lab.training.files import sealed, unseal
from perceiver_lab.training.weights import read_about

FIXTURES = Path(__file__).parent / "convert" / "fixtures"
SECONDS = 5  # for one small file: what takes longer hangs
MEGABYTES = 64  # more than that is too much for a file of a few thousand bytes
NUMBERS = (b"\0", b"\xff", b"\x7f" + b"\xff" * 3, b"\x80\0\0\0", b"\xff" * 8, b"-1", b"9" * 20)
TELLING = (*NUMBERS, b"cos\nsystem\n", b"&a;")


class Reader(NamedTuple):
    """Something that reads a file.

    Attributes:
      seeds: good files.
      suffix: of the file's name.
      read: path -> anything.
    """

    seeds: tuple[bytes, ...]
    suffix: str
    read: Callable[[Path], object]


class Outcome(NamedTuple):
    """What came of many damaged files: how many, how many were read, the slowest in seconds, the most memory in MB."""

    files: int
    accepted: int
    slowest: float
    largest: float


def readers(folder: Path) -> dict[str, Reader]:
    """All of them; `folder` is for good files that are made by being written."""
    pickles = tuple(path.read_bytes() for path in sorted(FIXTURES.glob("haiku_*.pickle")))
    about = json.dumps({"sha256": "0" * 64, "metrics": {"accuracy": 0.9}}).encode()
    manifest = sealed({"step": 3, "files": {"a": "0" * 64}})
    mesh = b"OFF\n4 2 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n4 0 1 2 3\n"
    text = "Now, fair Hippolyta \u2014 \u00e9\u4e2d".encode()
    return {
        "pickle": Reader(pickles, ".pickle", read_checkpoint),
        "safetensors": Reader((_safetensors(),), ".safetensors", read_safetensors),
        "about": Reader((about,), ".json", lambda path: read_about(path.with_suffix(".safetensors"))),
        "manifest": Reader((manifest,), ".json", lambda path: unseal(path.read_bytes())),
        "midi": Reader((_midi(folder),), ".mid", read_midi),
        "musicxml": Reader(_scores(), ".mxl", lambda path: read_voices(path.read_bytes(), ["Alto"])),
        "flo": Reader((_flo(folder),), ".flo", read_flo),
        "off": Reader((mesh,), ".off", read_off),
        "png": Reader((_picture("PNG"), _picture("PPM")), ".png", _frames(folder)),
        "text": Reader((text,), ".txt", lambda path: decode_ids(encode_text(path.read_bytes()))),
    }


def mutations(seeds: tuple[bytes, ...], count: int, seed: int) -> Iterator[bytes]:
    """`count` damaged copies, the same for the same seed: up to four changes each."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        content = bytearray(seeds[rng.integers(len(seeds))])
        for _ in range(int(rng.integers(1, 5))):
            _change(content, rng)
        yield bytes(content)


def attempt(reader: Reader, contents: Iterator[bytes], folder: Path) -> Outcome:
    """Read each. `ValueError` and `OSError` are what readers document; anything else is raised with the file beside it.

    Raises:
      AssertionError: another error, more than `SECONDS` or more than `MEGABYTES`; the message names the file kept.
    """
    path, files, accepted, slowest, largest = folder / f"damaged{reader.suffix}", 0, 0, 0.0, 0.0
    tracemalloc.start()
    try:
        for content in contents:
            path.write_bytes(content)
            files += 1
            tracemalloc.reset_peak()
            before, began = tracemalloc.get_traced_memory()[0], time.perf_counter()
            accepted += _survives(reader, path)
            slowest = max(slowest, time.perf_counter() - began)
            largest = max(largest, (tracemalloc.get_traced_memory()[1] - before) / 2**20)
            assert largest <= MEGABYTES, f"{path}: {largest:.0f} MB for {len(content)} bytes"
    finally:
        tracemalloc.stop()
    return Outcome(files, accepted, slowest, largest)


def _survives(reader, path):
    signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    _watch.on = True
    try:
        reader.read(path)
    except (ValueError, OSError) as error:
        if str(error):
            return False
        raise AssertionError(f"{path}: refused without a word") from error
    except Exception as error:
        raise AssertionError(f"{path}: {type(error).__name__} ({error}), which the reader does not document") from error
    finally:
        _watch.on = False
        signal.setitimer(signal.ITIMER_REAL, 0)
    return True


class TooLong(Exception):
    """No `TimeoutError`, which is an `OSError` and would pass for a refusal."""


def _too_long(*_):
    raise TooLong(f"more than {SECONDS} seconds")


class _Watch:
    """Whether code is run while a file is read: Python reports such things to those that ask."""

    EVENTS = (
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.fork",
        "subprocess.Popen",
        "ctypes.dlopen",
        "pickle.find_class",
    )

    def __init__(self):
        self.on = False
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if self.on and event in self.EVENTS:
            self.on = False
            raise AssertionError(f"a file made its reader do {event} {arguments}")


_watch = _Watch()


def _change(content, rng):
    if not content:
        content.extend(b"\x00")
    place = int(rng.integers(len(content)))
    end = min(place + int(rng.integers(1, 17)), len(content))
    match int(rng.integers(7)):
        case 0:
            content[place] ^= 1 << int(rng.integers(8))
        case 1:
            content[place] = int(rng.integers(256))
        case 2:
            del content[place:]
        case 3:
            del content[place:end]
        case 4:
            content[place:place] = content[place:end]
        case 5:
            content[place:end] = rng.bytes(end - place)
        case 6:
            told = TELLING[int(rng.integers(len(TELLING)))]
            content[place : place + len(told)] = told


def _safetensors():
    arrays = {"a.kernel": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.zeros(2, np.float16)}
    return save(arrays, metadata={"format": "pt"})


def _midi(folder):
    write_midi(
        folder / "seed.mid", [Note(0, 4, 60, 90, 0), Note(4, 9, 64, 70, 1)], steps_per_beat=4, beats_per_minute=120
    )
    return (folder / "seed.mid").read_bytes()


def _scores():
    note = "<note><pitch><step>C</step><octave>4</octave></pitch><duration>2</duration><tie type='start'/></note>"
    parts = "<part-list><score-part id='P1'><part-name>Alto</part-name></score-part></part-list>"
    measure = f"<measure><attributes><divisions>2</divisions></attributes>{note}{note}</measure>"
    score = f"<score-partwise>{parts}<part id='P1'>{measure}</part></score-partwise>"
    lacking = [score.replace(one, "") for one in ("<duration>2</duration>", "<step>C</step>", "<octave>4</octave>")]
    wrong = [score.replace("<divisions>2", "<divisions>0"), score.replace("<step>C", "<step>X")]
    plain = tuple(one.encode() for one in (score, *lacking, *wrong))
    return (*plain, _packed(plain[0]))


def _packed(score):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", "<c><rootfile full-path='a.xml'/></c>")
        archive.writestr("a.xml", score)
    return stream.getvalue()


def _flo(folder):
    write_flo(folder / "seed.flo", np.arange(24, dtype=np.float32).reshape(3, 4, 2))
    return (folder / "seed.flo").read_bytes()


def _picture(form):
    stream = io.BytesIO()
    Image.fromarray(np.arange(36, dtype=np.uint8).reshape(3, 4, 3)).save(stream, form)
    return stream.getvalue()


def _frames(folder):
    good, flow = folder / "good.png", folder / "good.flo"
    good.write_bytes(_picture("PNG"))
    write_flo(flow, np.zeros((3, 4, 2), np.float32))
    return lambda path: FlowPairs([("pair", path, good, flow)])[0]


def malicious() -> dict[str, bytes]:
    """Pickles that would run something, by what they try."""

    class Calls:
        def __init__(self, function, *arguments):
            self.called = (function, arguments)

        def __reduce__(self):
            return self.called

    import os

    deep: list = []
    for _ in range(200):
        deep = [deep]
    return {
        "os.system": pickle.dumps({"params": Calls(os.system, "echo no")}),
        "eval": pickle.dumps(Calls(eval, "1 + 1")),
        "exec": pickle.dumps({"a": {"b": Calls(exec, "1")}}),
        "getattr": pickle.dumps(Calls(getattr, "text", "upper")),
        "nested": pickle.dumps(deep),
        "bomb": b"\x80\x04" + b"]\x94" + b"(h\x00h\x00h\x00h\x00e" * 100_000 + b".",
    }


def main() -> None:
    """Try many of each and print a table."""
    import tempfile

    wanted = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = readers(folder)
        print(f"{'reader':<12} {'files':>8} {'read':>7} {'refused':>8} {'slowest':>9} {'memory':>8}")
        for label, reader in found.items():
            files, accepted, slowest, largest = attempt(
                reader, mutations(reader.seeds, -(-wanted // len(found)), seed=1), folder
            )
            print(f"{label:<12} {files:>8,} {accepted:>7,} {files - accepted:>8,} {slowest:>7.3f} s {largest:>5.1f} MB")


if __name__ == "__main__":
    main()
