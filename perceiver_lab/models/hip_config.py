"""Sizes of a Hierarchical Perceiver (2202.10890), level by level."""

from dataclasses import dataclass

from perceiver_lab.layers.attention import check_heads
from perceiver_lab.ops.grouping import REGROUPINGS

PER_LEVEL = (
    "num_groups",
    "num_self_attends_per_block",
    "num_latents",
    "latent_channels",
    "num_self_heads",
    "num_cross_heads",
    "cross_widening_factor",
    "self_widening_factor",
)


@dataclass(frozen=True, kw_only=True)
class HiPConfig:
    """Sizes, one number per level where they differ: first the encoder's, in the middle the processor's.

    Attributes:
      num_groups: G; 1 in the middle, the same on the way down as on the way up.
      num_self_attends_per_block: layers after each reading.
      num_latents: N, of each group; the same on the way down as on the way up.
      latent_channels: D.
      num_self_heads, num_cross_heads: of either attention; a single number counts for all levels.
      cross_widening_factor, self_widening_factor: of either MLP; a single number counts for all levels.
      embedding_channels: E, width of embedded elements and of their positions: what the paper calls low-dimensional.
      project_positions: learned positions go through an E x E matrix first. (The release does so where its
        `num_position_encoding_channels` is given and is not E.)
      regroup: "reshape" or "transpose_reshape", see `ops.regroup`.
      num_train_latents: of the processor: training draws so many of its latents anew each time.
      num_eval_latents: of the processor: so many latents there are, of which training draws `num_latents`.
      dropout_rate: after attention and MLP of the latent layers, in training.
      drop_path_rate: chance of such a branch to be left out, per example, in training. Not made up for by scaling.

    Raises:
      ValueError: sizes that do not fit together, with the offending value.
    """

    num_groups: tuple[int, ...]
    num_self_attends_per_block: tuple[int, ...]
    num_latents: tuple[int, ...]
    latent_channels: tuple[int, ...]
    num_self_heads: int | tuple[int, ...]
    num_cross_heads: int | tuple[int, ...] = 1
    cross_widening_factor: int | tuple[int, ...] = 1
    self_widening_factor: int | tuple[int, ...] = 4
    embedding_channels: int
    project_positions: bool = False
    regroup: str = "reshape"
    num_train_latents: int | None = None
    num_eval_latents: int | None = None
    dropout_rate: float = 0.0
    drop_path_rate: float = 0.0

    def __post_init__(self):
        if self.num_levels % 2 == 0 or self.num_groups[self.processor] != 1:
            raise ValueError(
                f"num_groups={self.num_groups} must have an odd number of levels, with 1 group in the middle."
            )
        for name in PER_LEVEL:
            value = getattr(self, name)
            value = (value,) * self.num_levels if isinstance(value, int) else value
            object.__setattr__(self, name, value)
            if len(value) != self.num_levels or min(value) < 1:
                raise ValueError(f"{name}={value} must be a number of at least 1 for each of {self.num_levels} levels.")
        self._check_levels()
        self._check_latents()
        for name in ("dropout_rate", "drop_path_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 0 and below 1.")
        if self.regroup not in REGROUPINGS:
            raise ValueError(f"regroup={self.regroup!r} is unknown; choose one of {', '.join(map(repr, REGROUPINGS))}.")

    @property
    def num_levels(self) -> int:
        """Blocks in all."""
        return len(self.num_groups)

    @property
    def processor(self) -> int:
        """The number of the block in the middle."""
        return self.num_levels // 2

    @property
    def processor_latents(self) -> tuple[int, int]:
        """How many latents the processor uses in training, and in all."""
        count = self.num_latents[self.processor]
        return self.num_train_latents or count, self.num_eval_latents or count

    def _check_levels(self):
        for name in ("num_groups", "num_latents"):
            if getattr(self, name) != getattr(self, name)[::-1]:
                raise ValueError(f"{name}={getattr(self, name)} must be the same on the way down as on the way up.")
        for name, heads in (("num_self_heads", self.num_self_heads), ("num_cross_heads", self.num_cross_heads)):
            kv_channels = (self.embedding_channels, *self.latent_channels)
            for count, channels, kv in zip(heads, self.latent_channels, kv_channels, strict=False):
                check_heads(count, latent_channels=channels)
                if name == "num_cross_heads":
                    check_heads(count, kv_channels=kv)

    def _check_latents(self):
        count, (train, total) = self.num_latents[self.processor], self.processor_latents
        if None not in (self.num_train_latents, self.num_eval_latents) or not 1 <= train <= count <= total:
            raise ValueError(
                f"num_train_latents={self.num_train_latents} and num_eval_latents={self.num_eval_latents}: give one of "
                f"them, at most {count} for training or at least {count} in all."
            )
        for below, above in zip(range(self.num_levels - 1), range(1, self.num_levels), strict=True):
            counts = (train, total) if below == self.processor else (self.num_latents[below],)
            for latents in counts:
                if self.num_groups[below] * latents % self.num_groups[above]:
                    raise ValueError(
                        f"{self.num_groups[below]} groups of {latents} latents (level {below}) cannot be shared out "
                        f"among {self.num_groups[above]} groups (level {above})."
                    )
