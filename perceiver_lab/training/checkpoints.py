"""Checkpoints of a run: all that is needed to go on bit for bit, written all or nothing, checked before use.

A checkpoint is a folder `step_00000120` with the arrays (Orbax) and a manifest: step, data-iterator state,
fingerprints, the shape and dtype of every array, the sha256 of every file. It is built under another name and moved
into place in one step, so a run that is killed leaves complete checkpoints and leftovers that are never read.
"""

import contextlib
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from perceiver_lab.training.checkpoint import Checkpoint
from perceiver_lab.training.files import file_sha256, json_bytes, make_folder, sealed, unseal, write_atomically
from perceiver_lab.training.trees import differences, shorten

MARKER = "perceiver_lab_run.json"
MANIFEST = "manifest.json"
FORMAT = 1


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names it and says what to do."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint whose files are not as they were written: the folder `path`. Older ones may be whole."""

    def __init__(self, message: str, path: Path):
        super().__init__(message)
        self.path = path


class FolderInUseError(CheckpointError):
    """The folder of a run that is going on: it needs patience, not mending."""


class Checkpointer:
    """Saves and restores the checkpoints of one run in one folder.

    Attributes:
      folder: where they lie.
      fingerprint: what must be the same for a run to go on, name -> value; here "config", "data" and "code".
      keep: how many are kept; the oldest is deleted when a newer one is complete.
      may_differ: names of fingerprints of which a difference is only warned about, such as ("code",) after an edit
        that changes no number, or to go on after an upgrade without the promise of equal bits.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        fingerprint: Mapping[str, str],
        keep: int = 2,
        may_differ: Sequence[str] = (),
    ):
        if keep < 1:
            raise ValueError(f"keep must be at least 1, got {keep}: a run without a checkpoint cannot go on.")
        self.folder = Path(folder).expanduser().absolute()
        self.fingerprint = dict(fingerprint)
        self.keep = keep
        self.may_differ = tuple(may_differ)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Own the folder: make it, refuse foreign ones and a second writer, clear what a killed run left.

        Raises:
          CheckpointError: the folder holds other things. FolderInUseError: another process trains into it.
          OSError: it cannot be written to.
        """
        import fcntl

        make_folder(self.folder)
        self._check_folder()
        try:
            lock = open(self.folder / ".lock", "w")
        except OSError as error:
            raise OSError(
                f"{self.folder} cannot be written to ({error}). Make it writable, or choose another folder."
            ) from error
        with lock:  # the system lets go of it when the process dies
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise FolderInUseError(
                    f"Another process is training into {self.folder}. Wait for it, or choose another folder."
                ) from error
            for leftover in self.folder.glob(".saving-*"):
                shutil.rmtree(leftover)
            for leftover in self.folder.glob(".*.partial"):
                leftover.unlink()
            write_atomically(self.folder / MARKER, json_bytes({"format": FORMAT}))
            yield

    def steps(self) -> list[int]:
        """The steps of the checkpoints there are, oldest first."""
        found = []
        for path in self.folder.glob("step_*"):
            digits = path.name.removeprefix("step_")
            if digits.isdecimal() and path.name == self.path(int(digits)).name:
                found.append(int(digits))
        return sorted(found)

    def path(self, step: int) -> Path:
        """The folder of the checkpoint of this step."""
        return self.folder / f"step_{step:08d}"

    def latest(self) -> Path | None:
        """The newest checkpoint, or None."""
        steps = self.steps()
        return self.path(steps[-1]) if steps else None

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint; when this returns it is complete and in place. A save that fails changes nothing.

        Returns:
          Its folder.

        Raises:
          CheckpointError: there is one of this step already.
          OSError: it cannot be written: a full disk, a folder that became read-only.
        """
        final = self.path(checkpoint.step)
        if final.exists():
            raise CheckpointError(f"There is a checkpoint {final} already. Delete it first, or use another folder.")
        building = self.folder / f".saving-{checkpoint.step:08d}-{os.getpid()}"
        arrays = {name: np.asarray(leaf) for name, leaf in checkpoint.arrays().items()}
        try:
            shutil.rmtree(building, ignore_errors=True)
            self._build(building, checkpoint, arrays)
            os.rename(building, final)
        except (OSError, ValueError, RuntimeError) as error:  # Orbax reports what failed in its threads as it likes
            shutil.rmtree(building, ignore_errors=True)
            kept = self.latest()
            raise OSError(
                f"The checkpoint {final} could not be written ({error}). "
                f"{f'The one before it, {kept.name}, is' if kept else 'What was there is'} as it was. Make room or "
                "make the folder writable; the same call then goes on."
            ) from error
        for step in self.steps()[: -self.keep]:
            try:
                self._remove(self.path(step))
            except OSError as error:  # the new one is safe; the next save tries again
                warnings.warn(f"The old checkpoint {self.path(step)} could not be deleted ({error}).", stacklevel=2)
        return final

    def _build(self, folder, checkpoint, arrays):
        """Write all files of a checkpoint, the manifest last."""
        folder.mkdir(parents=True)
        with _orbax() as writer:
            writer.save(folder / "arrays", arrays)
            writer.wait_until_finished()
        body = {
            "format": FORMAT,
            "step": checkpoint.step,
            "fingerprint": self.fingerprint,
            "key_impl": str(jax.random.key_impl(checkpoint.key)),
            "iterator": checkpoint.iterator,
            "notes": checkpoint.notes,
            "arrays": {name: [str(array.dtype), list(array.shape)] for name, array in arrays.items()},
            "files": {str(file.relative_to(folder)): file_sha256(file) for file in _files(folder)},
        }
        write_atomically(folder / MANIFEST, sealed(body))

    def restore(self, like: Checkpoint, *, step: int | None = None) -> Checkpoint | None:
        """Read a checkpoint, after checking all of it; nothing is changed before the last check has passed.

        Args:
          like: a checkpoint of the new run at its start, which gives structure, shapes and dtypes.
          step: which one; by default the newest.

        Returns:
          The checkpoint, or None when there is none yet.

        Raises:
          CheckpointError: corrupt, foreign, of another configuration, data set or code, or of another model.
        """
        self._check_folder()
        if step is None and not self.steps():
            return None
        path = self.latest() if step is None else self.path(step)
        body = self._verified(path)
        expected = {name: np.asarray(leaf) for name, leaf in like.arrays().items()}
        found = {name: jax.ShapeDtypeStruct(shape, np.dtype(dtype)) for name, (dtype, shape) in body["arrays"].items()}
        wrong = differences(found, expected)
        if wrong or body["key_impl"] != str(jax.random.key_impl(like.key)):
            raise CheckpointError(
                f"The checkpoint {path} is of another model or optimiser: {shorten(wrong) or body['key_impl']}. "
                "Use the configuration that it was made with, or another folder."
            )
        arrays = self._read(path, expected)
        return like.with_arrays(
            # Plain uncommitted arrays, as a fresh run has them: the same compiled step serves both.
            {name: jnp.asarray(array) for name, array in arrays.items()},
            step=body["step"],
            iterator=body["iterator"],
            notes=body["notes"],
        )

    def _read(self, path, expected):
        try:
            with _orbax() as reader:
                return reader.restore(path / "arrays", expected)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(path, f"Orbax cannot read its arrays ({error})") from error

    def _verified(self, path):
        """The manifest of a checkpoint whose every file is as it was written and whose fingerprint is this run's."""
        try:
            body = unseal((path / MANIFEST).read_bytes())
        except (OSError, ValueError) as error:
            raise self._damaged(path, f"{MANIFEST} cannot be used: {error}") from error
        if body.get("format") != FORMAT:
            raise CheckpointError(f"{path} has format {body.get('format')}; this version reads format {FORMAT}.")
        present = {str(file.relative_to(path)) for file in _files(path)} - {MANIFEST}
        for name, digest in body["files"].items():
            if name not in present:
                raise self._damaged(path, f"its file {name} is missing")
            if file_sha256(path / name) != digest:
                raise self._damaged(path, f"the sha256 of its file {name} is not the one noted")
        extra = sorted(present - body["files"].keys())
        if extra:
            raise self._damaged(path, f"it holds files that are not its own: {shorten(extra)}")
        self._check_fingerprint(path, body["fingerprint"])
        return body

    def _check_fingerprint(self, path, stored):
        names = self.fingerprint.keys() | stored.keys()
        differing = sorted(name for name in names if self.fingerprint.get(name) != stored.get(name))
        if not differing:
            return
        said = f"The checkpoint {path} was made with another {' and another '.join(differing)}"
        if set(differing) <= set(self.may_differ):
            warnings.warn(f"{said}; the run goes on, but need not be equal to an uninterrupted one.", stacklevel=2)
            return
        remedy = (
            "accept this (Checkpointer(may_differ=('code',)), --accept-code-change)"
            if differing == ["code"]
            else "start again in another folder, or delete this one"
        )
        raise CheckpointError(
            f"{said}, so going on from it would not give the run that was begun. Go back to what it was made with, or "
            f"{remedy}."
        )

    def _damaged(self, path, reason):
        older = [step for step in self.steps() if self.path(step) != path]
        remedy = (
            f"Delete {path}; the run then goes on from {self.path(older[-1]).name}"
            if older
            else f"Delete {path}; the run then starts again"
        )
        said = f"The checkpoint {path} is corrupt or foreign: {reason}. Nothing was loaded. {remedy}."
        return DamagedCheckpointError(said, path)

    def _check_folder(self):
        if not self.folder.is_dir() or (self.folder / MARKER).is_file():
            return
        others = sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))
        if others:
            raise CheckpointError(
                f"{self.folder} holds {shorten(others)}, but not the file {MARKER} that marks the folder of a run of "
                "perceiver_lab. Name an empty or a new folder."
            )

    def _remove(self, path):
        """Out of sight in one step, then gone: no half-deleted checkpoint can ever be found."""
        doomed = self.folder / f".saving-doomed-{path.name}-{os.getpid()}"
        os.rename(path, doomed)
        shutil.rmtree(doomed)


def _orbax():
    """For whole arrays in this process's memory: it waits for no other process."""
    import orbax.checkpoint as ocp

    me = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process_{me}"
    )
    return ocp.StandardCheckpointer(multiprocessing_options=alone)


def _files(folder):
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]
