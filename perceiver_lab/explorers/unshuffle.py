"""Unshuffler: scrub through a training, and watch learned positions unfold and put a picture together."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import traitlets
from jaxtyping import Float, Int, UInt8

from perceiver_lab.explorers.base import Explorer, front_end
from perceiver_lab.figures import DescribedFigure, laid_out_grid, position_clouds
from perceiver_lab.introspect import flatten, grid_neighbours, lay_out, square_up


class Unshuffler(Explorer):
    """Snapshots of learned positions, each as a cloud and as the picture that it puts together.

    The state is in traits that can be read and set: `run` (its name), `place` (number of the snapshot), `picture`,
    `turns` (quarters to the left) and `mirrored` (before turning), `lines` (join true neighbours), `marked` (a cell of
    the picture, or -1). All is computed beforehand; the page asks nothing.
    """

    title = "Unshuffler"
    _esm = front_end("unshuffle")["_esm"]
    _css = front_end("unshuffle")["_css"]
    facts = traitlets.Dict().tag(sync=True)
    run = traitlets.Unicode().tag(sync=True)
    place = traitlets.Int(0).tag(sync=True)
    picture = traitlets.Int(0).tag(sync=True)
    turns = traitlets.Int(0).tag(sync=True)
    mirrored = traitlets.Bool(False).tag(sync=True)
    lines = traitlets.Bool(True).tag(sync=True)
    marked = traitlets.Int(-1).tag(sync=True)

    def __init__(
        self,
        runs: Mapping[str, Mapping[int, Float[np.ndarray, "m e"]]],
        pictures: UInt8[np.ndarray, "p side side 3"],
        permutation: Int[np.ndarray, " m"],
        **state,
    ):
        """Flatten and lay out every snapshot; nothing of this is told where an element belongs.

        Args:
          runs: what a model was trained on -> step -> table of learned positions.
          pictures: to be put together, in their true order.
          permutation: the true cell of each element, see `datasets.permute_pixels`.
          **state: first values of the traits, such as `place=3`.

        Raises:
          ValueError: no run or snapshot, pictures that are not square, or tables of another number of rows; or state
            that does not exist.
        """
        side = pictures.shape[1]
        sizes = {len(table) for tables in runs.values() for table in tables.values()}
        if not runs or not all(runs.values()) or sizes != {side**2} or pictures.shape[2] != side:
            raise ValueError(
                f"Pictures {pictures.shape} of side {side} have {side**2} cells; give at least one run with a table of "
                f"that many rows for each step, and square pictures. The runs {list(runs)} have {sorted(sizes)} rows."
            )
        self._pictures, self._permutation = pictures, np.asarray(permutation)
        self._shots = {name: _snapshots(tables, side, self._permutation) for name, tables in runs.items()}
        super().__init__(facts=self._facts(side), **{"run": next(iter(runs)), **state})

    def _facts(self, side):
        colours = self._pictures.reshape(len(self._pictures), -1, 3)[:, self._permutation]
        places = np.stack(np.divmod(self._permutation, side))
        apart = np.abs(places[:, :, None] - places[:, None]).sum(axis=0)
        first = next(iter(self._shots.values()))[0]
        return {
            "side": side,
            "truth": self._permutation.tolist(),
            "pairs": np.argwhere(np.triu(apart == 1)).tolist(),
            "pictures": [one.tobytes().hex() for one in colours],
            "chance": first["chance"],
            "runs": {
                name: [
                    {**{key: shot[key] for key in ("step", "precision", "cells")}, "points": shot["points"].tolist()}
                    for shot in shots
                ]
                for name, shots in self._shots.items()
            },
        }

    @traitlets.validate("run", "place", "picture", "turns", "marked")
    def _valid(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        longest = max(map(len, self._shots.values()))
        allowed = {
            "run": list(self._shots),
            "place": range(longest),
            "picture": range(len(self._pictures)),
            "turns": range(4),
            "marked": range(-1, len(self._permutation)),
        }[name]
        if value not in allowed:
            raise ValueError(f"{name}={value!r} does not exist here; it may be one of {allowed}.")
        return value

    def snapshot(self, place: int | None = None) -> dict[str, Any]:
        """A snapshot of the run that is shown, by default the one that is shown.

        Returns:
          "step"; "precision" and "chance", see `introspect.grid_neighbours`; "points" (M, 2) of the cloud; "cells", the
          cell that each element is laid on, neither turned nor mirrored.
        """
        shots = self._shots[self.run]
        return shots[min(self.place if place is None else place, len(shots) - 1)]

    def first_frame(self) -> DescribedFigure:
        """The cloud at the first and the last snapshot, and the picture as it is given and put together."""
        first, last = self.snapshot(0), self.snapshot(-1)
        side = self.facts["side"]
        colours = self._pictures[self.picture].reshape(-1, 3)[self._permutation]
        clouds = {f"step {shot['step']}": shot["points"] for shot in (first, last)}
        pictures = {"as it is given": colours.reshape(side, side, 3)}
        pictures["put together"] = laid_out_grid(colours, last["cells"], side)
        alt = (
            f"Unshuffler, first frame, trained on {self.run}: at step {first['step']} learned positions are a cloud in "
            f"which {first['precision']:.0%} of the nearest are true neighbours, at step {last['step']} "
            f"{last['precision']:.0%}; by chance it is {last['chance']:.0%}. Beside it a picture in the order in which "
            "the model is given its cells, and put together from the last positions."
        )
        return position_clouds(clouds, colours, self.facts["pairs"], pictures=pictures, alt=alt)

    def __repr__(self):
        side = self.facts["side"]
        counts = ", ".join(f"{name}: {len(shots)} snapshots" for name, shots in self._shots.items())
        return f"Unshuffler({len(self._pictures)} pictures of {side} x {side}, {counts})"


def _snapshots(tables, side, permutation):
    """From the last to the first, each turned towards the one after it, so that the cloud moves and does not jump."""
    shots, like = [], None
    for step in sorted(tables, reverse=True):
        points = flatten(tables[step], like)
        points = square_up(points, (side, side)) if like is None else points
        like = points
        found = grid_neighbours(tables[step], (side, side), permutation)
        shots.append(
            {
                "step": int(step),
                "precision": round(found.value, 4),
                "chance": round(found.chance, 4),
                "points": points.round(3),
                "cells": lay_out(points, (side, side)).tolist(),
            }
        )
    return shots[::-1]
