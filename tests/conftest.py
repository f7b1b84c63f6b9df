"""Settings for all tests. The environment is set before JAX starts; subprocesses inherit it."""

import os
import pathlib

import lab_environment

lab_environment.apply()
os.environ.setdefault("MPLBACKEND", "agg")

import hypothesis  # noqa: E402
import jax  # noqa: E402
import jaxtyping  # noqa: E402
import pytest  # noqa: E402

import lab_server  # noqa: E402

jax.config.update("jax_default_matmul_precision", "highest")
jax.config.update("jax_numpy_rank_promotion", "raise")

# How long an example takes is the machine's business.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

# Every annotated function of the library checks the shapes and dtypes of what it is given and gives back.
jaxtyping.install_import_hook("perceiver_lab", "beartype.beartype")


MAPPINGS = pathlib.Path("/proc/self/maps")


@pytest.fixture(autouse=True, scope="module")
def _compiled_programs_forgotten():
    """Forget what is compiled once it holds many memory mappings: Linux allows a process 65,530, and XLA dies there."""
    yield
    if MAPPINGS.exists() and MAPPINGS.read_text().count("\n") > 16_000:
        jax.clear_caches()


@pytest.fixture(scope="session")
def browser():
    """The one Chromium of all tests; without one they fail with the line that installs it."""
    from playwright.sync_api import sync_playwright  # not there under Colab's versions

    chromium = lab_server.find_chromium()
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=list(lab_server.CHROMIUM_FLAGS))


@pytest.fixture
def unchecked():
    """Turn the checks of types off: a user has none, and hears the library's own message."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(autouse=True)
def _messages_unchecked(request):
    """Use `unchecked` in every test that calls `pytest.raises`."""
    function = getattr(request, "function", None)
    if function is not None and "raises" in function.__code__.co_names:
        request.getfixturevalue("unchecked")


def pytest_runtest_setup(item):
    """Small tests spend their time in the compiler: they do without its optimisations, which parity and slow tests get.

    What users run is what parity compares; what is slow because it computes would be slower still.
    """
    optimised = "parity" in item.path.parts or item.get_closest_marker("slow") is not None
    jax.config.update("jax_disable_most_optimizations", not optimised)


def pytest_collection_modifyitems(items):
    """The longest file first, so that no worker is left with it at the end."""
    items.sort(key=lambda item: "test_tree_mode" not in item.nodeid)
