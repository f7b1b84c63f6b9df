"""Transforms of records with several modalities: what is hidden of them, and which of their outputs are asked for."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Record = dict[str, Any]
Transform = Callable[[Record, np.random.Generator], Record]


def scale_video(record: Record, rng: np.random.Generator | None = None) -> Record:
    """Scale "video" from uint8 to float32 in [-1, 1].

    Raises:
      ValueError: a video that is not uint8.
    """
    video = record["video"]
    if video.dtype != np.uint8:
        raise ValueError(f"scale_video scales uint8 videos, and this one is {video.dtype}: was it scaled already?")
    return {**record, "video": video.astype(np.float32) / np.float32(127.5) - 1}


def hide_one(names: Sequence[str], rate: float) -> Transform:
    """Hide one of the modalities `names` with a chance of `rate`, each as likely as the others, and never two.

    Adds "hidden_NAME", a bool, for each of them; what is hidden stays in the record, for it is still asked for.
    """
    if isinstance(names, str) or not names or not 0 <= rate <= 1:
        raise ValueError(f"hide_one({names!r}, {rate!r}): expected a tuple of names, and a rate from 0 to 1.")
    names = tuple(names)

    def hide(record, rng):
        missing = set(names) - set(record)
        if missing:
            raise ValueError(f"hide_one{(names, rate)} was given a record without {', '.join(sorted(missing))}.")
        chosen = int(rng.integers(len(names))) if rng.random() < rate else None
        return {**record, **{f"hidden_{name}": np.bool_(place == chosen) for place, name in enumerate(names)}}

    return hide


def ask_some(name: str, count: int, of: int) -> Transform:
    """Ask for `count` of the `of` outputs of a modality, drawn without replacement: "NAME_cells" (count,) int32."""
    whole = all(isinstance(number, int | np.integer) and not isinstance(number, bool) for number in (count, of))
    if not whole or not 1 <= count <= of:
        raise ValueError(
            f"ask_some({name!r}, {count!r}, of={of!r}): expected whole numbers, at least 1 and at most as many as "
            "there are."
        )

    def ask(record, rng):
        cells = rng.choice(of, count, replace=False, shuffle=False)
        return {**record, f"{name}_cells": cells.astype(np.int32)}

    return ask
