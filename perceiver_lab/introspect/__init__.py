"""Looking into models: attention maps, rollout, ablation, cost, summary, learned positions."""

from perceiver_lab.introspect.ablation import Ablation, FirstRead, ablate
from perceiver_lab.introspect.cost import Cost, cost
from perceiver_lab.introspect.maps import attention_maps
from perceiver_lab.introspect.positions import Neighbours, grid_neighbours
from perceiver_lab.introspect.rollout import rollout
from perceiver_lab.introspect.summary import summary

__all__ = [
    "Ablation",
    "Cost",
    "FirstRead",
    "Neighbours",
    "ablate",
    "attention_maps",
    "cost",
    "grid_neighbours",
    "rollout",
    "summary",
]
