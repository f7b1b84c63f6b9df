"""Every offline data set, prepared by two processes into the one folder that all tests and lessons read:

    .venv/bin/python tools/prepare_sets.py

What lies there is thrown away first: what is proved is what today's code prepares, not what an older one left.
"""

import multiprocessing
import shutil

import lab_environment

WORKERS = 2


def prepare(name: str) -> None:
    """Prepare one set. Without the tests' checks of types, which take longer than drawing it."""
    from perceiver_lab import datasets

    datasets.load(name, "all")


def main() -> None:
    lab_environment.apply()
    shutil.rmtree(lab_environment.ENVIRONMENT["PERCEIVER_LAB_DATA_DIR"], ignore_errors=True)
    from perceiver_lab import datasets

    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        for _ in pool.imap_unordered(prepare, reversed(datasets.names())):  # the lessons' latest sets are the largest
            pass


if __name__ == "__main__":
    main()
