"""Checkpoints: round trip, corruption and foreign files named, nothing half-loaded, one writer."""

import json
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

from perceiver_lab.training import Checkpointer, CheckpointError
from perceiver_lab.training.checkpoints import MANIFEST

FINGERPRINT = {"config": "a", "data": "b"}


@pytest.fixture
def saved(start, tmp_path):
    """A run of 8 steps with checkpoints at 4 and 8: the run, its checkpointer."""
    result = start(8, tmp_path / "run")
    return result, Checkpointer(tmp_path / "run", fingerprint=FINGERPRINT)


def test_round_trip(saved, start):
    result, checkpointer = saved
    assert checkpointer.steps() == [4, 8]
    assert checkpointer.latest() == checkpointer.path(8)
    found = checkpointer.restore(start(1).checkpoint)
    arrays = result.checkpoint.arrays()
    assert {"params/latents", "state/layers.1.mean", "key"} < arrays.keys()
    assert any(name.startswith("opt_state/") for name in arrays)
    for name, array in found.arrays().items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == arrays[name].dtype
    assert (found.step, found.iterator) == (8, {"place": 8})
    assert jax.random.key_impl(found.key) == jax.random.key_impl(result.checkpoint.key)
    assert checkpointer.restore(start(1).checkpoint, step=4).step == 4


def test_only_the_newest_are_kept(start, tmp_path):
    start(14, tmp_path / "run")
    assert sorted(p.name for p in (tmp_path / "run").glob("step_*")) == ["step_00000012", "step_00000014"]


def test_nothing_there_yet(start, tmp_path):
    assert Checkpointer(tmp_path / "new", fingerprint={}).restore(start(1).checkpoint) is None


def victims(folder):
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def test_every_file_is_guarded(saved, start, tmp_path):
    """A flipped bit, a missing file, a cut file: each is named, whichever file it is."""
    like = start(1).checkpoint
    whole = tmp_path / "run"
    names = [path.relative_to(whole) for path in victims(whole / "step_00000008")]
    for number, name in enumerate(names):
        for harm in ("flip", "remove", "cut"):
            folder = tmp_path / f"{number}-{harm}"
            shutil.copytree(whole, folder)
            content = (folder / name).read_bytes()
            if harm == "remove":
                (folder / name).unlink()
            elif not content:
                continue
            else:
                changed = content[: len(content) // 2] if harm == "cut" else bytes([content[0] ^ 1]) + content[1:]
                (folder / name).write_bytes(changed)
            with pytest.raises(CheckpointError, match=r"step_00000008 is corrupt or foreign.*Nothing was loaded") as e:
                Checkpointer(folder, fingerprint=FINGERPRINT).restore(like)
            assert "goes on from step_00000004" in str(e.value)
            assert name.name in str(e.value) or name.name == MANIFEST


def test_going_on_from_the_one_before(saved, start, assert_same, tmp_path):
    result, checkpointer = saved
    shutil.rmtree(checkpointer.path(8))
    assert_same(start(8, tmp_path / "run"), result)


def test_an_extra_file_is_foreign(saved, start):
    _, checkpointer = saved
    (checkpointer.path(8) / "arrays" / "stranger").write_text("hello")
    with pytest.raises(CheckpointError, match="files that are not its own: arrays/stranger"):
        checkpointer.restore(start(1).checkpoint)


def test_a_manifest_with_another_content(saved, start):
    _, checkpointer = saved
    path = checkpointer.path(8) / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["body"]["step"] = 800
    path.write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="does not have the sha256 that it names"):
        checkpointer.restore(start(1).checkpoint)


def test_another_configuration(saved, start, tmp_path):
    with pytest.raises(CheckpointError, match="made with another data, so going on"):
        start(9, tmp_path / "run", fingerprint={"config": "a", "data": "other"})
    with pytest.raises(CheckpointError, match="another code and another config"):
        start(9, tmp_path / "run", fingerprint={"config": "x", "data": "b", "code": "c"})


def test_another_code_can_be_accepted(saved, start, tmp_path):
    result, _ = saved
    new = {"config": "a", "data": "b", "code": "c"}
    with pytest.raises(CheckpointError, match=r"another code, so going on.*--accept-code-change"):
        start(9, tmp_path / "run", fingerprint=new)
    lenient = Checkpointer(tmp_path / "run", fingerprint=new, may_differ=("code",))
    with pytest.warns(UserWarning, match="another code; the run goes on"):
        found = lenient.restore(start(1).checkpoint)
    assert found.step == result.checkpoint.step
    other = Checkpointer(tmp_path / "run", fingerprint=new | {"config": "x"}, may_differ=("code",))
    with pytest.raises(CheckpointError, match="another code and another config"):
        other.restore(result.checkpoint)


def test_another_model(saved, start, tmp_path):
    """Same fingerprint, other shapes: refused before anything is read."""
    with pytest.raises(CheckpointError, match=r"of another model or optimiser.*float32\(3, 8\).*float32\(3, 16\)"):
        start(9, tmp_path / "run", width=16)


def test_a_foreign_folder(start, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("x")
    with pytest.raises(CheckpointError, match=r"holds thesis.tex, but not the file perceiver_lab_run.json"):
        start(2, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made(start, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match=r"cannot be made.*Choose one that is writable"):
        start(2, tmp_path / "file" / "run")


def test_leftovers_of_a_killed_run_are_cleared(start, tmp_path):
    start(4, tmp_path / "run")
    leftover = tmp_path / "run" / ".saving-00000008-1"
    (leftover / "arrays").mkdir(parents=True)
    (leftover / "arrays" / "half").write_text("x")
    start(5, tmp_path / "run")
    assert not leftover.exists()


def test_one_writer(tmp_path):
    checkpointer = Checkpointer(tmp_path / "run", fingerprint={})
    other = "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with checkpointer.writing():
        process = subprocess.run([sys.executable, "-c", other, tmp_path / "run" / ".lock"], capture_output=True)
        assert b"BlockingIOError" in process.stderr
        with pytest.raises(CheckpointError, match="Another process is training into"), checkpointer.writing():
            pass


def test_keep_at_least_one(tmp_path):
    with pytest.raises(ValueError, match="keep must be at least 1, got 0"):
        Checkpointer(tmp_path, fingerprint={}, keep=0)
