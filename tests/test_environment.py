"""Every way to install gives the same versions, and the lower bounds are the ones that are proven."""

import pathlib
import re
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
CORE, DEV, COLAB = "requirements.lock", "requirements-dev.lock", "requirements-colab.txt"
NAME = r"^([A-Za-z0-9][A-Za-z0-9._-]*)"


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read(name: str) -> str:
    return (ROOT / name).read_text()


def pins(lock: str) -> dict[str, str]:
    """Package -> version of a lock; a package with two versions is an error."""
    found = re.findall(NAME + r"==(\S+)", read(lock), re.MULTILINE)
    assert len(found) == len(dict(found)), f"{lock} pins a package twice: outputs would differ between Python versions"
    return dict(found)


def wanted(requirements: str) -> dict[str, str]:
    """Package -> what a *.in file says about its version, which may be nothing."""
    return {normal(name): rest for name, rest in re.findall(NAME + r"(.*)$", read(requirements), re.MULTILINE)}


def lower_bounds(requirements: list[str]) -> dict[str, str]:
    found = (re.fullmatch(NAME + r">=([0-9.]+)", text) for text in requirements)
    return {normal(match[1]): match[2] for match in found}


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def project() -> dict:
    return tomllib.loads(read("pyproject.toml"))["project"]


def test_conda_takes_python_from_itself_and_everything_else_from_the_lock():
    text = read("environment.yml")
    entries = re.findall(r"^ +- (.*)$", text, re.MULTILINE)
    assert entries == ["conda-forge", "python=3.11", "pip", "pip:", f"-r {CORE}"]
    assert ">=3.11" in project()["requires-python"]


@pytest.mark.parametrize(
    ("requirements", "lock"),
    [("requirements.in", CORE), ("requirements-dev.in", DEV), ("requirements-colab.in", COLAB)],
)
def test_everything_asked_for_is_pinned_with_its_hash(requirements, lock):
    pinned = {normal(name) for name in pins(lock)}
    assert set(wanted(requirements)) <= pinned, "make lock"
    for block in re.split(r"\n(?=[a-z0-9])", read(lock).split("\n", 2)[2]):
        assert "--hash=sha256:" in block, block


def test_the_lock_with_test_tools_holds_the_lock_of_the_course():
    core, dev = pins(CORE), pins(DEV)
    assert {name: dev.get(name) for name in core} == core


def test_the_lock_of_colab_has_the_versions_that_colab_has():
    pinned = {normal(name): found for name, found in pins(COLAB).items()}
    exact = {name: rest.removeprefix("==") for name, rest in wanted("requirements-colab.in").items() if rest}
    assert exact["jax"] == "0.7.2"
    assert exact["flax"] == "0.11.2"
    assert {name: pinned[name] for name in exact} == exact


@pytest.mark.parametrize("lock", [CORE, COLAB])
def test_the_lower_bounds_are_met_by_what_is_proven(lock):
    bounds = lower_bounds(project()["dependencies"])
    assert len(bounds) == len(project()["dependencies"])
    pinned = {normal(name): found for name, found in pins(lock).items()}
    assert {name for name, bound in bounds.items() if version(pinned[name]) < version(bound)} == set()


def test_the_lower_bounds_are_colabs():
    bounds = lower_bounds(project()["dependencies"])
    assert (bounds["jax"], bounds["flax"]) == ("0.7.2", "0.11.2")
    said = {name: rest.removeprefix(">=") for name, rest in wanted("requirements.in").items() if rest}
    assert {name: bounds[name] for name in said} == said


def test_what_the_package_needs_is_in_the_lock_of_the_course():
    assert set(lower_bounds(project()["dependencies"])) <= {normal(name) for name in pins(CORE)}


def test_one_version_number():
    import perceiver_lab

    assert project()["version"] == perceiver_lab.__version__
    assert f"version: {perceiver_lab.__version__}" in read("CITATION.cff")
    assert f"## {perceiver_lab.__version__}" in read("CHANGELOG.md")


def test_the_authors_are_named_alike_and_no_address_is_invented():
    [author] = project()["authors"]
    assert f'name: "{author["name"]}"' in read("CITATION.cff")
    address = project().get("urls", {}).get("Repository", "")
    hosts = re.compile(r"(?:github\.com|gitlab\.com)[/:][\w.-]+/perceiver[-_]lab")
    for path in (*ROOT.glob("*.md"), *ROOT.glob("*.cff"), *ROOT.glob("notebooks/*.ipynb")):
        for found in hosts.findall(path.read_text()):
            assert address and found in address, f"{path.name} names {found}; pyproject.toml does not"
