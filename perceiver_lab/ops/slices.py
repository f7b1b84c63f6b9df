"""Cross-attention to one huge input of which every device reads a slice."""

import jax
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float

from perceiver_lab.ops.cross import CrossParams, cross_attend

INPUTS_AXIS = "inputs"  # the mesh axis whose devices each read a slice of the inputs


def cross_attend_slices(
    q: Float[Array, "b n h d"],
    inputs: Float[Array, "b m c"],
    params: CrossParams,
    *,
    mask: Bool[Array, "b n m"] | None = None,
    axis_name: str | None,
) -> Float[Array, "b n h e"]:
    """`cross_attend` to inputs of which every device along an axis of the mesh in use reads one slice.

    The mesh is that of `jax.set_mesh`. Without one, or where it has no such axis, this is `cross_attend`. Arguments and
    result are as there, whole, and lie on the other axes as the compiler sees fit.

    Args:
      axis_name: of the mesh axis; None never slices.

    Raises:
      ValueError: the axis does not divide the inputs; otherwise as `cross_attend`.
    """
    num_slices = jax.sharding.get_abstract_mesh().shape.get(axis_name, 1)
    if num_slices == 1:
        return cross_attend(q, inputs, params, mask=mask)
    if inputs.shape[1] % num_slices:
        raise ValueError(
            f"The mesh axis {axis_name}={num_slices} does not divide the {inputs.shape[1]} inputs: every device reads "
            "a slice of the same length. Choose another size of the axis, or pad the inputs and mask the padding."
        )
    whole, slices, masks = P(), P(None, axis_name), P(None, None, axis_name)
    given = (q, inputs, params) if mask is None else (q, inputs, params, mask)

    def read(q, inputs, params, mask=None):
        return cross_attend(q, inputs, params, mask=mask, axis_name=axis_name)

    specs = (whole, slices, whole, masks)[: len(given)]
    return jax.shard_map(read, in_specs=specs, out_specs=whole, axis_names={axis_name}, check_vma=False)(*given)
