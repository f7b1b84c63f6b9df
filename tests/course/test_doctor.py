"""`perceiver-lab doctor`: all is well here, and each thing that can be wrong gets its sentence."""

import importlib.metadata
from collections import namedtuple

import pytest

from perceiver_lab import cli
from perceiver_lab.course import doctor
from perceiver_lab.datasets import shipped


def problems():
    return [finding.problem for finding in doctor.examine() if finding.problem]


def test_nothing_is_wrong_here(capsys):
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert (
        "jax " in out
        and "devices: " in out
        and f"data that ships: {len(shipped.SHIPPED_SHA256)} files" in out
        and out.endswith("no problems\n")
    )


def test_a_package_that_is_missing_or_old(monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name in ("optax", "mido"):
            raise importlib.metadata.PackageNotFoundError(name)
        return {"flax": "0.9.1", "jax": "0.10.0"}.get(name) or real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = {finding.about: finding.problem for finding in doctor._packages()}
    assert found["optax: missing, expected 0.2.5 or newer"].startswith("optax is missing: make setup")
    assert found["flax 0.9.1, expected 0.11.2 or newer"] == "flax 0.9.1 is too old: pip install 'flax>=0.11.2'."
    assert found["jax 0.10.0, expected 0.7.2 or newer"] == ""  # ten is more than seven
    assert found["mido: missing, expected 1.3 or newer (only for the chorales and MIDI files)"] == ""


def test_what_is_asked_for_is_the_same_in_a_wheel(monkeypatch, tmp_path):
    lines = ["jax>=0.7.2", "music21>=9.1; extra == 'music'"]
    monkeypatch.setattr(doctor, "__file__", str(tmp_path / "perceiver_lab" / "course" / "doctor.py"))
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: lines)
    assert [finding.about.split(" ")[0].rstrip(":") for finding in doctor._packages()] == ["jax", "music21"]


def test_every_requirement_can_be_read():
    for text in doctor.expected_packages():
        name, least, _ = doctor._REQUIREMENT.match(text).groups()
        assert name and least, text


def test_data_and_weights_that_changed(monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "data_root", lambda: tmp_path)
    (tmp_path / "mnist_test.labels").write_bytes(b"0123")
    found = [finding.problem for finding in doctor._data() if finding.problem]
    assert len(found) == len(shipped.SHIPPED_SHA256) and sum("is missing" in one for one in found) == len(found) - 1
    assert any("mnist_test.labels is not the file that the lab was made with" in one for one in found)

    recipe = doctor.recipes.get("copy_ar")
    whole = doctor.recipes.shipped_path("copy_ar")
    assert doctor._weights_problem(recipe, whole) == ""
    other = recipe.override({"model.num_latents": 8})
    assert "made by another version of the recipe" in doctor._weights_problem(other, whole)
    path = tmp_path / "copy_ar.safetensors"
    path.write_bytes(whole.read_bytes()[:-1])
    assert "Restore it" in doctor._weights_problem(recipe, path)
    path.with_suffix(".json").write_bytes(whole.with_suffix(".json").read_bytes())
    assert "copy_ar.safetensors was changed or cut short" in doctor._weights_problem(recipe, path)


def test_a_card_that_is_not_used(monkeypatch, tmp_path):
    assert doctor._devices().problem == "" or "NVIDIA" in doctor._devices().problem
    monkeypatch.setattr(doctor, "NVIDIA", tmp_path)
    assert "There is an NVIDIA card that JAX does not use" in doctor._devices().problem


@pytest.mark.parametrize(("free", "writable", "said"), [(2**29, True, "Less than 1 GiB"), (2**40, False, "written to")])
def test_a_cache_that_is_full_or_closed(monkeypatch, tmp_path, free, writable, said):
    monkeypatch.setenv("PERCEIVER_LAB_DATA_DIR", str(tmp_path / "not" / "there"))
    assert doctor._cache().problem == ""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage(2**41, 0, free))
    monkeypatch.setattr(doctor.os, "access", lambda path, how: writable)
    assert said in doctor._cache().problem
    assert not (tmp_path / "not").exists()  # looking makes nothing
