"""Where data lies: what ships with the library, and what is prepared once into a cache folder."""

import os
from pathlib import Path


def data_root() -> Path:
    """The folder of shipped data and weights: `data/` beside the package, or `perceiver_lab/_data` in a wheel.

    Raises:
      FileNotFoundError: neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = (package.parent / "data", package / "_data")
    for folder in candidates:
        # A stranger's `data/` folder may lie beside an installed package, so the folder alone proves nothing.
        if (folder / "mnist_train.png").is_file():
            return folder
    raise FileNotFoundError(
        f"The data that ships with perceiver_lab is missing: looked for mnist_train.png in {candidates[0]} and "
        f"{candidates[1]}. Clone the repository again or reinstall the package; both carry the data folder."
    )


def cache_root() -> Path:
    """The folder into which data sets are prepared: nothing is created here.

    `$PERCEIVER_LAB_DATA_DIR`, else `$XDG_CACHE_HOME/perceiver_lab`, else `~/.cache/perceiver_lab`.
    """
    chosen = os.environ.get("PERCEIVER_LAB_DATA_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "perceiver_lab"
