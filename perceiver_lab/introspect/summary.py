"""A model as a table: its parts, their shapes, their parameters."""

import math

import jax
from flax import nnx

from perceiver_lab.introspect.maps import check_model


def summary(model: nnx.Module, *, depth: int = 4) -> str:
    """Parts, shapes and parameter counts of a model, real or from `nnx.eval_shape`.

    A part stands on one line with all its parameters; where it is at `depth`, its parts are added up instead. Layers
    that are scanned are one part, whose shapes begin with the number of layers.

    Args:
      model: any module.
      depth: steps in a name; "encoder.reads.0.attention" has four.

    Returns:
      A text table; its last line is the total.

    Raises:
      ValueError: no module, or a depth below 1.
    """
    check_model(model, "summary")
    if depth < 1:
        raise ValueError(f"depth={depth}: a name has at least one step.")
    shapes: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for path, variable in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        shape = jax.tree.leaves(variable)[0].shape
        part = ".".join(str(step) for step in path[:-1][:depth]) or "(the model itself)"
        name = ".".join(str(step) for step in path[len(path[:-1][:depth]) :])
        shapes.setdefault(part, []).append(f"{name} {' x '.join(map(str, shape)) or 'scalar'}")
        counts[part] = counts.get(part, 0) + math.prod(shape)
    rows = [("part", "shapes", "parameters")]
    for part, texts in shapes.items():
        text = ", ".join(texts) if len(texts) <= 2 else f"{len(texts)} arrays"
        rows.append((part, text, f"{counts[part]:,}"))
    rows.append(("total", "", f"{sum(counts.values()):,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{part:<{widths[0]}}  {text:<{widths[1]}}  {count:>{widths[2]}}" for part, text, count in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])
