"""How much a lesson may spend: the same cells in every mode, with other step counts and sizes."""

import functools
import os
from typing import TypeVar

Value = TypeVar("Value")

MODES = {
    "ci": "seconds for each cell, to prove that it runs",
    "lab": "sizes for the processor of a laptop",
    "full": "sizes for a GPU or TPU, or for patience",
}


@functools.cache
def mode() -> str:
    """The mode of this process: "ci", "lab" or "full".

    The environment variable LAB_MODE decides. Without it: "ci" where a build server has set CI, "full" where JAX sees
    a GPU or TPU, otherwise "lab". Decided once; set LAB_MODE before the kernel starts.

    Raises:
      ValueError: LAB_MODE is something else.
    """
    chosen = os.environ.get("LAB_MODE", "").strip().lower()
    if chosen:
        if chosen not in MODES:
            raise ValueError(
                f"LAB_MODE is {chosen!r}; expected one of {', '.join(MODES)}. Correct it or unset it, and start the "
                "kernel anew."
            )
        return chosen
    if os.environ.get("CI", "").strip().lower() not in ("", "0", "false"):
        return "ci"
    import jax

    return "lab" if jax.default_backend() == "cpu" else "full"


def budget(*, ci: Value, lab: Value, full: Value | None = None) -> Value:
    """What belongs to the mode of this process; `full` is by default what `lab` is.

    steps = budget(ci=20, lab=300, full=2000)
    """
    return {"ci": ci, "lab": lab, "full": lab if full is None else full}[mode()]
