"""Optical flow as others publish it: .flo files, and the folders of Sintel and FlyingChairs that a user downloaded.

Neither set may be passed on, so nothing of them ships: get them from their authors and name the folder.

    pairs = sintel("~/data/MPI-Sintel-complete", rendering="final")
    pairs[0]  # {"frames": (2, 436, 1024, 3) uint8, "flow": (436, 1024, 2) float32, "name": "alley_1/frame_0001"}

Flow is in pixels, to the right and down: the first frame at p shows what the second shows at p + flow[p].
"""

import io
import itertools
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

MAGIC = 202021.25  # as float32 its bytes read "PIEH"
UNKNOWN = 1e9  # a component larger than this means that the flow is not known there
_MAX_SIDE = 99_999  # as in the format's reference reader: more means a file with other contents

SINTEL = "http://sintel.is.tue.mpg.de (MPI-Sintel-complete.zip)"
CHAIRS = "https://lmb.informatik.uni-freiburg.de/resources/datasets/FlyingChairs.en.html"


def read_flo(path: str | os.PathLike) -> Float[np.ndarray, "h w 2"]:
    """Read a .flo file of the Middlebury benchmark: magic, width, height (int32), then (u, v) row by row, float32.

    Returns:
      (H, W, 2) float32, little-endian whatever the machine. Where the flow is unknown, NaN.

    Raises:
      FileNotFoundError: no such file.
      ValueError: another magic, impossible sides, or more or fewer bytes than they ask for.
    """
    content = Path(path).expanduser().read_bytes()
    if len(content) < 12:
        raise ValueError(
            f"{path} has {len(content)} bytes, less than the header of a .flo file (12). It was cut short."
        )
    magic, width, height = struct.unpack("<fii", content[:12])
    if magic != MAGIC:
        raise ValueError(f"{path} is no .flo file: it begins with {content[:4]!r}, expected b'PIEH'.")
    if not (1 <= width <= _MAX_SIDE and 1 <= height <= _MAX_SIDE):
        raise ValueError(
            f"{path} says that it is {width} pixels wide and {height} high, which cannot be. It is corrupt."
        )
    expected = 12 + 8 * width * height
    if len(content) != expected:
        kind = "was cut short" if len(content) < expected else "has something appended"
        raise ValueError(
            f"{path} has {len(content)} bytes; {width} x {height} pixels take {expected}. It {kind}: fetch it again."
        )
    flow = np.frombuffer(content, "<f4", offset=12).reshape(height, width, 2).astype(np.float32)
    known = (np.abs(flow) <= UNKNOWN).all(axis=-1, keepdims=True)
    return np.where(known, flow, np.float32(np.nan))


def write_flo(path: str | os.PathLike, flow: Float[np.ndarray, "h w 2"]) -> None:
    """Write a .flo file; NaN becomes the format's mark for unknown flow.

    Raises:
      ValueError: another shape.
    """
    flow = np.asarray(flow, "<f4")
    if flow.ndim != 3 or flow.shape[-1] != 2 or 0 in flow.shape:
        raise ValueError(f"A .flo file holds a flow (H, W, 2); got shape {flow.shape}.")
    known = np.isfinite(flow).all(axis=-1, keepdims=True)
    body = np.where(known, flow, np.float32(10 * UNKNOWN)).astype("<f4")
    Path(path).expanduser().write_bytes(struct.pack("<fii", MAGIC, flow.shape[1], flow.shape[0]) + body.tobytes())


class FlowPairs(Sequence):
    """Pairs of frames with their flow, read and checked one by one as they are asked for.

    Records: {"frames": (2, H, W, 3) uint8, "flow": (H, W, 2) float32, "name": str}. A source for `pipeline`.
    """

    def __init__(self, entries: Sequence[tuple[str, Path, Path, Path]]):
        """`entries`: (name, first frame, second frame, flow)."""
        self.entries = tuple(entries)

    def __len__(self):
        return len(self.entries)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Read one pair.

        Raises:
          IndexError: no such pair. FileNotFoundError: a file is missing. ValueError: a file is corrupt, or the three do
            not belong together.
        """
        name, *frames, flow_path = self.entries[index]
        flow = read_flo(flow_path)
        return {"frames": np.stack([_read_image(path, flow.shape[:2]) for path in frames]), "flow": flow, "name": name}


def sintel(folder: str | os.PathLike, *, rendering: str = "clean") -> FlowPairs:
    """The training part of MPI Sintel (Butler et al. 2012), scene by scene: 1,041 pairs of 436 x 1024.

    Args:
      folder: what the archive unpacks to: it holds training/clean, training/final and training/flow.
      rendering: "clean" or "final" (with blur, fog and so on).

    Raises:
      ValueError: another rendering.
      FileNotFoundError: no such folder, or frames without their flow; the message says where to get the set.
    """
    if rendering not in ("clean", "final"):
        raise ValueError(f"rendering={rendering!r} is unknown; Sintel has 'clean' and 'final'.")
    root = Path(folder).expanduser() / "training"
    entries = []
    for scene in _folders(root / rendering, SINTEL):
        frames = sorted(scene.glob("frame_*.png"))
        for first, second in itertools.pairwise(frames):
            flow = root / "flow" / scene.name / f"{first.stem}.flo"
            entries.append((f"{scene.name}/{first.stem}", first, second, flow))
    return _complete(entries, root, SINTEL)


def flying_chairs(folder: str | os.PathLike, split: str = "train") -> FlowPairs:
    """FlyingChairs (Dosovitskiy et al. 2015): 22,232 training and 640 validation pairs of 384 x 512.

    Args:
      folder: holds data/00001_img1.ppm, 00001_img2.ppm, 00001_flow.flo... and FlyingChairs_train_val.txt.
      split: "train" or "validation", which that text file tells apart by 1 and 2, line by line.

    Raises:
      ValueError: another split, or a text file that does not fit the pairs.
      FileNotFoundError: no such folder, or frames without their flow; the message says where to get the set.
    """
    if split not in ("train", "validation"):
        raise ValueError(f"split={split!r} is unknown; FlyingChairs has 'train' and 'validation'.")
    root = Path(folder).expanduser()
    flows = sorted((root / "data").glob("*_flow.flo"))
    text = root / "FlyingChairs_train_val.txt"
    if not flows or not text.is_file():
        missing = text if flows else root / "data"
        raise FileNotFoundError(f"{missing} is missing or empty. Get the set from {CHAIRS} and name its folder.")
    marks = text.read_text().split()
    if len(marks) != len(flows) or not set(marks) <= {"1", "2"}:
        raise ValueError(
            f"{text} should have a 1 or a 2 for each of the {len(flows)} pairs in {root / 'data'}; it has {len(marks)} "
            f"words. One of the two is incomplete: fetch the set again."
        )
    wanted = {"train": "1", "validation": "2"}[split]
    entries = []
    for flow, mark in zip(flows, marks, strict=True):
        name = flow.name.removesuffix("_flow.flo")
        frames = (flow.with_name(f"{name}_img{number}.ppm") for number in (1, 2))
        if mark == wanted:
            entries.append((name, *frames, flow))
    return _complete(entries, root, CHAIRS)


def _folders(folder, origin):
    found = sorted(one for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []
    if not found:
        raise FileNotFoundError(f"{folder} is missing or empty. Get the set from {origin} and name its folder.")
    return found


def _complete(entries, root, origin):
    """The pairs, after checking that every file is there: better now than in the middle of a training."""
    missing = [path for _, *paths in entries for path in paths if not path.is_file()]
    if missing or not entries:
        what = f"{missing[0]} and {len(missing) - 1} other files are" if missing else f"Every pair of {root} is"
        raise FileNotFoundError(f"{what} missing. Get the set from {origin} and unpack all of it.")
    return FlowPairs(entries)


def _read_image(path, sides):
    """A frame of the size that its flow has.

    A few bytes can promise any size. So they are unpacked only where the size is right, and are read from memory: asked
    for the gigabytes of a damaged length, a file makes room for them.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(Path(path).read_bytes())) as image:
            found = image.size[::-1]
            if found == sides:
                return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"{path} cannot be read as an image ({error}). Fetch it again.") from error
    raise ValueError(
        f"{path} and its flow do not belong together: they have {found} and {sides} pixels. Fetch the set again."
    )
