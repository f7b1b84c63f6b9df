"""ShapeTracer: every array of a cross-attention, with what it costs. Computed in the browser."""

import traitlets

from perceiver_lab.explorers.base import Explorer, front_end
from perceiver_lab.figures import DescribedFigure, cross_attention_shapes

LARGEST = 2**20


class ShapeTracer(Explorer):
    """Sliders for the sizes of a cross-attention; traits `num_inputs`, `num_queries`, `channels`, `num_heads`."""

    title = "Shape tracer"
    _esm = front_end("shapes")["_esm"]
    _css = front_end("shapes")["_css"]
    num_inputs = traitlets.Int(100).tag(sync=True)
    num_queries = traitlets.Int(8).tag(sync=True)
    channels = traitlets.Int(32).tag(sync=True)
    num_heads = traitlets.Int(1).tag(sync=True)

    def __init__(self, *, num_inputs: int = 100, num_queries: int = 8, channels: int = 32, num_heads: int = 1):
        """Start with these sizes.

        Raises:
          ValueError: a size below 1 or above 2**20, or heads that do not divide the channels.
        """
        super().__init__(num_inputs=num_inputs, num_queries=num_queries, channels=channels, num_heads=num_heads)
        if channels % num_heads:
            raise ValueError(f"num_heads={num_heads} does not divide channels={channels}: each head needs as many.")

    @traitlets.validate("num_inputs", "num_queries", "channels", "num_heads")
    def _valid(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        if not 1 <= value <= LARGEST:
            raise ValueError(f"{name}={value} must be from 1 to {LARGEST}.")
        return value

    def first_frame(self) -> DescribedFigure:
        """The shapes at the present sizes."""
        return cross_attention_shapes(self.num_queries, self.num_inputs, self.channels)

    def __repr__(self):
        return (
            f"ShapeTracer(num_inputs={self.num_inputs}, num_queries={self.num_queries}, channels={self.channels}, "
            f"num_heads={self.num_heads})"
        )
