"""What is emptied before the tests is their own folder, whatever the environment says."""

import contextlib
import multiprocessing
import os
import types

import lab_environment
import prepare_sets


def test_a_folder_that_the_user_named_is_left_alone(tmp_path, monkeypatch):
    theirs, ours, prepared = tmp_path / "theirs", tmp_path / "ours", []
    for folder in (theirs, ours):
        folder.mkdir()
        (folder / "kept").touch()
    monkeypatch.setenv("PERCEIVER_LAB_DATA_DIR", str(theirs))
    monkeypatch.setitem(lab_environment.ENVIRONMENT, "PERCEIVER_LAB_DATA_DIR", str(ours))
    pool = types.SimpleNamespace(imap_unordered=lambda call, names: prepared.extend(names) or ())
    context = types.SimpleNamespace(Pool=lambda workers: contextlib.nullcontext(pool))
    monkeypatch.setattr(multiprocessing, "get_context", lambda how: context)
    prepare_sets.main()
    assert (theirs / "kept").exists() and not ours.exists()
    assert os.environ["PERCEIVER_LAB_DATA_DIR"] == str(ours) and "captions" in prepared
