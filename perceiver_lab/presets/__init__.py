"""Published configurations, one function each: `get("imagenet_fourier")(rngs=nnx.Rngs(0))` is the model.

Their docstrings say which paper, section and table. Building one allocates its parameters; `nnx.eval_shape` does not:

    model = nnx.eval_shape(lambda: presets.get("imagenet_fourier")(rngs=nnx.Rngs(0)))
"""

from perceiver_lab.presets.hip import HIP
from perceiver_lab.presets.perceiver import AUDIOSET, IMAGENET, MODELNET
from perceiver_lab.presets.perceiver_ar import PERCEIVER_AR
from perceiver_lab.presets.perceiver_io import IMAGENET_IO
from perceiver_lab.presets.perceiver_io_tasks import AUDIOSET_IO, TASKS_IO
from perceiver_lab.presets.registry import get, names, register
from perceiver_lab.presets.resampler import GATED, RESAMPLERS

register(
    *IMAGENET, *AUDIOSET, *MODELNET, *IMAGENET_IO, *TASKS_IO, *AUDIOSET_IO, *PERCEIVER_AR, *HIP, *RESAMPLERS, *GATED
)

__all__ = ["get", "names", "register"]
