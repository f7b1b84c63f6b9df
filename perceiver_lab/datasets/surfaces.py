"""Ten surfaces in space, and points spread evenly over any surface. Synthetic: shapes and proportions are ours.

A surface is a list of patches, each a function from the unit square to space: (u, v) in [0, 1] -> (x, y, z). How many
points a stretch of it gets depends on its area alone, however the patch stretches the square.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Float64

# Numbers u and v of the same shape -> points, with an axis of three behind.
Patch = Callable[[Float64[np.ndarray, " k"], Float64[np.ndarray, " k"]], Float64[np.ndarray, "k 3"]]
CANDIDATES = 4  # points tried for each that is wanted
_STEP = 1e-4


def spread(patches: Sequence[Patch], count: int, rng: np.random.Generator) -> Float64[np.ndarray, "count 3"]:
    """Points at random places of a surface, every part of it as likely as it is large.

    Candidates lie evenly in the unit squares, and are drawn with the area that each stands for; a few of them twice.

    Args:
      patches: of the surface.
      count: of points.
      rng: the only source of chance.
    """
    tried = -(-CANDIDATES * count // len(patches))
    points, areas = [], []
    for patch in patches:
        u, v = rng.random((2, tried))
        here = patch(u, v)
        x, y = patch(u + _STEP, v) - here, patch(u, v + _STEP) - here
        points.append(here)
        areas.append(np.sqrt((np.cross(x, y) ** 2).sum(axis=-1)))
    return np.concatenate(points)[_draw(np.concatenate(areas), count, rng)]


def _draw(weights, count, rng):
    """Numbers of items, each drawn with its weight."""
    upto = np.cumsum(weights)
    return np.searchsorted(upto, rng.random(count) * upto[-1], side="right").clip(max=len(upto) - 1)


def _turned(radius, height) -> Patch:
    """A profile, given by its distance from the vertical axis and its height at v, turned around that axis by u."""

    def patch(u, v):
        return np.stack([radius(v) * np.cos(2 * np.pi * u), radius(v) * np.sin(2 * np.pi * u), height(v)], axis=-1)

    return patch


def _disc(height) -> Patch:
    return _turned(lambda v: v, lambda v: height + 0 * v)


def _quad(*corners) -> Patch:
    """Between four corners, in order; a triangle has one of them twice."""
    a, b, c, d = np.array(corners, np.float64)

    def patch(u, v):
        u, v = u[..., None], v[..., None]
        return (1 - u) * (1 - v) * a + u * (1 - v) * b + u * v * c + (1 - u) * v * d

    return patch


def sphere(rng: np.random.Generator) -> list[Patch]:
    """All around."""
    return [_turned(lambda v: np.sin(np.pi * v), lambda v: np.cos(np.pi * v))]


def bowl(rng: np.random.Generator) -> list[Patch]:
    """The lower part of a sphere, open: 40 to 55 % of its height."""
    depth = rng.uniform(0.44, 0.53)
    return [_turned(lambda v: np.sin(np.pi * depth * v), lambda v: -np.cos(np.pi * depth * v))]


def box(rng: np.random.Generator) -> list[Patch]:
    """Six faces."""
    size = rng.uniform(0.6, 1.0, 3)
    faces = []
    for axis in range(3):
        for side in (-1, 1):
            corners = np.full((4, 3), float(side))
            corners[:, (axis + 1) % 3], corners[:, (axis + 2) % 3] = (-1, 1, 1, -1), (-1, -1, 1, 1)
            faces.append(_quad(*(corners * size)))
    return faces


def cylinder(rng: np.random.Generator) -> list[Patch]:
    """Side and two ends."""
    height = rng.uniform(0.8, 1.6)
    return [_turned(lambda v: 1 + 0 * v, lambda v: height * (2 * v - 1)), _disc(height), _disc(-height)]


def cone(rng: np.random.Generator) -> list[Patch]:
    """Side and base."""
    height = rng.uniform(1.5, 2.5)
    return [_turned(lambda v: v, lambda v: height * (1 - v)), _disc(0.0)]


def pyramid(rng: np.random.Generator) -> list[Patch]:
    """Four sides and a square base."""
    top = (0, 0, rng.uniform(1.5, 2.5))
    base = [(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)]
    return [_quad(*base), *(_quad(base[side - 1], base[side], top, top) for side in range(4))]


def torus(rng: np.random.Generator) -> list[Patch]:
    """A ring with a round section."""
    thick = rng.uniform(0.25, 0.45)
    return [_turned(lambda v: 1 + thick * np.cos(2 * np.pi * v), lambda v: thick * np.sin(2 * np.pi * v))]


def coil(rng: np.random.Generator) -> list[Patch]:
    """A tube that winds two to three times around the vertical axis."""
    turns, rise, thick = rng.uniform(2, 3), rng.uniform(0.5, 0.7), rng.uniform(0.12, 0.2)

    def patch(u, v):
        along, around = 2 * np.pi * turns * u, 2 * np.pi * v
        radius = 1 + thick * np.cos(around)
        height = rise * turns * u + thick * np.sin(around)
        return np.stack([radius * np.cos(along), radius * np.sin(along), height], axis=-1)

    return [patch]


def moebius(rng: np.random.Generator) -> list[Patch]:
    """A band that is closed to a ring with half a turn in it."""
    width = rng.uniform(0.3, 0.5)

    def patch(u, v):
        along, across = 2 * np.pi * u, width * (2 * v - 1)
        radius = 1 + across * np.cos(along / 2)
        return np.stack([radius * np.cos(along), radius * np.sin(along), across * np.sin(along / 2)], axis=-1)

    return [patch]


def saddle(rng: np.random.Generator) -> list[Patch]:
    """Up to the right and left, down in front and behind."""
    bend = rng.uniform(0.5, 1.0)

    def patch(u, v):
        x, y = v * np.cos(2 * np.pi * u), v * np.sin(2 * np.pi * u)
        return np.stack([x, y, bend * (x**2 - y**2)], axis=-1)

    return [patch]


SURFACES: dict[str, Callable[[np.random.Generator], list[Patch]]] = {
    one.__name__: one for one in (sphere, bowl, box, cylinder, cone, pyramid, torus, coil, moebius, saddle)
}


def triangle_points(
    vertices: Float[np.ndarray, "v 3"], faces: Sequence[Sequence[int]], count: int, rng: np.random.Generator
) -> Float64[np.ndarray, "count 3"]:
    """Points at random places of a mesh, every part of it as likely as it is large.

    Args:
      vertices: corners.
      faces: numbers of the corners of each face, three or more; those with more are cut into triangles from the first.
      count: of points.
      rng: the only source of chance.

    Raises:
      ValueError: a mesh without any area, on which no point can lie.
    """
    triangles = [(face[0], one, other) for face in faces for one, other in itertools.pairwise(face[1:])]
    a, b, c = np.asarray(vertices, np.float64)[np.array(triangles, np.int64).reshape(-1, 3)].transpose(1, 0, 2)
    areas = np.sqrt((np.cross(b - a, c - a) ** 2).sum(axis=-1))
    if not areas.sum() > 0:
        raise ValueError(
            f"This mesh of {len(vertices)} vertices and {len(faces)} faces has no area, so that no point can be drawn "
            "on it. Leave the file out, or fetch it again."
        )
    chosen = _draw(areas, count, rng)
    u, v = rng.random((2, count, 1))
    root = np.sqrt(u)
    return (1 - root) * a[chosen] + root * (1 - v) * b[chosen] + root * v * c[chosen]
