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


def apply() -> None:
    """Set what is not set yet, LAB_MODE apart: a LAB_MODE from outside would change what is compared."""
    os.environ["LAB_MODE"] = ENVIRONMENT["LAB_MODE"]
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
