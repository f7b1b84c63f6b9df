"""Queries of several kinds at once: modalities to reconstruct, tasks to solve."""

from collections.abc import Mapping

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from perceiver_lab.layers import LearnedPositions


class MultimodalQueries(nnx.Module):
    """Queries grouped by modality or task, each group told apart by a learned padding (2107.14795, section 3.2, I).

    Every group is widened to the same width by a learned vector after its channels; then the groups follow each other
    in the alphabetical order of their names. A task with one answer, such as a class, is a group of one learned query:

        MultimodalQueries({
            "class": PositionQueries(LearnedPositions((1,), 32, rngs=rngs)),
            "image": PositionQueries(FourierPositions((48, 48), num_bands=16)),
        }, rngs=rngs)

    `features`, `cells` and `positions` of a call are mappings from group to what that group's own adapter takes; groups
    that are not named ask for all they have. A group with an empty selection of cells is not asked at all.
    """

    def __init__(self, groups: Mapping[str, nnx.Module], *, min_padding_size: int = 2, rngs: nnx.Rngs):
        """Put query adapters together.

        Args:
          groups: name -> query adapter.
          min_padding_size: learned channels that the widest group gets.
          rngs: for the paddings.

        Raises:
          ValueError: no group, or one without any padding.
        """
        if not groups or min_padding_size < 1:
            raise ValueError(
                f"MultimodalQueries got the groups {sorted(groups)} and min_padding_size={min_padding_size}: there "
                "must be at least one group, and at least one channel of padding to tell it by."
            )
        self.names = tuple(sorted(groups))
        self.groups = nnx.data({name: groups[name] for name in self.names})
        self.num_channels = max(group.num_channels for group in groups.values()) + min_padding_size
        widths = {name: self.num_channels - groups[name].num_channels for name in self.names}
        self.paddings = nnx.data({name: LearnedPositions((1,), width, rngs=rngs) for name, width in widths.items()})
        self.needs_inputs = any(group.needs_inputs for group in groups.values())

    @property
    def feature_channels(self) -> dict[str, int]:
        """Of each group, the width of the input features that are part of its queries."""
        return {name: self.groups[name].feature_channels for name in self.names}

    def __call__(
        self,
        inputs: Float[Array, "b m c"],
        *,
        features: Mapping[str, Float[Array, "b _ _"]] | None = None,
        cells: Mapping[str, Int[Array, "..."]] | None = None,
        positions: Mapping[str, Float[Array, "b _ _"]] | None = None,
    ) -> Float[Array, "b o e"]:
        """The queries of all groups, one after the other; `sizes` of the same call tells where each begins.

        Raises:
          ValueError: names of groups that there are none of, and what the groups' adapters raise.
        """
        each = self.build_each(inputs, features=features, cells=cells, positions=positions)
        return jnp.concatenate(list(each.values()), axis=1)

    def build_each(
        self,
        inputs: Float[Array, "b m c"],
        *,
        features: Mapping[str, Float[Array, "b _ _"]] | None = None,
        cells: Mapping[str, Int[Array, "..."]] | None = None,
        positions: Mapping[str, Float[Array, "b _ _"]] | None = None,
    ) -> dict[str, Float[Array, "b _ e"]]:
        """Each group's padded queries by name, in order; groups that are not asked are left out."""
        options = {"features": features, "cells": cells, "positions": positions}
        chosen = self._by_group(**options)
        return {name: self._pad(name, self.groups[name](inputs, **given)) for name, given in chosen.items()}

    def sizes(self, inputs, *, cells=None, positions=None) -> dict[str, int]:
        """How many queries the same call makes of each group, in their order."""
        chosen = self._by_group(cells=cells, positions=positions)
        return {name: self.groups[name].num_queries(inputs, **given) for name, given in chosen.items()}

    def num_queries(self, inputs, *, cells=None, positions=None) -> int:
        """How many queries the same call makes."""
        return sum(self.sizes(inputs, cells=cells, positions=positions).values())

    def _by_group(self, **options):
        chosen = {name: {} for name in self.names}
        for option, values in options.items():
            values = {} if values is None else values
            if not isinstance(values, Mapping) or set(values) - set(self.names):
                given = sorted(values) if isinstance(values, Mapping) else type(values).__name__
                raise ValueError(
                    f"{option} of grouped queries is a mapping from the names {list(self.names)}; got {given}."
                )
            for name, value in values.items():
                if value is not None:
                    chosen[name][option] = value
        asked = {name: given for name, given in chosen.items() if 0 not in getattr(given.get("cells"), "shape", ())}
        if not asked:
            raise ValueError("Every group got an empty selection of cells: at least one query must be asked for.")
        return asked

    def _pad(self, name, queries):
        padding = self.paddings[name]()[None]
        padding = jnp.broadcast_to(padding, (*queries.shape[:2], padding.shape[-1]))
        return jnp.concatenate([queries, padding], axis=-1)
