"""What is checked on an explorer's page in Chromium."""

import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect


def says(page, pattern):
    expect(page.locator("[role=status]")).to_have_text(re.compile(pattern), timeout=30_000)


def violations(page):
    found = Axe().run(page).response["violations"]
    return [(one["id"], one["help"], [node["html"][:200] for node in one["nodes"]]) for one in found]


def painted(canvas):
    """Number of different colours on a canvas."""
    return canvas.evaluate(
        "c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size"
    )
