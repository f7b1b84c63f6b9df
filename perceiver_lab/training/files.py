"""Files that are either complete or not there, and their checksums."""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the file and move into place: a process killed at any moment leaves the old file or the new one.

    Raises:
      OSError: the folder cannot be written to; the message says which.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        make_folder(path.parent)
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise OSError(f"{path} could not be written ({error}). Choose a folder with room that is yours.") from error
    finally:
        with contextlib.suppress(OSError):  # gone when all went well, and out of reach when the folder is
            partial.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder and its parents.

    Raises:
      OSError: not possible; the message says what to do.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"The folder {folder} cannot be made ({error.strerror}: {error.filename}). Choose one that is writable."
        ) from error


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_bytes(value: Any) -> bytes:
    """JSON with sorted keys, one entry a line, the same bytes for equal values."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def sealed(body: dict[str, Any]) -> bytes:
    """A JSON file that carries the sha256 of its own content."""
    return json_bytes({"sha256": _seal(body), "body": body})


def unseal(content: bytes) -> dict[str, Any]:
    """The content of a `sealed` file.

    Raises:
      ValueError: no such file, or changed since.
    """
    try:
        whole = json.loads(content)
        body, seal = whole["body"], whole["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"it is not a manifest of perceiver_lab ({error!r})") from error
    if _seal(body) != seal:
        raise ValueError("its content does not have the sha256 that it names")
    return body


def _seal(body):
    return hashlib.sha256(json_bytes(body)).hexdigest()
