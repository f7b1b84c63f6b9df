"""Multimodal models, declared: each modality or task with its adapters, rates and loss (2107.14795, section 4.3)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from flax import nnx
from jaxtyping import Array, Float, Int, Shaped

from perceiver_lab.adapters.grouped_queries import MultimodalQueries
from perceiver_lab.adapters.multimodal import MultimodalInput
from perceiver_lab.adapters.outputs import QueryOutput

Loss = Callable[[Array, Array], Array]


@dataclass(frozen=True, kw_only=True)
class Modality:
    """One modality that is read, asked for, or both; a task is a modality that is only asked for.

    Attributes:
      name: under which batches, outputs and losses have it.
      input_adapter: reads it; None if it is only asked for.
      queries: ask for it; None if it is only read.
      output_adapter: makes the output of its decoded queries; None leaves them as they are.
      mask_rate: chance with which each of its elements is hidden behind a learned token, in evaluation too; None for no
        token at all. The released auto-encoder hides the label at rate 1.
      drop_rate: chance with which an example loses it altogether in training.
      loss: (output, target) -> one number, such as `training.cross_entropy`; None if it has no part in the loss.
      loss_weight: factor of that in the sum.

    Raises:
      ValueError: neither read nor asked for, or something that needs the adapter which is not there.
    """

    name: str
    input_adapter: nnx.Module | None = None
    queries: nnx.Module | None = None
    output_adapter: QueryOutput | None = None
    mask_rate: float | None = None
    drop_rate: float = 0.0
    loss: Loss | None = None
    loss_weight: float = 1.0

    def __post_init__(self):
        unread = self.input_adapter is None and (self.mask_rate is not None or self.drop_rate)
        unasked = self.queries is None and (self.output_adapter is not None or self.loss is not None)
        if unread or unasked or (self.input_adapter is None and self.queries is None):
            raise ValueError(
                f"The modality {self.name!r} must have an input_adapter to be read, masked or dropped, and queries to "
                "be asked for, to have an output_adapter or a loss; and at least one of the two."
            )


class MultimodalOutput(nnx.Module):
    """Decoded queries of several groups -> a dict of their outputs; the counterpart of `MultimodalQueries`."""

    def __init__(self, parts: Mapping[str, QueryOutput | None]):
        """`parts`: name -> output adapter, or None for a group whose decoded queries are the output."""
        self.names = tuple(sorted(parts))
        self.parts = nnx.data({name: QueryOutput() if parts[name] is None else parts[name] for name in self.names})

    def each(
        self,
        decoded: Mapping[str, Float[Array, "b _ e"]],
        *,
        embedding: Float[Array, "v d"] | Mapping[str, Float[Array, "_ _"]] | None = None,
    ) -> dict[str, Float[Array, "b _ _"]]:
        """What every query becomes on its own, group by group.

        Args:
          decoded: by group.
          embedding: the input adapter's table, or its tables by modality.

        Raises:
          ValueError: a group that this adapter does not have.
        """
        self._check(decoded)
        tables = embedding if isinstance(embedding, Mapping) else dict.fromkeys(self.names, embedding)
        return {name: self.parts[name].each(part, embedding=tables.get(name)) for name, part in decoded.items()}

    def join(
        self, rows: Mapping[str, Float[Array, "b _ _"]], *, whole: Mapping[str, bool] | None = None
    ) -> dict[str, Float[Array, "b ..."]]:
        """What all queries of each group become together; `whole` by group, by default all are."""
        self._check(rows)
        whole = dict.fromkeys(rows, True) if whole is None else whole
        return {name: self.parts[name].join(part, whole=whole[name]) for name, part in rows.items()}

    def __call__(
        self,
        decoded: Float[Array, "b o e"],
        *,
        sizes: Mapping[str, int],
        embedding: Float[Array, "v d"] | Mapping[str, Float[Array, "_ _"]] | None = None,
        whole: Mapping[str, bool] | None = None,
    ) -> dict[str, Float[Array, "b ..."]]:
        """Split (B, O, E) by the numbers of queries, `MultimodalQueries.sizes`, and make each group's output.

        Raises:
          ValueError: sizes that do not add up.
        """
        if sum(sizes.values()) != decoded.shape[1]:
            raise ValueError(
                f"The groups {dict(sizes)} do not add up to {decoded.shape[1]} decoded queries: give the sizes of the "
                "call that made the queries, queries.sizes(inputs, cells=..., positions=...)."
            )
        parts, start = {}, 0
        for name, size in sizes.items():
            parts[name], start = decoded[:, start : start + size], start + size
        return self.join(self.each(parts, embedding=embedding), whole=whole)

    def select(
        self, targets: Mapping[str, Shaped[Array, "b ..."]], cells: Mapping[str, Int[Array, "..."]] | None = None
    ) -> dict[str, Shaped[Array, "b ..."]]:
        """Of whole targets by group, the parts that answers for `cells` are compared with."""
        cells = {} if cells is None else cells
        return {name: self.parts[name].select(target, cells.get(name)) for name, target in targets.items()}

    def _check(self, groups):
        if set(groups) - set(self.names):
            raise ValueError(
                f"These outputs are of the groups {list(self.names)}; got {sorted(groups)}. Give every group of "
                "queries its output adapter."
            )


class MultimodalAdapters(NamedTuple):
    """What a multimodal Perceiver IO is made of; the input is None if no modality is read."""

    input_adapter: MultimodalInput | None
    queries: MultimodalQueries
    output_adapter: MultimodalOutput


def multimodal_adapters(
    modalities: Sequence[Modality], *, input_padding: int = 2, query_padding: int = 2, rngs: nnx.Rngs
) -> MultimodalAdapters:
    """The three adapters of a model that reads and reconstructs what is declared.

    Args:
      modalities: in any order; arrays have them in that of their names.
      input_padding: learned channels that the widest modality gets as an input; the released auto-encoder has 4.
      query_padding: the same of the queries; 2 there.
      rngs: for paddings and mask tokens.

    Raises:
      ValueError: a name given twice, or nothing to ask for.
    """
    names = [modality.name for modality in modalities]
    asked = {modality.name: modality for modality in modalities if modality.queries is not None}
    if len(set(names)) < len(names) or not asked:
        raise ValueError(f"modalities {names}: each needs a name of its own, and at least one of them queries.")
    read = {modality.name: modality for modality in modalities if modality.input_adapter is not None}
    masked: dict[str, Any] = {name: one.mask_rate for name, one in read.items() if one.mask_rate is not None}
    inputs = None
    if read:
        inputs = MultimodalInput(
            {name: one.input_adapter for name, one in read.items()},
            min_padding_size=input_padding,
            mask_rates=masked or None,
            drop_rates={name: one.drop_rate for name, one in read.items()},
            rngs=rngs,
        )
    groups = {name: one.queries for name, one in asked.items()}
    queries = MultimodalQueries(groups, min_padding_size=query_padding, rngs=rngs)
    output = MultimodalOutput({name: one.output_adapter for name, one in asked.items()})
    return MultimodalAdapters(inputs, queries, output)
