"""What is installed, what is expected, and one sentence for each thing that is wrong: `perceiver-lab doctor`."""

import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from perceiver_lab import recipes
from perceiver_lab.datasets import cache_root, data_root
from perceiver_lab.datasets.shipped import SHIPPED_SHA256, read_shipped
from perceiver_lab.training import WeightsError, read_about

OLDEST = (3, 11)
LITTLE = 2**30  # bytes of free disk below which preparing a data set or saving a run may fail
NVIDIA = Path("/proc/driver/nvidia/version")  # there where the kernel drives such a card
EXTRAS = {"music": "the chorales and MIDI files", "lab": "JupyterLab", "tfds": "preparing other data sets of TFDS"}


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
      about: what there is, in a line.
      problem: what is wrong and how to mend it, in a sentence; empty if nothing is.
    """

    about: str
    problem: str = ""


def examine() -> Iterator[Finding]:
    """Look at Python, packages, devices, shipped data and weights, and the cache. Changes nothing, needs no network."""
    yield _python()
    yield from _packages()
    yield _devices()
    yield from _data()
    yield from _weights()
    yield from _results()
    yield _cache()


def _python():
    about = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {sys.executable}"
    if sys.version_info[:2] < OLDEST:
        return Finding(about, f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed: make setup PY=python3.12.")
    return Finding(about)


def _packages():
    for text in expected_packages():
        name, least, extra = _REQUIREMENT.match(text).groups()
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            about = f"{name}: missing, expected {least} or newer"
            if extra:
                yield Finding(f"{about} (only for {EXTRAS.get(extra, extra)})")
            else:
                yield Finding(about, f"{name} is missing: make setup, or pip install '{name}>={least}'.")
            continue
        about = f"{name} {found}, expected {least} or newer"
        old = _numbers(found) < _numbers(least)
        yield Finding(about, f"{name} {found} is too old: pip install '{name}>={least}'." if old else "")


_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)>=([0-9.]+)(?:\s*;\s*extra\s*==\s*['\"]([a-z]+)['\"])?")


def expected_packages() -> list[str]:
    """What the package asks for, "name>=version", further ones with '; extra == "name"' behind.

    From pyproject.toml in a checkout, else from the metadata of the installed package.
    """
    file = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        further = project["optional-dependencies"].items()
        return project["dependencies"] + [f'{one}; extra == "{extra}"' for extra, more in further for one in more]
    return importlib.metadata.requires("perceiver-lab") or []


def _numbers(version):
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _devices():
    import jax

    try:
        devices = jax.devices()
    except RuntimeError as error:
        return Finding("devices: none", f"JAX finds no device ({error}): unset JAX_PLATFORMS, or install jax[cuda12].")
    kinds = ", ".join(sorted({device.device_kind for device in devices}))
    about = f"devices: {len(devices)} x {kinds}, {os.cpu_count()} processor cores"
    if NVIDIA.exists() and all(device.platform == "cpu" for device in devices):
        return Finding(about, "There is an NVIDIA card that JAX does not use: pip install --upgrade 'jax[cuda12]'.")
    return Finding(about)


def _data():
    try:
        about = f"data that ships: {len(SHIPPED_SHA256)} files in {data_root()}"
    except FileNotFoundError as error:
        yield Finding("data that ships: missing", str(error))
        return
    yield Finding(about)
    for name in SHIPPED_SHA256:
        try:
            read_shipped(name)
        except (FileNotFoundError, ValueError) as error:
            yield Finding(f"{name}: not as it shipped", str(error))


def _weights():
    good = 0
    for name in recipes.names():
        if recipes.weights_ship(name):
            problem = _weights_problem(recipes.get(name), recipes.shipped_path(name))
            good += not problem
            if problem:
                yield Finding(f"weights of {name}: unusable", problem)
    yield Finding(f"weights that ship: {good} recipes")


def _weights_problem(recipe, path):
    try:
        about = read_about(path)
        whole = hashlib.sha256(path.read_bytes()).hexdigest() == about["sha256"]
    except (WeightsError, OSError, KeyError) as error:
        return f"{error}. Restore it with `git checkout -- data`."
    if not whole:
        return f"{path} was changed or cut short: restore it with `git checkout -- data`."
    if about.get("fingerprint") != recipe.fingerprint("full"):
        return f"{path.name} was made by another version of the recipe: perceiver-lab train {recipe.name} --mode full."
    return ""


def _results():
    results = [name for name in recipes.names() if recipes.result_path(name).exists()]
    for name in results:
        try:
            about = recipes.shipped_story(recipes.get(name))
        except WeightsError as error:
            yield Finding(f"result of {name}: unreadable", str(error))
            continue
        if about is None:
            again = f"perceiver-lab train {name} --mode full --ship result"
            yield Finding(f"result of {name}: of another version", f"another recipe of {name} made it: {again}.")
    yield Finding(f"results that ship without weights: {len(results)} recipes")


def _cache():
    folder = cache_root()
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    prepared = sorted(one.name for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []
    about = f"cache: {folder}, {len(prepared)} folders, {free / 2**30:.1f} GiB free"
    if not os.access(there, os.W_OK):
        return Finding(about, f"{there} cannot be written to: set PERCEIVER_LAB_DATA_DIR to a folder that can.")
    if free < LITTLE:
        return Finding(about, "Less than 1 GiB is free: make room, or set PERCEIVER_LAB_DATA_DIR to another disk.")
    return Finding(about)
