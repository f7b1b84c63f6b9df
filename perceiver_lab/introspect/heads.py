"""Heads that do not look at what is there: maps that are the same for every example."""

import numpy as np
from jaxtyping import Float


def position_share(weights: Float[np.ndarray, "b h n m"]) -> Float[np.ndarray, "h n"]:
    """How much of what tells a map from an even one is the same for every example.

    With a_i the map (m,) of example i, u = 1/m the even one, and means over examples:

        share = |mean a_i - u|^2 / mean |a_i - u|^2

    One for a query whose map does not depend on the example: it looks at positions only. Near zero for one that looks
    each time elsewhere; at b examples, chance alone leaves 1/b.

    Args:
      weights: of one layer on b examples, as in `attention_maps`; rows sum to one.

    Returns:
      For every head and query, 0 to 1; 1 for a map that is even for all examples.

    Raises:
      ValueError: fewer than two examples, with which nothing can be compared.
    """
    if len(weights) < 2:
        raise ValueError(f"position_share compares maps of several examples; got {len(weights)}. Give a larger batch.")
    apart = np.asarray(weights, np.float64) - 1 / weights.shape[-1]
    same, all_of_it = (apart.mean(axis=0) ** 2).sum(axis=-1), (apart**2).sum(axis=-1).mean(axis=0)
    return np.where(all_of_it > 0, same / np.where(all_of_it > 0, all_of_it, 1), 1.0)
