"""How fast the explorers answer: python benchmarks/explorer.py

The attention explorer at 512 latents x 50,176 inputs, the query playground at 48 x 48 pixels and windows of 64 x 64
queries, the mask painter at 1,024 bytes, the sense mixer and the decode stepper at the sizes of their recipes. Three
classes: what the browser
does alone (16 ms), what needs the latents only (100 ms), what reads all inputs again (1 s). Python's answers are timed
as the front end asks for them, without the way to the browser; the browser's own work in Chromium on a saved page (with
maps of 224 x 224), from an input event until all is drawn and described.
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np
from workers.answers import attention_times, mixer_times, painter_times, playground_times, stepper_times
from workers.explorers import SCENE, SIDE, make_explorer, make_mixer, make_painter, make_playground, make_stepper

from perceiver_lab.recipes.fingerprints import versions

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

RESULTS = Path(__file__).parent / "results" / "explorer.json"
LIMITS = {"browser": 16, "latents": 100, "read": 1000}  # milliseconds

DRAG = """async ([selector, values]) => {
  const target = document.querySelector(selector), times = [];
  const nextTask = () => new Promise((done) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  });
  for (const [x, y] of values) {
    const began = performance.now();
    if (typeof x === "string") {
      target.dispatchEvent(new KeyboardEvent("keydown", { key: x }));
    } else if (target.tagName === "CANVAS") {
      const box = target.getBoundingClientRect();
      const place = { clientX: box.left + x * box.width, clientY: box.top + y * box.height, buttons: 1 };
      target.dispatchEvent(new PointerEvent("pointermove", place));
    } else {
      target.value = x;
      target.dispatchEvent(new Event("input"));
    }
    await nextTask();
    times.push(performance.now() - began);
    await new Promise((done) => setTimeout(done, 30));
  }
  return times;
}"""


def playground_browser_times(playground, repeats):
    """Dragging the point over the picture and the blend's slider on a saved page."""
    rng = np.random.default_rng(4)
    points = [[float(x), float(y)] for x, y in rng.random((repeats, 2))]
    slides = [[int(i), 0] for i in rng.integers(0, playground.facts["steps"], repeats)]
    with opened(playground, examples=[0]) as page:
        return {
            "drag": page.evaluate(DRAG, ["canvas", points])[1:],
            "way": page.evaluate(DRAG, [".pl-between input", slides])[1:],
        }


def key_times(explorer, repeats):
    """Moving over what is shown with the arrow keys, on a page that holds nothing else, at its full size."""
    explorer.export = lambda: (explorer.state(), [(ask, explorer.answer(ask)) for ask in explorer.asks()])
    keys = [[key, 0] for key in ("ArrowRight", "ArrowLeft") * (repeats // 2 + 1)]
    with opened(explorer) as page:
        return {"keys": page.evaluate(DRAG, ["canvas[tabindex]", keys])[1 : repeats + 1]}


def roll_times(stepper, repeats):
    """Walking over the notes with the arrow keys, on the saved page as it is."""
    keys = [[key, 0] for key in ("ArrowLeft", "ArrowRight") * (repeats // 2 + 1)]
    with opened(stepper, temperatures=[1.0]) as page:
        return {"keys": page.evaluate(DRAG, ["canvas[tabindex]", keys])[1 : repeats + 1]}


@contextlib.contextmanager
def opened(explorer, **reduction):
    """The explorer's saved page in Chromium, complete."""
    from playwright.sync_api import sync_playwright

    import lab_server

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = explorer.export_html(Path(folder) / "page.html", **reduction)
        browser = playwright.chromium.launch(
            executable_path=lab_server.find_chromium(), args=list(lab_server.CHROMIUM_FLAGS)
        )
        page = browser.new_page()
        page.goto(path.as_uri())
        page.wait_for_function("() => document.querySelector('[role=status]')?.textContent")
        yield page
        browser.close()


def browser_times(explorer, repeats):
    """Hovering over pixels and dragging the latent's slider on a saved page whose maps keep every pixel."""
    rng = np.random.default_rng(2)
    points = [[float(x), float(y)] for x, y in rng.random((repeats, 2))]
    slides = [[int(i), 0] for i in rng.integers(0, 32, repeats)]
    with opened(explorer, examples=[0], layers=["read 0"], latents=32, side=SIDE) as page:
        return {
            "hover": page.evaluate(DRAG, ["canvas", points])[1:],
            "latent": page.evaluate(DRAG, ["input[type=range]", slides])[1:],
        }


def measure_attention(options):
    """Sizes and times of the attention explorer."""
    repeats, num_latents = options.repeats, options.latents
    explorer = make_explorer(num_latents)
    times = attention_times(explorer, repeats) | {"browser": browser_times(explorer, repeats)}
    return {"num_latents": num_latents, "num_inputs": SIDE**2, "repeats": repeats, "milliseconds": summary(times)}


def measure_playground(options):
    """Sizes and times of the query playground."""
    repeats, playground = options.repeats, make_playground()
    times = playground_times(playground, repeats) | {"browser": playground_browser_times(playground, repeats)}
    sizes = {"num_latents": 32, "num_inputs": SCENE**2, "num_queries": int(np.prod(playground.facts["window"]))}
    return {**sizes, "repeats": repeats, "milliseconds": summary(times)}


def measure_painter(options):
    """Sizes and times of the mask painter."""
    repeats, painter = options.repeats, make_painter()
    times = painter_times(painter, repeats) | {"browser": key_times(painter, repeats)}
    return {"num_inputs": painter.filler.length, "repeats": repeats, "milliseconds": summary(times)}


def measure_mixer(options):
    """Sizes and times of the sense mixer."""
    repeats, mixer = options.repeats, make_mixer()
    times = mixer_times(mixer, repeats) | {"browser": key_times(mixer, repeats)}
    samples, (frames, height, width) = mixer.facts["samples"], mixer.facts["shape"]
    sizes = {"num_pixels": frames * height * width, "num_samples": samples}
    return {**sizes, "repeats": repeats, "milliseconds": summary(times)}


def measure_stepper(options):
    """Sizes and times of the decode stepper."""
    repeats, stepper = options.repeats, make_stepper()
    times = stepper_times(stepper, repeats) | {"browser": roll_times(stepper, repeats)}
    sizes = {"context": stepper.writer.context, "num_latents": stepper.writer.num_latents}
    return {**sizes, "repeats": repeats, "milliseconds": summary(times)}


def summary(times):
    """Median and worst of each, printed as well."""
    found = {}
    for kind, limit in LIMITS.items():
        for name, values in times[kind].items():
            median, worst = statistics.median(values), max(values)
            found[name] = {"median": round(median, 2), "worst": round(worst, 2), "limit": limit}
            print(f"{kind:8} {name:7} median {median:8.2f} ms, worst {worst:8.2f} ms, limit {limit} ms")
    return found


EXPLORERS = {
    "attention": measure_attention,
    "playground": measure_playground,
    "painter": measure_painter,
    "mixer": measure_mixer,
    "stepper": measure_stepper,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--explorers", nargs="+", choices=EXPLORERS, default=list(EXPLORERS))
    parser.add_argument("--latents", type=int, default=512, help="of the attention explorer")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    # What is not measured now keeps its numbers; each entry says where and with what it was made.
    result = json.loads(options.output.read_text()) if options.output.exists() else {}
    for name in options.explorers:
        made_with = {"device": jax.devices()[0].device_kind, "versions": versions()}
        result[name] = EXPLORERS[name](options) | made_with
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
