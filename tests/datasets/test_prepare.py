"""Preparation is all or nothing, once, and whatever lies in the folder is checked before it is used."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perceiver_lab.datasets import content_sha256, data_hash, load
from perceiver_lab.datasets.prepare import MANIFEST, locked

FOLDER = Path("digits", "1.0.0")
OPEN = """
import sys
from perceiver_lab.datasets import load
print("ready", flush=True)
print(len(load("digits", "train", data_dir=sys.argv[1])))
"""


def test_a_set_is_prepared_once(tmp_path):
    load("digits", "train", data_dir=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / FOLDER).iterdir()}
    load("digits", "test", data_dir=tmp_path)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / FOLDER).iterdir()}
    assert not list(tmp_path.glob(".staging*"))


def test_two_processes_at_once(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TQDM_DISABLE": "1"}
    with locked(tmp_path, "digits"):  # both must wait at the lock, so that both want to prepare
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", OPEN, tmp_path], env=environment, text=True, stdout=-1, stderr=subprocess.PIPE
            )
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        time.sleep(2)
        assert all(process.poll() is None for process in processes) and not (tmp_path / FOLDER).exists()
    for process in processes:
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, output) == (0, "1500\n"), errors
    assert content_sha256("digits", data_dir=tmp_path) == data_hash("digits")


def test_what_another_version_prepared_is_prepared_anew(tmp_path, monkeypatch):
    """The records follow the library: a folder prepared before a change would give the old ones for ever."""
    from perceiver_lab.datasets import loading

    with monkeypatch.context() as earlier:
        earlier.setitem(loading.CONTENT_SHA256, "digits", "0" * 64)
        load("digits", "train", data_dir=tmp_path)
    before = (tmp_path / FOLDER / MANIFEST).read_text()
    assert len(load("digits", "train", data_dir=tmp_path)) == 1500
    assert "0" * 64 in before and data_hash("digits") in (tmp_path / FOLDER / MANIFEST).read_text()
    assert not list(tmp_path.glob(".staging*"))


def test_leftovers_of_a_run_that_died_do_no_harm(tmp_path):
    junk = tmp_path / ".staging-digits" / FOLDER
    junk.mkdir(parents=True)
    (junk / "dataset_info.json").write_text("half a fil")
    assert len(load("digits", "train", data_dir=tmp_path)) == 1500
    assert not (tmp_path / ".staging-digits").exists()


def test_a_failed_preparation_leaves_nothing_behind(tmp_path, monkeypatch):
    from perceiver_lab.datasets import shipped

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shipped, "small_digits", full)
    with pytest.raises(OSError, match="Preparing 'digits' in .* failed: .*No space left.*PERCEIVER_LAB_DATA_DIR"):
        load("digits", "train", data_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".digits.lock"]


@pytest.mark.parametrize("error", [ValueError, FileNotFoundError])
def test_what_is_wrong_with_shipped_data_is_said_as_it_is(error, tmp_path, monkeypatch):
    from perceiver_lab.datasets import shipped

    def broken(*_):
        raise error("mnist_train.png is not as it should be")

    monkeypatch.setattr(shipped, "mnist_digits", broken)
    with pytest.raises(error, match=r"mnist_train\.png is not as it should be") as caught:
        load("mnist_small", "train", data_dir=tmp_path)
    assert "Make room" not in str(caught.value)


def corrupt(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [(corrupt, "is corrupt"), (Path.unlink, "is missing"), (lambda path: path.write_bytes(b""), "is corrupt")],
)
def test_damaged_file_is_named(damage, message, tmp_path):
    load("digits", "train", data_dir=tmp_path)
    path = next((tmp_path / FOLDER).glob("digits-test*"))
    damage(path)
    with pytest.raises(ValueError, match=f"{path.name} {message}.*Delete the folder {tmp_path}"):
        load("digits", "train", data_dir=tmp_path)


def test_damaged_manifest_is_named(tmp_path):
    load("digits", "train", data_dir=tmp_path)
    (tmp_path / FOLDER / MANIFEST).write_text("[]")
    with pytest.raises(ValueError, match=f"{MANIFEST} is not readable as a manifest"):
        load("digits", "train", data_dir=tmp_path)


def test_a_stranger_in_the_sets_place_is_left_alone(tmp_path):
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "diary.txt").write_text("mine")
    with pytest.raises(ValueError, match=f"1.0.0 should hold the data set 'digits', but lacks the file {MANIFEST}"):
        load("digits", "train", data_dir=tmp_path)
    assert (tmp_path / FOLDER / "diary.txt").read_text() == "mine"


def test_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot be written to \(Not a directory.*PERCEIVER_LAB_DATA_DIR or data_dir="):
        load("digits", "train", data_dir=tmp_path / "file" / "data")
