"""The Hierarchical Perceiver, HiP (2202.10890): groups of inputs are read apart and meet on the way up.

    {"image": (B, M, c), ...} --embed, add positions, cut into groups--> (B, 16, S, E)
    block 0   (B, 16, 128, 128) ------------ skip ------------> block 6   (B, 16, 128, 128)
    block 1   (B,  4, 256, 256) ------- skip ------> block 5    (B,  4, 256, 256)
    block 2   (B,  1, 256, 512) --- skip --> block 4            (B,  1, 256, 512)
                  block 3, the processor:  (B, 1, 64, 1024)
    head: the position of every element asks the last block's latents  -->  {"image": (B, M, c), ...}

It is an auto-encoder: every modality comes back out. What hides the inputs is outside (`training.masking`), and a
classifier is a label among the modalities. With a single level it is the release's flat baseline, its "PerceiverIO".
"""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from perceiver_lab.layers import labelled
from perceiver_lab.layers.linear import linear
from perceiver_lab.models.hip_config import HiPConfig
from perceiver_lab.models.hip_modalities import (
    Shapes,
    TablePositions,
    by_place,
    check_modalities,
    places,
    unembedding,
)
from perceiver_lab.models.hip_parts import GroupedCrossAttention, HiPBlock
from perceiver_lab.ops.grouping import cut_groups, group, one_group, regroup, ungroup


class HiP(nnx.Module):
    """Modalities in, the same modalities out, through a hierarchy of groups."""

    def __init__(
        self,
        config: HiPConfig,
        modalities: Shapes,
        *,
        output_channels: Mapping[str, int] | None = None,
        rngs: nnx.Rngs,
    ):
        """Put a model together.

        Args:
          config: sizes.
          modalities: name -> (elements M, channels c), in the order in which they get their groups. That order is part
            of the parameters' names, so that weights of another order are refused and not mixed up.
          output_channels: name -> width of an output that is not the input's c, such as the classes of a pixel.
          rngs: for the initial weights.

        Raises:
          ValueError: no modality, an empty one, more than there are groups; or the output of an unknown one.
        """
        widths = {name: channels for name, (_, channels) in modalities.items()}
        unknown = sorted(set(output_channels or {}) - set(widths))
        if unknown:
            raise ValueError(f"output_channels names {unknown}, but the modalities are {list(modalities)}.")
        sizes = {name: size for name, (size, _) in modalities.items()}
        embedded, project = config.embedding_channels, config.project_positions
        self.config, self.shapes = config, tuple(modalities.items())
        self.grouping = cut_groups(sizes, config.num_groups[0]) if config.num_levels > 1 else one_group(sizes)
        self.embeds = by_place({name: linear(width, embedded, rngs=rngs) for name, width in widths.items()})
        self.positions = by_place(
            {name: TablePositions(size, embedded, project=project, rngs=rngs) for name, size in sizes.items()}
        )
        self.blocks = nnx.data([_make_block(config, level, rngs) for level in range(config.num_levels)])
        self.head = GroupedCrossAttention(embedded, config.latent_channels[-1], use_query_residual=False, rngs=rngs)
        widths |= output_channels or {}
        self.unembeds = by_place({name: unembedding(embedded, width, rngs=rngs) for name, width in widths.items()})

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities that are read at the bottom, in order."""
        return tuple(name for name, _ in self.shapes)

    def embed(self, x: Mapping[str, Float[Array, "b _ _"]]) -> dict[str, Float[Array, "b _ e"]]:
        """Each modality (B, M, c), embedded and with its positions added: (B, M, E).

        Raises:
          ValueError: a modality that is unknown, missing or of another shape.
        """
        check_modalities(x, self.shapes)
        return {
            name: self.embeds[place](x[name]) + self.positions[place]()[None]
            for place, name in places(self.names).items()
        }

    def queries(self) -> dict[str, Float[Array, "_ e"]]:
        """The learned positions of each modality (M, E), which ask for the outputs; they hold no content."""
        return {name: self.positions[place]() for place, name in places(self.names).items()}

    def encode(
        self,
        inputs: Float[Array, "b g s e"],
        *,
        mask: Bool[Array, "b g s"] | None = None,
        extra: Float[Array, "b 1 _ _"] | None = None,
        rows: Int[Array, "b 1 _"] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> list[Float[Array, "b _ _ _"]]:
        """What every block up to the processor makes of the inputs, (B, G, N, D) each; the processor's is the last.

        Args:
          inputs: embedded elements in groups.
          mask: True = read by block 0; by default all are, padding included.
          extra: what the processor reads besides, as wide as the level below.
          rows: numbers of the processor's latents that are used; by default all, or those that training draws.
          train, rngs: as in `__call__`.
        """
        config, states, z = self.config, [], inputs
        for level in range(config.processor + 1):
            z = regroup(z, config.num_groups[level], config.regroup) if level else z
            if level == config.processor and extra is not None:
                z = jnp.concatenate([z, extra], axis=2)
            options = {"mask": None if level else mask, "rows": rows if level == config.processor else None}
            with labelled(f"block {level}"):
                z = self.blocks[level](z, train=train, rngs=rngs, **options)
            states.append(z)
        return states

    def decode(
        self, states: Sequence[Float[Array, "b _ _ _"]], *, train: bool = False, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "b g n d"]:
        """From the states that `encode` gives to the latents of the last block.

        Each block is skipped to from the one opposite; the processor and the head are not.
        """
        config, z = self.config, states[-1]
        for level in range(config.processor + 1, config.num_levels):
            z = regroup(z, config.num_groups[level], config.regroup)
            with labelled(f"block {level}"):
                z = self.blocks[level](z, skip=states[config.num_levels - 1 - level], train=train, rngs=rngs)
        return z

    def reconstruct(self, latents: Float[Array, "b g n d"]) -> dict[str, Float[Array, "b _ _"]]:
        """From the last block's latents to every element of every modality.

        At first all outputs are zero: so are the weights of the last layer, the only one with a gradient then.
        """
        queries = group({name: rows[None] for name, rows in self.queries().items()}, self.grouping)
        with labelled("head"):
            rows = self.head(jnp.broadcast_to(queries, (len(latents), *queries.shape[1:])), latents)
        rows = ungroup(rows, self.grouping)
        return {name: self.unembeds[place](rows[name]) for place, name in places(self.names).items()}

    def __call__(
        self,
        x: Mapping[str, Float[Array, "b _ _"]],
        *,
        mask: Mapping[str, Bool[Array, "b _"]] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Float[Array, "b _ _"]]:
        """Modalities -> their reconstructions.

        Args:
          x: name -> (B, M, c), elements in a row (images row by row). The mapping's own order plays no part.
          mask: name -> (B, M), True = valid; modalities left out are all valid. With a mask, what is not valid is not
            read, and neither is the groups' padding. Without one the padding is read, as in the release.
          train: dropout, drop path and the drawing of latents act.
          rngs: streams "dropout" and "latents".

        Raises:
          ValueError: a modality or mask that is unknown, missing or of another shape; or no rngs to draw latents with.
        """
        inputs = group(self.embed(x), self.grouping)
        states = self.encode(inputs, mask=self._grouped_mask(mask, len(inputs)), train=train, rngs=rngs)
        return self.reconstruct(self.decode(states, train=train, rngs=rngs))

    def _grouped_mask(self, mask, batch):
        if mask is None:
            return None
        sizes = {name: size for name, (size, _) in self.shapes}
        wrong = {name: valid.shape for name, valid in mask.items() if valid.shape != (batch, sizes.get(name))}
        if wrong or any(valid.dtype != jnp.bool_ for valid in mask.values()):
            raise ValueError(
                f"mask must hold bool arrays (B, M) with B = {batch} and M of {sizes}, True where an element is valid; "
                f"got { ({name: (valid.dtype.name, valid.shape) for name, valid in mask.items()}) }."
            )
        valid = {name: mask.get(name, jnp.ones((batch, size), bool)) for name, size in sizes.items()}
        return group({name: rows[..., None] for name, rows in valid.items()}, self.grouping)[..., 0]


class HiPClassBottleneck(HiP):
    """A HiP whose processor also reads labels, and is asked for them: classification as a modality.

    A label hidden behind zeros is answered with logits: `model({"image": x, "label": zeros})["label"]`.
    """

    def __init__(self, config: HiPConfig, modalities: Shapes, *, labels: Shapes, rngs: nnx.Rngs):
        """As `HiP`, and `labels`: name -> (elements, channels) of what is read at the processor, such as (1, classes).

        Raises:
          ValueError: as in `HiP`; a label that is empty or also a modality; or a model without a level below the
            processor.
        """
        super().__init__(config, modalities, rngs=rngs)
        if config.num_levels == 1 or set(labels) & set(modalities) or any(size < 1 for size, _ in labels.values()):
            raise ValueError(
                f"labels {dict(labels)} are read at the processor, above at least one other level (num_groups="
                f"{config.num_groups}); each has at least one element and a name of its own, besides {self.names}."
            )
        below, processed = (config.latent_channels[config.processor - back] for back in (1, 0))
        self.label_shapes = tuple(labels.items())
        self.label_embeds = by_place({name: linear(one[1], below, rngs=rngs) for name, one in labels.items()})
        self.label_positions = by_place(
            {name: TablePositions(one[0], below, rngs=rngs) for name, one in labels.items()}
        )
        self.label_unembeds = by_place({name: unembedding(below, one[1], rngs=rngs) for name, one in labels.items()})
        # One head answers for all labels.
        self.label_head = (
            GroupedCrossAttention(below, processed, use_query_residual=False, rngs=rngs) if labels else None
        )

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels, in order."""
        return tuple(name for name, _ in self.label_shapes)

    def embed_labels(self, x: Mapping[str, Float[Array, "b _ _"]]) -> dict[str, Float[Array, "b _ d"]]:
        """Each label, as wide as what the processor reads, with its positions added."""
        return {
            name: self.label_embeds[place](x[name]) + self.label_positions[place]()[None]
            for place, name in places(self.label_names).items()
        }

    def read_labels(self, processed: Float[Array, "b 1 n d"]) -> dict[str, Float[Array, "b _ _"]]:
        """What the processor's latents say about every label."""
        answers = {}
        for place, name in places(self.label_names).items():
            queries = self.label_positions[place]()[None, None]
            queries = jnp.broadcast_to(queries, (len(processed), *queries.shape[1:]))
            with labelled("label head"):
                answers[name] = self.label_unembeds[place](self.label_head(queries, processed)[:, 0])
        return answers

    def __call__(
        self,
        x: Mapping[str, Float[Array, "b _ _"]],
        *,
        mask: Mapping[str, Bool[Array, "b _"]] | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> dict[str, Float[Array, "b _ _"]]:
        """As in `HiP`; `x` also holds the labels, and what comes out holds them last."""
        check_modalities(x, self.shapes + self.label_shapes)
        inputs = group(self.embed({name: x[name] for name in self.names}), self.grouping)
        labels = list(self.embed_labels(x).values())
        states = self.encode(
            inputs,
            mask=self._grouped_mask(mask, len(inputs)),
            extra=jnp.concatenate(labels, axis=1)[:, None] if labels else None,
            train=train,
            rngs=rngs,
        )
        answers = self.read_labels(states[-1])
        return self.reconstruct(self.decode(states, train=train, rngs=rngs)) | answers


def _make_block(config, level, rngs):
    opposite = config.num_levels - 1 - level
    num_train, num_latents = None, config.num_latents[level]
    if level == config.processor:
        num_train, num_latents = config.processor_latents
    return HiPBlock(
        config.num_groups[level],
        num_latents,
        config.latent_channels[level],
        config.latent_channels[level - 1] if level else config.embedding_channels,
        num_self_attends=config.num_self_attends_per_block[level],
        num_cross_heads=config.num_cross_heads[level],
        num_self_heads=config.num_self_heads[level],
        cross_widening_factor=config.cross_widening_factor[level],
        self_widening_factor=config.self_widening_factor[level],
        skip_channels=config.latent_channels[opposite] if level > config.processor else None,
        num_train_latents=num_train,
        dropout_rate=config.dropout_rate,
        drop_path_rate=config.drop_path_rate,
        rngs=rngs,
    )
