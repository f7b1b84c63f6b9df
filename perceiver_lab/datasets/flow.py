"""Transforms of pairs of frames with their flow: records with "frames" (2, H, W, 3) and "flow" (H, W, 2)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from perceiver_lab.datasets.transforms import check_size

Record = dict[str, Any]


def scale_pair(record: Record, rng: np.random.Generator | None = None) -> Record:
    """Frames from uint8 to float32 in [-1, 1], as the release does it, and flow to float32.

    Raises:
      ValueError: frames that are not uint8.
    """
    frames = record["frames"]
    if frames.dtype != np.uint8:
        raise ValueError(f"scale_pair scales uint8 frames, and these are {frames.dtype}: were they scaled already?")
    scaled = frames.astype(np.float32) / np.float32(127.5) - 1
    return {**record, "frames": scaled, "flow": record["flow"].astype(np.float32)}


def mirror_pair(record: Record, rng: np.random.Generator) -> Record:
    """Mirror a pair left to right, top to bottom, both or neither, each equally likely; its flow with it.

    "layers" and "occluded" are mirrored too where the record has them.
    """
    mirrored = dict(record)
    for axis, component in ((1, 0), (0, 1)):  # columns with the flow to the right, rows with the flow down
        if not rng.integers(2):
            continue
        mirrored["frames"] = np.flip(mirrored["frames"], axis + 1)
        sign = np.ones(2, mirrored["flow"].dtype)
        sign[component] = -1
        mirrored["flow"] = np.flip(mirrored["flow"], axis) * sign
        for key in ("layers", "occluded"):
            if key in record:
                mirrored[key] = np.flip(mirrored[key], axis)
    return mirrored


def sample_flow(count: int) -> Callable[[Record, np.random.Generator], Record]:
    """Ask for the flow at `count` pixels only, drawn without replacement.

    Adds "cells" (count,) int32, the pixels' numbers row by row, and keeps of "flow" what is there: (count, 2). The
    frames stay whole; what else there is per pixel goes.
    """
    check_size("sample_flow", count)

    def sample(record, rng):
        height, width = record["flow"].shape[:2]
        if count > height * width:
            raise ValueError(
                f"sample_flow({count}) was given a flow of {height} x {width} = {height * width} pixels. Ask for at "
                "most as many as there are."
            )
        cells = rng.choice(height * width, count, replace=False, shuffle=False).astype(np.int32)
        flow = record["flow"].reshape(-1, 2)[cells]
        return {"frames": record["frames"], "flow": flow, "cells": cells}

    return sample
