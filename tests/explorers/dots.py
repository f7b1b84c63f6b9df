"""The six dots of lesson 00, to drag a query among."""

import numpy as np

from perceiver_lab.explorers import DragQuery

PLACES = np.array([[-1.0, 1.0], [0.5, 1.5], [1.6, 0.4], [0.4, 0.2], [1.2, -1.0], [-0.3, -0.9]])
COLOURS = np.array([[0, 0.45, 0.7], [0.9, 0.6, 0], [0, 0.6, 0.5], [0.8, 0.6, 0.7], [0.35, 0.7, 0.9], [0.84, 0.37, 0]])


def make_dots(**options):
    return DragQuery(PLACES, COLOURS, **{"query": (1.2, 0.6), **options})
