"""Settings for all tests. The environment is set before JAX starts; notebook kernels and subprocesses inherit it."""

import os
import pathlib

CACHE = pathlib.Path(__file__).resolve().parents[1] / ".cache"
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    # One compilation cache for all workers, kernels and runs, which keeps the many small programs of a test as well.
    "JAX_COMPILATION_CACHE_DIR": str(CACHE / "jax"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "LAB_MODE": "ci",
    "MPLBACKEND": "agg",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "PYTHONHASHSEED": "0",
    "TQDM_DISABLE": "1",
    # Two workers share two cores.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)

import jax  # noqa: E402
import jaxtyping  # noqa: E402
import pytest  # noqa: E402

jax.config.update("jax_default_matmul_precision", "highest")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Every annotated function of the library checks the shapes and dtypes of what it is given and gives back.
jaxtyping.install_import_hook("perceiver_lab", "beartype.beartype")


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
