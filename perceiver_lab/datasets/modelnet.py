"""ModelNet40: 40 classes of things as meshes in OFF files, from a folder that the user fetched."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from perceiver_lab.datasets.clouds import unit_cube
from perceiver_lab.datasets.surfaces import triangle_points

ORIGIN = "https://modelnet.cs.princeton.edu"
SPLITS = ("train", "test")
POINTS = 2048


def read_off(path: str | os.PathLike) -> tuple[Float64[np.ndarray, "v 3"], list[tuple[int, ...]]]:
    """Vertices and faces of a mesh in an OFF file of text.

    The file says OFF, then how many vertices, faces and edges there are, then three coordinates for each vertex, then
    for each face how many corners it has and which; what follows in a face's line, such as a colour, is not read. Lines
    that begin with # are comments. In some files of ModelNet40 the numbers follow OFF without a break, which is read.

    Returns:
      Coordinates, and for each face the numbers of its corners.

    Raises:
      ValueError: no OFF file, one that was cut short, or numbers that cannot be; the message names the file.
    """
    path = Path(path)
    lines = [line for line in path.read_bytes().decode("ascii", "replace").splitlines() if line.strip()]
    lines = [line.split() for line in lines if not line.lstrip().startswith("#")]
    if not lines or not lines[0][0].startswith("OFF"):
        begin = " ".join(lines[0])[:20] if lines else ""
        raise ValueError(f"{path} is no OFF file: it begins with {begin!r}, not with 'OFF'.")
    rest = lines[0][0][3:]
    head = [*([rest] if rest else []), *lines[0][1:]]
    lines = [head, *lines[1:]] if head else lines[1:]
    try:
        num_vertices, num_faces = (int(one) for one in lines[0][:2])
    except (ValueError, IndexError) as error:
        found = " ".join(lines[0])[:20] if lines else ""
        raise ValueError(
            f"{path} should say after OFF how many vertices and faces it has; it says {found!r}."
        ) from error
    if min(num_vertices, num_faces) < 1 or len(lines) < 1 + num_vertices + num_faces:
        raise ValueError(
            f"{path} announces {num_vertices} vertices and {num_faces} faces, at least one of each, but has "
            f"{len(lines) - 1} lines for them. It was cut short: fetch it again from {ORIGIN}."
        )
    return _vertices(path, lines[1 : 1 + num_vertices]), _faces(
        path, lines[1 + num_vertices :][:num_faces], num_vertices
    )


def _vertices(path, lines):
    try:
        vertices = np.array([[float(one) for one in line[:3]] for line in lines], np.float64)
    except ValueError as error:  # no numbers, or rows of different lengths
        raise ValueError(f"{path} has vertices that are not three numbers ({error}).") from error
    if vertices.shape[1:] != (3,) or not np.isfinite(vertices).all():
        raise ValueError(f"{path} has vertices that are not three finite numbers.")
    return vertices


def _faces(path, lines, num_vertices):
    faces = []
    for line in lines:
        try:
            count, *corners = (int(one) for one in line[: 1 + int(line[0])])
        except ValueError as error:
            raise ValueError(f"{path} has a face that is no list of whole numbers: {' '.join(line)[:40]!r}.") from error
        if count < 3 or len(corners) != count or not all(0 <= corner < num_vertices for corner in corners):
            raise ValueError(
                f"{path} has the face {' '.join(line)[:40]!r}; expected the number of its corners, at least 3, and as "
                f"many numbers of vertices from 0 to {num_vertices - 1}."
            )
        faces.append(tuple(corners))
    return faces


class Meshes(Sequence):
    """Meshes as records {"points": (2048, 3) float32, "label", "name"}: points are drawn when a record is asked for.

    The same points each time: those of record i come from `default_rng([i])`.
    """

    def __init__(self, files: Sequence[tuple[Path, int]], classes: Sequence[str]):
        """`files`: (path, class) of each; `classes`: their names."""
        self.files, self.classes = list(files), tuple(classes)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index):
        path, label = self.files[index]
        points = triangle_points(*read_off(path), POINTS, np.random.default_rng([index % len(self)]))
        return {"points": unit_cube(points).astype(np.float32), "label": label, "name": path.stem}


def modelnet40(folder: str | os.PathLike, split: str) -> Meshes:
    """The meshes of one split as point clouds, class by class.

    Args:
      folder: that was unpacked: with a folder for each class, in it "train" and "test", in them OFF files.
      split: "train" or "test".

    Returns:
      What `pipeline` reads: a sequence of records with "points", in the unit cube, "label" and "name".

    Raises:
      ValueError: another split.
      FileNotFoundError: the folder is incomplete; the message says where the set is to be had.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is unknown; ModelNet40 has {', '.join(map(repr, SPLITS))}.")
    root = Path(folder).expanduser()
    classes = sorted(path.name for path in root.glob("*") if (path / SPLITS[0]).is_dir())
    meshes = {name: sorted((root / name / split).glob("*.off")) for name in classes}
    empty = [name for name, found in meshes.items() if not found]
    if not classes or empty:
        what = f"no OFF files in {root / empty[0] / split}" if empty else f"no folders of classes in {root}"
        raise FileNotFoundError(
            f"There are {what}. Get ModelNet40.zip from {ORIGIN}, unpack it and name the folder that has a folder for "
            "each class, such as airplane/train/airplane_0001.off."
        )
    return Meshes([(path, label) for label, name in enumerate(classes) for path in meshes[name]], classes)
