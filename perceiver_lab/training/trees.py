"""Names and checksums for the leaves of parameter, state and optimiser trees."""

import hashlib
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

# An nnx variable is a tree node with one child; in a name this last step says nothing.
_VARIABLE_CHILD = ("value", "raw_value")


def leaf_name(path: tuple) -> str:
    """The dotted name of a leaf, such as "blocks.0.attention.query.kernel", from its JAX key path."""
    keys = list(path)
    if keys and isinstance(keys[-1], jax.tree_util.GetAttrKey) and keys[-1].name in _VARIABLE_CHILD:
        keys.pop()
    return ".".join(_key_text(key) for key in keys)


def named_leaves(tree: Any) -> dict[str, Any]:
    """All leaves of a tree by name, in the order of JAX.

    Raises:
      ValueError: two leaves have the same name (a dictionary key that holds a dot).
    """
    leaves = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = leaf_name(path)
        if name in leaves:
            raise ValueError(f"Two leaves of this tree are called {name!r}. Rename one; a key must hold no dots.")
        leaves[name] = leaf
    return leaves


def with_leaves(tree: Any, leaves: dict[str, Any]) -> Any:
    """The same tree with each leaf replaced by the one of its name."""
    return jax.tree_util.tree_map_with_path(lambda path, _: leaves[leaf_name(path)], tree)


def array_sha256(array: Any) -> str:
    """The sha256 of an array's dtype, shape and bytes."""
    array = np.asarray(array)
    digest = hashlib.sha256(f"{array.dtype} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """What differs in names, shapes or dtypes between two sets of named arrays, one phrase each.

    Args:
      found: name -> anything with shape and dtype, as read from a file.
      expected: the same of the model that should receive them.
    """
    phrases = [f"{name} is missing" for name in _missing(found, expected)]
    phrases += [f"{name} is not part of the model" for name in _missing(expected, found)]
    for name in expected.keys() & found.keys():
        is_, should = found[name], expected[name]
        if tuple(is_.shape) != tuple(should.shape) or np.dtype(is_.dtype) != np.dtype(should.dtype):
            phrases.append(f"{name} is {_kind(is_)} where the model has {_kind(should)}")
    return sorted(phrases)


def shorten(phrases: Iterable[str], limit: int = 4) -> str:
    """At most `limit` phrases joined by "; ", and how many more there are."""
    phrases = list(phrases)
    more = f"; and {len(phrases) - limit} more" if len(phrases) > limit else ""
    return "; ".join(phrases[:limit]) + more


def _missing(names, among):
    return [name for name in among if name not in names]


def _kind(array):
    return f"{np.dtype(array.dtype).name}{tuple(array.shape)}"


def _key_text(key):
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)
