"""A real pair of frames with measured motion: the motorcycle of the Middlebury stereo data, inside scikit-image."""

import io
from typing import Any

import numpy as np

from perceiver_lab.datasets import shipped

FILES = {
    "motorcycle_left.png": "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
    "motorcycle_right.png": "5fc913ae870e42a4b662314bc904d1786bcad8e2f0b9b67dba5a229406357797",
    "motorcycle_disp.npz": "2e49c8cebff3fa20359a0cc6880c82e1c03bbb106da81a177218281bc2f113d7",
}
ATTRIBUTION = "Scharstein et al., GCPR 2014, Middlebury stereo data set, reduced by scikit-image"


def motorcycle() -> dict[str, Any]:
    """The left and the right view of a motorcycle, and how far each pixel of the left one moves.

    Two cameras side by side see what one camera would that was moved: all flow is horizontal, -disparity. Read from the
    installed package, not copied: look at it, do not pass it on.

    Returns:
      {"frames": (2, 500, 741, 3) uint8, "flow": (500, 741, 2) float32, NaN where the motion was not measured}.

    Raises:
      FileNotFoundError: scikit-image is not installed, or lacks the files.
      ValueError: a file holds other data.
    """
    contents = [shipped.read_packaged("skimage", f"data/{name}", sha256) for name, sha256 in FILES.items()]
    frames = np.stack([shipped.decode_image(content, "RGB") for content in contents[:2]])
    with np.load(io.BytesIO(contents[2])) as file:
        disparity = file["arr_0"].astype(np.float32)
    flow = np.stack([-disparity, np.zeros_like(disparity)], axis=-1)
    return {"frames": frames, "flow": np.where(np.isfinite(disparity)[..., None], flow, np.float32(np.nan))}
