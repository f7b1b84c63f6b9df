"""The one way to make a figure: with alt text, colours that everyone can tell apart, and the same bytes every time."""

import base64
import functools
import html
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's palette without its yellow, which vanishes on white; distinct under every common colour blindness.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
SEQUENTIAL = "cividis"
SIGNED = "PuOr"
SURPRISE = f"{SEQUENTIAL}_r"  # of bits: dark is what was not expected

DPI = 120
CSS_PIXELS_PER_INCH = 96
_SETTINGS = {
    "axes.edgecolor": "#444444",
    "axes.grid": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "figure.facecolor": "white",  # opaque: dark pages show a light card instead of black text on black
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same glyphs everywhere
    "font.size": 10,
    "legend.frameon": False,
    "image.interpolation": "nearest",
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "savefig.facecolor": "auto",
}


class DescribedFigure(Figure):
    """A matplotlib figure that carries its description and shows itself in a notebook as an image with alt text.

    It is not known to pyplot: the last line of a cell shows it, once.

    Attributes:
      smooth: colours flow into each other, and 256 of them would show as steps.
    """

    smooth = False

    def __init__(self, *args, alt: str, **options):
        """As `matplotlib.figure.Figure`; `alt` says what a reader who cannot see it should know."""
        super().__init__(*args, **options)
        FigureCanvasAgg(self)
        self.alt = checked_alt(alt)

    def webp(self) -> bytes:
        """The figure as WebP: same figure, same matplotlib and Pillow, same bytes."""
        file = io.BytesIO()
        with style():
            if self.get_layout_engine() is not None:
                # Each run of the layout starts from the last one's result and moves a little: once, then never again.
                self.draw_without_rendering()
                self.set_layout_engine("none")
            self.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
        return small_picture(file, smooth=self.smooth)

    def html(self) -> str:
        """An `<img>` with alt text, on one line."""
        width, height = (round(inches * CSS_PIXELS_PER_INCH) for inches in self.get_size_inches())
        return image_html(self.webp(), self.alt, width, height)

    def _ipython_display_(self):
        # Before all other formatters: the inline backend would add the picture once more, without alt text.
        from IPython.display import display

        display({"text/html": self.html(), "text/plain": self.alt}, raw=True)

    def __repr__(self):
        return self.alt


def small_picture(file: io.BytesIO, *, smooth: bool = False) -> bytes:
    """A PNG as WebP, in the smaller of two ways: a lesson holds many figures.

    Lines and text keep their 256 most useful colours and lose nothing else; photos are smaller, and as good, lossy, and
    a picture that is `smooth` is always taken for one.
    """
    from PIL import Image

    picture = Image.open(file).convert("RGB")
    photo = io.BytesIO()
    picture.save(photo, "WEBP", quality=90)
    if smooth:
        return photo.getvalue()
    # Maximum coverage keeps rare colours, such as those of a colour bar beside a photo; k-means settles the others.
    method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
    flat = picture.quantize(256, method=method, kmeans=3, dither=dither).convert("RGB")
    drawing = io.BytesIO()
    flat.save(drawing, "WEBP", lossless=True)
    return min(drawing.getvalue(), photo.getvalue(), key=len)


def checked_alt(alt: str) -> str:
    """Alt text on one line.

    Raises:
      ValueError: there is none worth the name.
    """
    text = " ".join(alt.split()) if isinstance(alt, str) else ""
    if len(text) < 8:
        raise ValueError(
            f"alt={alt!r} does not describe the figure. Say in a sentence what it shows and what one should see in it, "
            "for readers who cannot: alt='Loss of two models over 500 steps; both fall, the Perceiver faster.'"
        )
    return text


def image_html(webp: bytes, alt: str, width: int, height: int) -> str:
    """An `<img>` that carries its bytes, on one line: strict nbval compares outputs line by line."""
    data = base64.b64encode(webp).decode()
    return (
        f'<img alt="{html.escape(checked_alt(alt))}" width="{width}" height="{height}" '
        f'style="max-width:100%;height:auto" src="data:image/webp;base64,{data}">'
    )


@contextmanager
def style() -> Iterator[None]:
    """The library's matplotlib settings, whatever the reader's own are."""
    with matplotlib.rc_context():
        matplotlib.rcParams.update({k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")})
        matplotlib.rcParams.update(_SETTINGS)
        yield


def figure(
    rows: int = 1, cols: int = 1, *, alt: str, size: tuple[float, float] | None = None, **options
) -> tuple[DescribedFigure, np.ndarray]:
    """A figure with a grid of axes.

    Args:
      rows: of the grid.
      cols: of the grid.
      alt: what the figure shows, in words.
      size: width and height in inches of 96 screen pixels; by default 4.6 x 3 per column and row, at most 10 wide.
      **options: for `Figure.subplots`: `sharex`, `width_ratios`, ...

    Returns:
      The figure, and its axes as an array of shape (rows, cols).

    Raises:
      ValueError: no alt text, or no axes.
    """
    if rows < 1 or cols < 1:
        raise ValueError(f"A figure needs at least one row and one column of axes; got {rows} x {cols}.")
    with style():
        made = DescribedFigure(
            figsize=size or (min(10.0, 4.6 * cols), 3.0 * rows), dpi=DPI, layout="constrained", alt=alt
        )
        axes = made.subplots(rows, cols, squeeze=False, **options)
    return made, axes


def drawn(draw: Callable[..., DescribedFigure]) -> Callable[..., DescribedFigure]:
    """Decorate a function that draws: texts and ticks that it adds later follow the library's settings as well."""

    @functools.wraps(draw)
    def draw_in_style(*args, **kwargs):
        with style():
            return draw(*args, **kwargs)

    return draw_in_style


def series(number: int, *, points: int = 0) -> dict:
    """Colour, dashes and mark of the n-th line, so that colour is never the only difference.

    Args:
      number: from 0.
      points: of the line; marks are then spread so that about eight are seen.
    """
    looks = {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)]}
    looks["marker"] = MARKERS[number % len(MARKERS)]
    if points > 8:
        looks["markevery"] = (number % 4 * points // 32, max(1, points // 8))
    return looks


def signed_limits(values: np.ndarray) -> dict:
    """Symmetric colour limits and the colour map of signed values: white is zero."""
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    return {"vmin": -largest, "vmax": largest, "cmap": SIGNED}


def bare(axes) -> None:
    """No ticks, no frame: what pictures want."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
