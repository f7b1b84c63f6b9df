"""Preparing a data set once: locked, all or nothing, and checked whenever it is opened.

A set is built in a staging folder and moved into place in one step together with a manifest of its files. So a folder
in its final place is complete, and whatever lies in the staging folder was left by a run that died.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MANIFEST = "perceiver_lab.json"


@contextlib.contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock of data set `name` in `folder`: a second process waits here until the first is done.

    The system releases the lock when a process dies, so nothing is ever left locked.

    Raises:
      OSError: the folder cannot be created or written to.
    """
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(folder / f".{name}.lock", "w")  # closed below, after the yield
    except OSError as error:
        raise OSError(
            f"Data sets are prepared in {folder}, and that folder cannot be written to ({error.strerror}: "
            f"{error.filename}). Choose another with the environment variable PERCEIVER_LAB_DATA_DIR or data_dir=."
        ) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def prepare(make_builder: Callable[[Path], Any], folder: Path, name: str, content: str) -> None:
    """Build a data set into `folder` unless it is there already, made by a version of the library with this content.

    Args:
      make_builder: data_dir -> TFDS builder.
      folder: the data folder, made if needed.
      name: the set's name, for the lock and the staging folder.
      content: the pinned hash of its content. What was prepared under another one is prepared anew.

    Raises:
      OSError: the folder cannot be written to.
      ValueError: the place of the set is taken by files that this library did not write.
    """
    final = Path(make_builder(folder).data_path)
    if _is_current(final, content):
        return
    with locked(folder, name):
        if _is_current(final, content):  # another process was faster
            return
        outdated = (final / MANIFEST).is_file()
        if final.exists() and not outdated:
            raise ValueError(
                f"{final} should hold the data set {name!r}, but lacks the file {MANIFEST} that belongs to it: it was "
                "made by something else, or the file was deleted. Move the folder away (or delete it if nothing in it "
                "is yours) and call again; the set is then prepared anew."
            )
        staging = folder / f".staging-{name}"
        shutil.rmtree(staging, ignore_errors=True)
        try:
            builder = make_builder(staging)
            with contextlib.redirect_stdout(io.StringIO()):  # TFDS announces itself; the notebooks need not
                builder.download_and_prepare()
            built = Path(builder.data_path)
            (built / MANIFEST).write_text(json.dumps({"content": content, "files": _digests(built)}, indent=1))
            final.parent.mkdir(parents=True, exist_ok=True)
            if outdated:
                os.replace(final, staging / "outdated")
            os.replace(built, final)
        except FileNotFoundError:
            raise  # shipped data or a package is missing, and the message says which: no matter of room
        except OSError as error:
            raise OSError(
                f"Preparing {name!r} in {folder} failed: {error}. Make room there, or choose another folder with the "
                "environment variable PERCEIVER_LAB_DATA_DIR or data_dir=."
            ) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _is_current(final, content):
    """Whether the set is in place, made under this content. An unreadable manifest counts: `verify` names it."""
    if not (final / MANIFEST).is_file():
        return False
    try:
        return json.loads((final / MANIFEST).read_text()).get("content") == content
    except (OSError, ValueError, AttributeError):
        return True


_verified: set[tuple] = set()  # what this process has hashed already, by path, size and time


def verify(folder: Path) -> None:
    """Check every file of a prepared set against its manifest (once per process while nothing changes).

    Raises:
      ValueError: a file is missing, cut short or changed; the message names it.
    """
    remedy = f"Delete the folder {folder} and call again; the set is then prepared anew."
    try:
        expected = json.loads((folder / MANIFEST).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / MANIFEST} is not readable as a manifest ({error}). {remedy}") from error
    for name, digest in expected.items():
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{path} is missing. {remedy}")
        status = path.stat()
        mark = (str(path), digest, status.st_size, status.st_mtime_ns)
        if mark in _verified:
            continue
        if _sha256(path) != digest:
            raise ValueError(f"{path} is corrupt: its sha256 is not the one noted when it was prepared. {remedy}")
        _verified.add(mark)


def _digests(folder):
    return {str(path.relative_to(folder)): _sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
