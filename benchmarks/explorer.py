"""How fast the attention explorer answers at 512 latents x 50,176 inputs: python benchmarks/explorer.py

Three classes: what the browser does alone (16 ms), what needs the latents only (100 ms), what reads all inputs again
(1 s). Python's answers are timed as the front end asks for them, without the way to the browser; the browser's own work
in Chromium on a saved page with maps of 224 x 224, from an input event until the page is drawn and described.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from perceiver_lab.adapters import ClassOutput, ImageInput
from perceiver_lab.explorers import AttentionExplorer
from perceiver_lab.models.perceiver import Perceiver, PerceiverConfig
from perceiver_lab.recipes.fingerprints import versions

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

RESULTS = Path(__file__).parent / "results" / "explorer.json"
LIMITS = {"browser": 16, "latents": 100, "read": 1000}  # milliseconds
SIDE = 224

DRAG = """async ([selector, values]) => {
  const target = document.querySelector(selector), times = [];
  const nextTask = () => new Promise((done) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  });
  for (const [x, y] of values) {
    const began = performance.now();
    if (target.tagName === "CANVAS") {
      const box = target.getBoundingClientRect();
      const place = { clientX: box.left + x * box.width, clientY: box.top + y * box.height };
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


def make_explorer(num_latents):
    """An untrained Perceiver with one read of 50,176 pixels, on random pictures."""
    config = PerceiverConfig(
        num_latents=num_latents, latent_channels=64, num_reads=1, num_blocks=2, num_self_attends_per_block=2
    )
    rngs = nnx.Rngs(0)
    adapter = ImageInput((SIDE, SIDE, 3), num_bands=16)
    model = Perceiver(config, input_adapter=adapter, output_adapter=ClassOutput(64, 10, rngs=rngs), rngs=rngs)
    images = np.random.default_rng(0).integers(0, 256, (8, SIDE, SIDE, 3), dtype=np.uint8)
    return AttentionExplorer.from_model(model, images)


def milliseconds(call):
    """Of one call."""
    began = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - began)


def python_times(explorer, repeats):
    """Answers by class; the first of each kind compiles and is not counted."""
    rng = np.random.default_rng(1)
    latents = explorer.facts["latent_ids"]
    here = {"example": 0, "layer": "read 0", "head": -1}

    def tile():
        explorer.answer({"what": "tile", "latent": int(rng.choice(latents)), **here})

    def column():
        explorer.answer({"what": "column", "pixel": int(rng.integers(SIDE**2)), **here})

    def off():
        off = rng.choice(latents, size=len(latents) // 4, replace=False)
        explorer.answer({"what": "predict", "example": 0, "off": [int(i) for i in off]})

    def read(example):
        explorer.answer({"what": "tile", "latent": 0, **here, "example": example})
        explorer.answer({"what": "predict", "example": example, "off": []})

    found = {"latents": {}, "read": {}}
    for call in (tile, column, off):
        call()
        found["latents"][call.__name__] = [milliseconds(call) for _ in range(repeats)]
    # Two examples are kept: going round through eight reads each anew.
    found["read"]["read"] = [milliseconds(lambda n=n: read(n % 8)) for n in range(2, 2 + repeats)]
    return found


def browser_times(explorer, repeats):
    """Hovering over pixels and dragging the latent's slider on a saved page whose maps keep every pixel."""
    from playwright.sync_api import sync_playwright

    import lab_server

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = explorer.export_html(Path(folder) / "page.html", examples=[0], layers=["read 0"], latents=32, side=SIDE)
        browser = playwright.chromium.launch(
            executable_path=lab_server.find_chromium(), args=list(lab_server.CHROMIUM_FLAGS)
        )
        page = browser.new_page()
        page.goto(path.as_uri())
        page.wait_for_function("() => document.querySelector('[role=status]')?.textContent")
        rng = np.random.default_rng(2)
        points = [[float(x), float(y)] for x, y in rng.random((repeats, 2))]
        slides = [[int(i), 0] for i in rng.integers(0, 32, repeats)]
        found = {
            "hover": page.evaluate(DRAG, ["canvas", points])[1:],
            "latent": page.evaluate(DRAG, ["input[type=range]", slides])[1:],
        }
        browser.close()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latents", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    explorer = make_explorer(options.latents)
    times = python_times(explorer, options.repeats) | {"browser": browser_times(explorer, options.repeats)}
    result = {"num_latents": options.latents, "num_inputs": SIDE**2, "repeats": options.repeats, "milliseconds": {}}
    for kind, limit in LIMITS.items():
        for name, values in times[kind].items():
            median, worst = statistics.median(values), max(values)
            result["milliseconds"][name] = {"median": round(median, 2), "worst": round(worst, 2), "limit": limit}
            print(f"{kind:8} {name:7} median {median:8.2f} ms, worst {worst:8.2f} ms, limit {limit} ms")
    result |= {"device": jax.devices()[0].device_kind, "versions": versions()}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
