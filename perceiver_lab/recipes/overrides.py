"""Settings from the command line: `model.num_latents=64` into a nest of frozen dataclasses."""

import ast
import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any


def parse(settings: list[str]) -> dict[str, str]:
    """["model.num_latents=64"] -> {"model.num_latents": "64"}.

    Raises:
      ValueError: an entry without "=".
    """
    parsed = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not (key and equals):
            raise ValueError(f"{setting!r} is no setting; write it as key=value, such as model.num_latents=64.")
        parsed[key.strip()] = value.strip()
    return parsed


def override(config: Any, key: str, value: Any) -> Any:
    """A copy of `config` with one value replaced.

    Args:
      config: a frozen dataclass or a mapping, holding others.
      key: the way to the value, with dots.
      value: the new one; a text is read as a Python literal of the kind that the old value has.

    Raises:
      ValueError: no such key (near ones are named), or a value of another kind.
    """
    return _replace(config, key.split("."), value, key)


def _replace(config, path, value, whole):
    first, *rest = path
    entries = _entries(config)
    if entries is None or first not in entries:
        known = sorted(_all_keys(config))
        prefix = whole.removesuffix(".".join(path))
        near = difflib.get_close_matches(".".join(path), known, n=3, cutoff=0.4)
        said = f"Did you mean {' or '.join(repr(prefix + one) for one in near)}?" if near else ""
        there = f"There is {', '.join(prefix + one for one in known[:30])}." if known else "It holds nothing to set."
        raise ValueError(f"There is no setting {whole!r}. {said or there}")
    old = entries[first]
    if rest:
        new = _replace(old, rest, value, whole)
    elif dataclasses.is_dataclass(old) or isinstance(old, Mapping):
        inner = ", ".join(f"{whole}.{name}" for name in _all_keys(old))
        raise ValueError(f"{whole!r} is a group of settings; set one of {inner}.")
    else:
        new = _typed(value, old, whole)
    if dataclasses.is_dataclass(config):
        return dataclasses.replace(config, **{first: new})
    return {**config, first: new}


def _entries(config):
    if dataclasses.is_dataclass(config):
        return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return config if isinstance(config, Mapping) else None


def _all_keys(config):
    keys = []
    for name, value in (_entries(config) or {}).items():
        inner = _all_keys(value)
        settable = value is None or isinstance(value, bool | int | float | str | tuple)
        keys += [f"{name}.{one}" for one in inner] if inner else [name] if settable else []
    return keys


def _typed(value, old, key):
    if isinstance(value, str) and not isinstance(old, str):
        try:
            value = ast.literal_eval(value.capitalize() if value in ("true", "false", "none") else value)
        except (ValueError, SyntaxError):
            if old is not None:
                raise ValueError(f"{key}={value} cannot be read; {_expected(old)}.") from None
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    # None is fine for any key here: a dataclass that does not want it says so itself.
    if old is not None and value is not None and type(value) is not type(old):
        raise ValueError(f"{key}={value!r} is of another kind; {_expected(old)}.")
    return value


def _expected(old):
    return f"expected {type(old).__name__}, such as {key_text(old)}"


def key_text(value: Any) -> str:
    """A value as one would type it."""
    return value if isinstance(value, str) else repr(value)
