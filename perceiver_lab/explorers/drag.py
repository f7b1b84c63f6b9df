"""DragQuery: a query among coloured dots, the weights it gives and the blend it reads. Computed in the browser."""

from collections.abc import Sequence

import numpy as np
import traitlets
from jaxtyping import Float

from perceiver_lab.explorers.base import Explorer, front_end
from perceiver_lab.figures import DescribedFigure
from perceiver_lab.figures.looking import LETTERS, dots_reading

LEAST, MOST = 0.02, 50.0


class DragQuery(Explorer):
    """A query to drag; traits `query`, `temperature`, `lifted`, and `kept`, a state to compare with.

    The score of a dot is the dot product of query and place; `lifted` subtracts half of the place's squared length, so
    that the nearest dot scores highest. Weights are the softmax of score / temperature.
    """

    title = "Drag a query"
    _esm = front_end("drag")["_esm"]
    _css = front_end("drag")["_css"]
    places = traitlets.List().tag(sync=True)
    colours = traitlets.List().tag(sync=True)
    reach = traitlets.Float(2.0).tag(sync=True)
    query = traitlets.List().tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)
    lifted = traitlets.Bool(False).tag(sync=True)
    kept = traitlets.List().tag(sync=True)

    def __init__(
        self,
        places: Float[np.ndarray, "m 2"],
        colours: Float[np.ndarray, "m 3"],
        *,
        query: Sequence[float] | Float[np.ndarray, " 2"] = (0.0, 0.0),
        temperature: float = 1.0,
        lifted: bool = False,
        reach: float = 2.0,
    ):
        """Start with these dots, called A, B, C, ...

        Args:
          places: x and y of each, within `reach`.
          colours: red, green and blue of each, 0 to 1.
          query: where it starts.
          temperature: from 0.02 to 50.
          lifted: whether a place's size is taken off its score.
          reach: the plane goes from -reach to reach.

        Raises:
          ValueError: less than two or more than 26 dots, dots outside the plane, colours that are none, or a
            temperature or query out of range.
        """
        places, colours = np.asarray(places, np.float64), np.asarray(colours, np.float64)
        if places.ndim != 2 or places.shape[1] != 2 or not 2 <= len(places) <= len(LETTERS):
            raise ValueError(f"places must be (m, 2) with 2 to {len(LETTERS)} dots; got shape {places.shape}.")
        if not np.abs(places).max() <= reach:
            raise ValueError(f"A dot lies outside the plane, which goes from {-reach:g} to {reach:g}: choose `reach`.")
        if colours.shape != (len(places), 3) or not (colours.min() >= 0 and colours.max() <= 1):
            raise ValueError(
                f"colours must be ({len(places)}, 3), red, green and blue from 0 to 1 for each dot; got shape "
                f"{colours.shape}. Divide bytes by 255."
            )
        super().__init__(
            places=places.tolist(), colours=colours.tolist(), reach=float(reach),
            query=[float(part) for part in query], temperature=float(temperature), lifted=lifted,
        )  # fmt: skip

    @traitlets.validate("query")
    def _valid_query(self, proposal):
        query = proposal["value"]
        if len(query) != 2 or not all(abs(part) <= self.reach for part in query):
            raise ValueError(f"query={query} must be two numbers from {-self.reach:g} to {self.reach:g}.")
        return query

    @traitlets.validate("temperature")
    def _valid_temperature(self, proposal):
        if not LEAST <= proposal["value"] <= MOST:
            raise ValueError(
                f"temperature={proposal['value']:g} is out of range: it may be {LEAST:g} to {MOST:g} here."
            )
        return proposal["value"]

    def weights(self) -> Float[np.ndarray, " m"]:
        """The present weights, one for each dot."""
        places = np.asarray(self.places)
        scores = places @ np.asarray(self.query) - 0.5 * self.lifted * (places**2).sum(axis=-1)
        powers = np.exp((scores - scores.max()) / self.temperature)
        return powers / powers.sum()

    def first_frame(self) -> DescribedFigure:
        """The dots and the query as they are now."""
        arrays = (np.asarray(self.places), np.asarray(self.colours), np.asarray(self.query), self.weights())
        return dots_reading(*arrays, reach=self.reach)

    def __repr__(self):
        x, y = self.query
        return (
            f"DragQuery({len(self.places)} dots, query=({x:g}, {y:g}), temperature={self.temperature:g}"
            f"{', lifted' if self.lifted else ''})"
        )
