"""Looking into models: attention maps, rollout, gradients, deletion, ablation, leaks, cost, summary, positions."""

from perceiver_lab.introspect.ablation import Ablation, FirstRead, ablate
from perceiver_lab.introspect.cost import Cost, cost
from perceiver_lab.introspect.deletion import deletion_curves, gradient_maps, occlusion_maps
from perceiver_lab.introspect.heads import position_share
from perceiver_lab.introspect.leaks import Leak, Reach, reach
from perceiver_lab.introspect.maps import attention_maps
from perceiver_lab.introspect.positions import Neighbours, grid_neighbours
from perceiver_lab.introspect.rollout import rollout
from perceiver_lab.introspect.summary import summary
from perceiver_lab.introspect.unshuffling import flatten, lay_out, square_up, turn_cells, upright

__all__ = [
    "Ablation",
    "Cost",
    "FirstRead",
    "Leak",
    "Neighbours",
    "Reach",
    "ablate",
    "attention_maps",
    "cost",
    "deletion_curves",
    "flatten",
    "gradient_maps",
    "grid_neighbours",
    "lay_out",
    "occlusion_maps",
    "position_share",
    "reach",
    "rollout",
    "square_up",
    "summary",
    "turn_cells",
    "upright",
]
