"""The environment in which tests and lessons run: kernels and subprocesses inherit it."""

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
    # One folder of prepared data sets for all of them as well: a set is drawn once.
    "PERCEIVER_LAB_DATA_DIR": str(CACHE / "data"),
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "PYTHONHASHSEED": "0",
    "TQDM_DISABLE": "1",
    # Two workers share two cores.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


# One LAB_MODE decides what is compared, and the data folder is emptied: neither may be that of whoever runs the tests.
OURS = ("LAB_MODE", "PERCEIVER_LAB_DATA_DIR")


def apply() -> None:
    """Set what is not set yet, and what must be ours in any case."""
    os.environ.update({name: ENVIRONMENT[name] for name in OURS})
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
