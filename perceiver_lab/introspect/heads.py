"""Heads that do not look at what is there: maps that are the same for every input."""

import numpy as np
from jaxtyping import Float


def position_share(weights: Float[np.ndarray, "b h n m"]) -> Float[np.ndarray, "h n"]:
    """How much of what tells a map from an even one is the same for every input.

    With a_i the map (m,) of input i, u = 1/m the even one, and means over inputs:

        share = |mean a_i - u|^2 / mean |a_i - u|^2

    One for a query whose map does not depend on the input: it looks at positions only. Near zero for one that looks
    each time elsewhere; at B inputs, chance alone leaves 1/B.

    Args:
      weights: of one layer on B inputs, as in `attention_maps`; rows sum to one.

    Returns:
      For every head and query, 0 to 1; 1 for a map that is even for all inputs.

    Raises:
      ValueError: fewer than two inputs, with which nothing can be compared.
    """
    if len(weights) < 2:
        raise ValueError(f"position_share compares maps of several inputs; got {len(weights)}. Give a larger batch.")
    apart = np.asarray(weights, np.float64) - 1 / weights.shape[-1]
    same, all_of_it = (apart.mean(axis=0) ** 2).sum(axis=-1), (apart**2).sum(axis=-1).mean(axis=0)
    return np.where(all_of_it > 0, same / np.where(all_of_it > 0, all_of_it, 1), 1.0)
