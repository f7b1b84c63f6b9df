"""A loss curve that grows while a notebook trains."""

import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perceiver_lab.figures import DescribedFigure
    from perceiver_lab.training import History

_numbers = itertools.count(1)


class LiveCurve:
    """A callback for `training.train` that draws the history so far, at most once per `interval` seconds.

    ::

        with LiveCurve() as curve:
            result = train(model, batches, ..., callbacks=[curve])

    Leaving the block draws the whole curve, which is what the notebook keeps. Outside a notebook nothing is drawn.
    """

    def __init__(
        self,
        *names: str,
        interval: float = 1.0,
        draw: "Callable[[History], DescribedFigure | None] | None" = None,
    ):
        """Draw these columns of the history, by default the loss in training and on the test split.

        Args:
          *names: of the columns.
          interval: least seconds between two drawings.
          draw: makes another figure of the history, or none as long as there is nothing to see.
        """
        self.names = names or ("loss", "test_loss")
        self.interval = interval
        self._draw_history = draw or self._curves
        self._place = f"perceiver_lab_live_curve_{next(_numbers)}"
        self._history = None
        self._shown = False
        self._last = float("-inf")

    def __call__(self, history: "History") -> None:
        """Take note of the history, and draw it when the last drawing is old enough."""
        self._history = history
        if time.monotonic() - self._last >= self.interval:
            self._draw()

    def __enter__(self) -> "LiveCurve":
        return self

    def __exit__(self, *exception) -> None:
        self._draw()

    def _draw(self):
        if self._history is None or not _in_notebook():
            return
        from IPython.display import display

        figure = self._draw_history(self._history)
        if figure is None:
            return
        bundle = {"text/html": figure.html(), "text/plain": figure.alt}
        display(bundle, raw=True, display_id=self._place, update=self._shown)
        self._shown = True
        self._last = time.monotonic()

    def _curves(self, history):
        from perceiver_lab.figures import loss_curve

        curves = {name: history.curve(name) for name in self.names}
        curves = {name: curve for name, curve in curves.items() if curve[0]}
        if not curves:
            return None
        return loss_curve(
            {name: values for name, (_, values) in curves.items()},
            steps={name: steps for name, (steps, _) in curves.items()},
            ylabel=self.names[0] if len(self.names) == 1 else "loss",
        )


def _in_notebook():
    """Whether outputs can be updated in place: a kernel, not a terminal."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None
