"""Pairs of frames with their true optical flow: one or two shapes that move over a moving background (synthetic).

The textures are crops of real photos; that they move as they do is our doing, so a lesson that shows these frames must
call them composed. Every layer (the background is layer 0) moves by an affine map of its own, so that the true flow is
known at every pixel, to the last bit: frame 1 at p shows what frame 2 shows at p + flow[p], wherever p is not occluded.

Everything is a pure function of its arguments and of `rng`. Only sums, products, quotients and comparisons of float64
are used, and Pillow's integer resizing, so that two machines draw the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, UInt8
from PIL import Image

HEIGHT, WIDTH = 48, 64
MARGIN = 20  # of texture around a frame: the farthest that a layer is looked up beside it
FORMS = ("ellipse", "box", "diamond")
MAX_SHIFT = {"background": 4.0, "shape": 5.0}  # pixels along each axis
MIN_OWN_MOTION = 2.0  # pixels by which a shape's middle moves otherwise than the background there
MIN_DETAIL = 6  # grey levels between neighbouring pixels of a texture, on average; smooth ones show no motion
# The columns of each photo that a part may use, as shares of its width: no test pixel was seen in training.
COLUMNS = {"train": (0.0, 0.6), "test": (0.64, 1.0)}

Photo = UInt8[np.ndarray, "_ _ 3"]  # unnamed axes: photos differ in size
Points = Float64[np.ndarray, "*grid 2"]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One thing that moves.

    Attributes:
      texture: (HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN, 3) float64, 0..255.
      offset: where in the texture the frame's pixel (0, 0) is looked up, less MARGIN: (x, y) in [0, 1).
      matrix, shift: a point p of frame 1 lies at middle + matrix (p - middle) + shift in frame 2.
      middle: (x, y), pixels.
      form: one of FORMS, or None for the background, which is everywhere.
      axes: half the extents along the form's own axes, pixels.
      turn: (cosine, sine) of its first axis.
    """

    texture: np.ndarray
    offset: np.ndarray
    matrix: np.ndarray
    shift: np.ndarray
    middle: np.ndarray
    form: str | None = None
    axes: tuple[float, float] = (1.0, 1.0)
    turn: tuple[float, float] = (1.0, 0.0)

    def forward(self, points: Points) -> Points:
        """Points of frame 1 -> where they lie in frame 2."""
        return self.middle + _times(self.matrix, points - self.middle) + self.shift

    def backward(self, points: Points) -> Points:
        """Points of frame 2 -> where they lay in frame 1."""
        (a, b), (c, d) = self.matrix
        inverse = np.array([[d, -b], [-c, a]]) / (a * d - b * c)
        return self.middle + _times(inverse, points - self.shift - self.middle)

    def covers(self, points: Points) -> np.ndarray:
        """Whether the layer is at these points of frame 1, bool."""
        if self.form is None:
            return np.ones(points.shape[:-1], bool)
        x, y = np.moveaxis(points - self.middle, -1, 0)
        cosine, sine = self.turn
        along, across = np.abs(cosine * x + sine * y) / self.axes[0], np.abs(cosine * y - sine * x) / self.axes[1]
        if self.form == "ellipse":
            return along * along + across * across <= 1
        return (np.maximum(along, across) if self.form == "box" else along + across) <= 1

    def colours(self, points: Points) -> np.ndarray:
        """The texture at these points of frame 1, interpolated between its four nearest pixels: (*grid, 3)."""
        x, y = np.moveaxis(points + self.offset + MARGIN, -1, 0)
        height, width = self.texture.shape[:2]
        x, y = np.clip(x, 0, width - 1.001), np.clip(y, 0, height - 1.001)
        left, top = x.astype(np.int64), y.astype(np.int64)
        x, y = (x - left)[..., None], (y - top)[..., None]
        upper = self.texture[top, left] * (1 - x) + self.texture[top, left + 1] * x
        lower = self.texture[top + 1, left] * (1 - x) + self.texture[top + 1, left + 1] * x
        return upper * (1 - y) + lower * y


@dataclass(frozen=True, kw_only=True)
class MovingPair:
    """A pair of frames and the truth about it.

    Attributes:
      frames: (2, 48, 64, 3) uint8.
      flow: (48, 64, 2) float32, pixels to the right and down: frame 1 at p is frame 2 at p + flow[p].
      layers: (48, 64) uint8, what is seen in frame 1: 0 background, 1 and 2 the shapes, 2 before 1.
      occluded: (48, 64) uint8, 1 where what frame 1 shows is out of sight in frame 2.
    """

    frames: UInt8[np.ndarray, "2 48 64 3"]
    flow: Float[np.ndarray, "48 64 2"]
    layers: UInt8[np.ndarray, "48 64"]
    occluded: UInt8[np.ndarray, "48 64"]


def moving_pair(photos: Sequence[Photo], part: str, rng: np.random.Generator) -> MovingPair:
    """Draw one pair.

    Args:
      photos: at least one RGB photo, uint8, at least 260 x 300 pixels.
      part: "train" or "test": which columns of the photos may be used.
      rng: the only source of chance. Give each example its own: `np.random.default_rng([seed, stream, index])`.

    Raises:
      ValueError: another part, or a photo of another shape, type or size.
    """
    _check(photos, part)
    background = _background(photos, part, rng)
    layers = [background] + [_shape(photos, part, background, rng) for _ in range(int(rng.integers(1, 3)))]
    return render(layers)


def render(layers: Sequence[Layer]) -> MovingPair:
    """Both frames of a stack of layers, from the back to the front, and the truth about them."""
    grid = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), axis=-1).astype(np.float64)
    seen = _top(layers, [grid] * len(layers))
    origins = [layer.backward(grid) for layer in layers]  # of what frame 2 shows, in frame 1's coordinates
    seen_later = _top(layers, origins)
    first, second = np.zeros((2, HEIGHT, WIDTH, 3))
    flow = np.zeros((HEIGHT, WIDTH, 2))
    hidden = np.zeros((HEIGHT, WIDTH), bool)
    for number, layer in enumerate(layers):
        mine = seen == number
        first[mine] = layer.colours(grid[mine])
        second[seen_later == number] = layer.colours(origins[number][seen_later == number])
        targets = layer.forward(grid[mine])
        flow[mine] = targets - grid[mine]
        outside = ((targets < 0) | (targets > (WIDTH - 1, HEIGHT - 1))).any(axis=-1)
        covered = [above.covers(above.backward(targets)) for above in layers[number + 1 :]]
        hidden[mine] = outside | np.any(covered, axis=0) if covered else outside
    return MovingPair(
        frames=np.rint([first, second]).astype(np.uint8),
        flow=flow.astype(np.float32),
        layers=seen.astype(np.uint8),
        occluded=hidden.astype(np.uint8),
    )


def _top(layers, places):
    """The number of the front layer at each point; `places` are the points in each layer's own coordinates."""
    top = np.zeros(places[0].shape[:-1], np.int64)
    for number, (layer, points) in enumerate(zip(layers, places, strict=True)):
        top[layer.covers(points)] = number
    return top


def _background(photos, part, rng):
    texture, offset = _texture(photos, part, rng)
    matrix = np.eye(2) + rng.uniform(-0.05, 0.05, (2, 2))
    shift = rng.uniform(-1, 1, 2) * MAX_SHIFT["background"]
    middle = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    return Layer(texture=texture, offset=offset, matrix=matrix, shift=shift, middle=middle)


def _shape(photos, part, background, rng):
    texture, offset = _texture(photos, part, rng)
    middle = np.array([rng.uniform(10, WIDTH - 10), rng.uniform(8, HEIGHT - 8)])
    behind = background.forward(middle) - middle
    shift = behind
    while np.square(shift - behind).sum() < MIN_OWN_MOTION**2:
        shift = rng.uniform(-1, 1, 2) * MAX_SHIFT["shape"]
    # A turn without sines, whose last bits differ between machines: the half-angle's tangent gives both.
    tangent = rng.uniform(-1, 1)
    turn = ((1 - tangent * tangent) / (1 + tangent * tangent), 2 * tangent / (1 + tangent * tangent))
    return Layer(
        texture=texture,
        offset=offset,
        matrix=np.eye(2) + rng.uniform(-0.08, 0.08, (2, 2)),
        shift=shift,
        middle=middle,
        form=FORMS[int(rng.integers(len(FORMS)))],
        axes=tuple(rng.uniform(8, 15, 2).tolist()),
        turn=turn,
    )


def _texture(photos, part, rng):
    """A crop of a random photo, place and zoom with enough detail, mirrored or not, and where a frame lies in it."""
    height, width = HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN
    for _ in range(50):
        photo = photos[int(rng.integers(len(photos)))]
        first, last = (int(share * photo.shape[1]) for share in COLUMNS[part])
        zoom = rng.uniform(1.0, min(2.2, (last - first) / width, photo.shape[0] / height))
        rows, columns = int(zoom * height), int(zoom * width)
        top = int(rng.integers(0, photo.shape[0] - rows + 1))
        left = int(rng.integers(first, last - columns + 1))
        crop = Image.fromarray(photo[top : top + rows, left : left + columns])
        if rng.integers(2):
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        crop = crop.resize((width, height), Image.Resampling.BILINEAR)
        grey = np.array(crop.convert("L"), np.int64)[MARGIN:-MARGIN, MARGIN:-MARGIN]
        if all(np.abs(np.diff(grey, axis=axis)).sum() >= MIN_DETAIL * grey.size for axis in (0, 1)):
            break
    return np.array(crop, np.float64), rng.uniform(0, 1, 2)


def _times(matrix, points):
    """matrix @ point for each, without BLAS, whose order of summing differs between machines."""
    x, y = points[..., 0], points[..., 1]
    return np.stack([matrix[0, 0] * x + matrix[0, 1] * y, matrix[1, 0] * x + matrix[1, 1] * y], axis=-1)


def _check(photos, part):
    if part not in COLUMNS:
        raise ValueError(f"part must be 'train' or 'test', got {part!r}.")
    if not len(photos):
        raise ValueError("Give at least one photo.")
    for photo in photos:
        if photo.ndim != 3 or photo.shape[-1] != 3 or photo.dtype != np.uint8 or min(photo.shape[:2]) < 260:
            raise ValueError(
                f"Photos must be (height, width, 3) uint8 with sides of at least 260; got {photo.shape} {photo.dtype}."
            )
