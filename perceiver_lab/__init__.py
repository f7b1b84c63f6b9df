"""The Perceiver family in JAX and Flax: a library small enough to read in an afternoon, and the course built on it.

The rooms are imported when they are first named, so that `import perceiver_lab` costs next to nothing:

    >>> import perceiver_lab
    >>> "attend" in dir(perceiver_lab.ops)
    True
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"

ROOMS = (
    "ops",
    "layers",
    "adapters",
    "models",
    "datasets",
    "presets",
    "training",
    "generation",
    "introspect",
    "convert",
    "figures",
    "explorers",
    "recipes",
    "course",
)

__all__ = ["__version__", *ROOMS]


def __getattr__(name: str) -> ModuleType:
    if name in ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its rooms are {', '.join(ROOMS)}")


def __dir__() -> list[str]:
    return sorted([*globals(), *ROOMS])
