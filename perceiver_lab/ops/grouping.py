"""Groups: how the Hierarchical Perceiver cuts its inputs, joins groups and cuts them anew (2202.10890).

    image, 19 elements  ->  3 groups of 7: 2 rows of zeros after the last element, 1 at the end of every group
    audio,  8 elements  ->  1 group of 8
                            4 groups of 8 rows: (B, 4, 8, C)

No group mixes two modalities. Groups are runs of neighbours, in the order in which the modalities were named; that
order decides which group's latents read what.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

REGROUPINGS = ("reshape", "transpose_reshape")


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How one modality is cut into groups.

    Attributes:
      name: of the modality.
      size: its elements.
      num_groups: how many groups it gets; 1 also where it shares the only group with others.
      final_padding: rows of zeros after its last element.
      group_padding: rows of zeros at the end of each of its groups.
    """

    name: str
    size: int
    num_groups: int
    final_padding: int
    group_padding: int


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """How several modalities become one array (B, G, S, C).

    Attributes:
      cuts: of each modality, in order.
      group_size: S, rows per group.
      mixed: all modalities follow each other in one group, instead of each having groups of its own.
    """

    cuts: tuple[Cut, ...]
    group_size: int
    mixed: bool = False

    @property
    def num_groups(self) -> int:
        """G."""
        return 1 if self.mixed else sum(cut.num_groups for cut in self.cuts)


def cut_groups(sizes: Mapping[str, int], num_groups: int) -> Grouping:
    """Share a number of groups out among modalities, so that the largest group is as small as can be.

    Each modality gets one group; the others go one by one to the modality with the most elements per group, the first
    of equals. All groups are then filled up to the same size.

    Args:
      sizes: name -> elements, in the order that counts.
      num_groups: G.

    Raises:
      ValueError: no modality, an empty one, or more modalities than groups.
    """
    _check_sizes(sizes)
    if len(sizes) > num_groups:
        raise ValueError(
            f"{num_groups} groups cannot hold the {len(sizes)} modalities {list(sizes)}: no group mixes two of them. "
            f"Take at least {len(sizes)} groups at the first level, or a model of one level, which mixes them all."
        )
    counts = dict.fromkeys(sizes, 1)
    for _ in range(num_groups - len(sizes)):
        counts[max(sizes, key=lambda name: sizes[name] / counts[name])] += 1  # max gives the first of equals
    runs = {name: -(-size // counts[name]) for name, size in sizes.items()}
    group_size = max(runs.values())
    cuts = tuple(
        Cut(
            name=name,
            size=size,
            num_groups=counts[name],
            final_padding=counts[name] * runs[name] - size,
            group_padding=group_size - runs[name],
        )
        for name, size in sizes.items()
    )
    return Grouping(cuts=cuts, group_size=group_size)


def one_group(sizes: Mapping[str, int]) -> Grouping:
    """All modalities, one after the other, in a single group: what a Perceiver without hierarchy reads.

    Raises:
      ValueError: no modality, or an empty one.
    """
    _check_sizes(sizes)
    cuts = tuple(
        Cut(name=name, size=size, num_groups=1, final_padding=0, group_padding=0) for name, size in sizes.items()
    )
    return Grouping(cuts=cuts, group_size=sum(sizes.values()), mixed=True)


def group(x: Mapping[str, Shaped[Array, "b _ c"]], grouping: Grouping) -> Shaped[Array, "b g s c"]:
    """Modalities -> groups. Padding is zero, or False in a mask.

    Args:
      x: name -> (B, elements, C), all with the same B and C; in any order, that of `grouping` counts.
      grouping: from `cut_groups` or `one_group`.

    Raises:
      ValueError: other modalities, or another number of elements.
    """
    sizes = {cut.name: cut.size for cut in grouping.cuts}
    found = {name: rows.shape[1] for name, rows in x.items()}
    if found != sizes:
        raise ValueError(f"These groups are cut from modalities of so many elements: {sizes}; got {found}.")
    parts = []
    for cut in grouping.cuts:
        rows = jnp.pad(x[cut.name], ((0, 0), (0, cut.final_padding), (0, 0)))
        rows = rows.reshape(rows.shape[0], cut.num_groups, -1, rows.shape[-1])
        parts.append(jnp.pad(rows, ((0, 0), (0, 0), (0, cut.group_padding), (0, 0))))
    return jnp.concatenate(parts, axis=2 if grouping.mixed else 1)


def ungroup(x: Shaped[Array, "b g s c"], grouping: Grouping) -> dict[str, Shaped[Array, "b _ c"]]:
    """Groups -> modalities, without what was padded: the inverse of `group`.

    Raises:
      ValueError: another number of groups or rows.
    """
    if x.shape[1:3] != (grouping.num_groups, grouping.group_size):
        raise ValueError(
            f"ungroup wants (B, G, S, C) with {grouping.num_groups} groups of {grouping.group_size} rows; got shape "
            f"{x.shape}."
        )
    modalities, start = {}, 0
    for cut in grouping.cuts:
        length = cut.size if grouping.mixed else cut.num_groups
        part = jax.lax.slice_in_dim(x, start, start + length, axis=2 if grouping.mixed else 1)
        part = part[:, :, : part.shape[2] - cut.group_padding]
        modalities[cut.name] = part.reshape(x.shape[0], -1, x.shape[-1])[:, : cut.size]
        start += length
    return modalities


def regroup(x: Shaped[Array, "b g n c"], num_groups: int, how: str = "reshape") -> Shaped[Array, "b h k c"]:
    """The same rows in another number of groups: (B, G, N, C) -> (B, G', G * N / G', C).

    Args:
      x: groups.
      num_groups: G'.
      how: "reshape" merges neighbouring groups, or cuts a group into runs; "transpose_reshape" fills every new group
        with rows of all the old ones, wherever it can.

    Raises:
      ValueError: another `how`, or rows that cannot be shared out evenly.
    """
    b, g, n, c = x.shape
    if how not in REGROUPINGS:
        raise ValueError(f"regroup={how!r} is unknown; choose one of {', '.join(map(repr, REGROUPINGS))}.")
    if num_groups < 1 or (g * n) % num_groups:
        raise ValueError(
            f"{g} groups of {n} rows cannot be shared out among {num_groups} groups: {g * n} is no multiple of "
            f"{num_groups}."
        )
    x = x.swapaxes(1, 2) if how == "transpose_reshape" else x
    return x.reshape(b, num_groups, g * n // num_groups, c)


def _check_sizes(sizes):
    empty = [name for name, size in sizes.items() if size < 1]
    if empty or not sizes:
        raise ValueError(
            f"Groups are cut from modalities of at least one element each; got {dict(sizes)}. Leave out what is empty."
        )
