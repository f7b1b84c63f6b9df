"""What all explorers share: a widget that describes itself, answers questions, and can be saved as a page.

A front end is one ES module without imports, made of `static/base.js`, `static/base_talk.js` and the explorer's own
scripts, so it works without a network and without a bundler. It keeps small state in synchronised traits and asks for
everything large: `{"ask": {"what": "tile", ...}}` goes to Python, which answers with JSON and buffers. A saved page
carries the answers.
"""

import base64
import html
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

STATIC = Path(__file__).parent / "static"
EXPORT_LINE = "export default { render };"
Answer = tuple[dict[str, Any], list[bytes]]


def front_end(*names: str) -> dict[str, str]:
    """The module and the style sheet of an explorer, as text: a Path would start a file watcher."""
    module = "\n".join((STATIC / f"{name}.js").read_text("utf-8") for name in ("base", "base_talk", *names))
    sheets = [STATIC / f"{name}.css" for name in ("base", names[-1])]
    sheet = "\n".join(path.read_text("utf-8") for path in sheets if path.exists())
    return {"_esm": module, "_css": sheet}


class Explorer(anywidget.AnyWidget):
    """Base of the explorers.

    A subclass sets `_esm` and `_css` from `front_end`, and gives `first_frame() -> DescribedFigure`, the picture that
    a notebook stores; `answer(ask)`, if its front end asks; `export()`, if a saved page needs answers; `__repr__`, the
    same in every run.
    """

    title = "Explorer"
    first_answers = traitlets.List().tag(sync=True)
    _ipython_display_ = None  # ipywidgets 7 would show the view alone, without the first frame

    def __init__(self, **traits):
        """Start listening to the front end; keyword arguments are traits."""
        super().__init__(**traits)
        self.on_msg(self._receive)

    def answer_first(self, asks: Iterable[Mapping[str, Any]]) -> None:
        """Send these answers with the widget: it is then complete while the kernel runs the cells that follow."""
        self.first_answers = [[key_of(ask), *self.answer(ask)] for ask in asks]

    def answer(self, ask: Mapping[str, Any]) -> Answer:
        """Answer a question of the front end: a JSON value and buffers.

        Raises:
          ValueError: an unknown question.
        """
        raise ValueError(f"{self.title} has no answer to {ask.get('what')!r}.")

    def export(self) -> tuple[dict[str, Any], list[tuple[dict[str, Any], Answer]]]:
        """State and answers for a saved page; by default the state as it is and no answers."""
        return self.state(), []

    def state(self) -> dict[str, Any]:
        """The explorer's own synchronised traits."""
        own = set(self.traits(sync=True)) - set(anywidget.AnyWidget.class_traits(sync=True))
        return {name: getattr(self, name) for name in sorted(own - {"first_answers"}) if not name.startswith("_")}

    def export_html(self, path: str | Path, **reduction) -> Path:
        """Write a page that works on its own: no kernel, no network, one file.

        Args:
          path: of the file; its folder must exist.
          **reduction: what the page holds, where the explorer offers a choice; see its `export`.

        Returns:
          The path.

        Raises:
          ValueError: there is no such folder.
        """
        path = Path(path)
        if not path.parent.is_dir():
            raise ValueError(
                f"The folder {path.parent} for {path.name} does not exist. Make it first, or choose another."
            )
        state, answers = self.export(**reduction)
        path.write_text(page(self, state, answers), "utf-8")
        return path

    def _receive(self, _, message, buffers):
        if not isinstance(message, dict) or "ask" not in message:
            return
        try:
            reply, attached = self.answer(message["ask"])
        except Exception as error:
            # The front end must not wait for an answer that will not come; the log shows where it broke.
            self.send({"id": message.get("id"), "error": f"{type(error).__name__}: {error}"})
            raise
        self.send({"id": message.get("id"), "reply": reply}, attached)

    def _repr_mimebundle_(self, **options):
        bundle = super()._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "text/plain": repr(self), "text/html": self.first_frame().html()}, metadata

    def __repr__(self):
        return f"{type(self).__name__}()"


def key_of(ask: Mapping[str, Any]) -> str:
    """The name under which a page keeps an answer; `keyOf` in base_talk.js makes the same."""
    return json.dumps(ask, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def page(explorer: Explorer, state: Mapping[str, Any], answers: Iterable[tuple[dict[str, Any], Answer]]) -> str:
    """A self-contained HTML page around an explorer."""
    kept = {
        key_of(ask): {"reply": reply, "buffers": [base64.b64encode(part).decode() for part in buffers]}
        for ask, (reply, buffers) in answers
    }
    module = str(explorer._esm)
    if module.count(EXPORT_LINE) != 1:
        raise ValueError(f"A front end must end in one line {EXPORT_LINE!r}; {type(explorer).__name__}'s does not.")
    # "<" inside a script could end it; in JSON it may be written as an escape.
    data = json.dumps({"state": dict(state), "answers": kept}, allow_nan=False).replace("<", "\\u003c")
    parts = {
        "TITLE": html.escape(explorer.title),
        "CSS": str(explorer._css),
        "FRAME": explorer.first_frame().html(),
        "DATA": data,
        "MODULE": module.replace(EXPORT_LINE, "").replace("</script", "<\\/script"),
        "SHIM": (STATIC / "shim.js").read_text("utf-8"),
    }
    text = (STATIC / "page.html").read_text("utf-8")
    head, *rest = text.split("{{")
    return head + "".join(parts[part.split("}}", 1)[0]] + part.split("}}", 1)[1] for part in rest)


def quantise(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maps (n, m) as bytes, each on the scale of its own peak, and the peaks (n,) in float32."""
    maps = np.asarray(maps, np.float32)
    peaks = maps.max(axis=-1)
    return np.rint(maps * (255 / np.maximum(peaks, 1e-30))[:, None]).astype(np.uint8), peaks


def png_bytes(rgb: np.ndarray) -> bytes:
    """(H, W, 3) uint8 as a PNG."""
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG", optimize=True)
    return file.getvalue()


def colour_table(name: str = "cividis") -> str:
    """Matplotlib's colours of this name as 256 x RRGGBB, for the front end."""
    import matplotlib

    table = matplotlib.colormaps[name](np.arange(256))[:, :3]
    return np.rint(table * 255).astype(np.uint8).tobytes().hex()
