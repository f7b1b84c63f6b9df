"""Finding presets by name."""

import difflib
from collections.abc import Callable

from flax import nnx

Preset = Callable[..., nnx.Module]  # called with `rngs=nnx.Rngs(seed)`: a model with its adapters

_PRESETS: dict[str, Preset] = {}


def register(*presets: Preset) -> None:
    """Make presets known under the names of their functions.

    Raises:
      ValueError: a name that is taken.
    """
    for preset in presets:
        if preset.__name__ in _PRESETS:
            raise ValueError(f"There is a preset {preset.__name__!r} already. Give the new one another name.")
        _PRESETS[preset.__name__] = preset


def names() -> tuple[str, ...]:
    """The names of all presets, sorted."""
    return tuple(sorted(_PRESETS))


def get(name: str) -> Preset:
    """A preset by name; call it with `rngs=nnx.Rngs(seed)`.

    Raises:
      ValueError: no such preset; near names are suggested.
    """
    if name not in _PRESETS:
        near = difflib.get_close_matches(str(name), _PRESETS, n=3)
        said = f"Did you mean {' or '.join(repr(one) for one in near)}? " if near else ""
        raise ValueError(f"There is no preset {name!r}. {said}The presets are {', '.join(names())}.")
    return _PRESETS[name]
