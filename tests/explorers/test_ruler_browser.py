"""The context ruler's page in Chromium: keys, pointer, choices and costs, in both themes and without a network."""

import re

import pytest
from playwright.sync_api import expect

from perceiver_lab.explorers.ruler_model import perceiver_ar_flops, transformer_flops

from .pages import painted, says, violations
from .rulers import LENGTH, make_ruler

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def told(ruler):
    """A pattern for what is said of the present place."""
    read = ruler.answer({"what": "read", "sequence": ruler.sequence})[0]
    guess = read["said"][str(ruler.num_latents)][ruler.place]["top"][0][0]
    sign = {1: "the end", 2: "the start"}.get(guess, f"symbol {guess - 3:02X}")
    return (
        rf"^Latent at place {ruler.place}, one of {min(ruler.num_latents, ruler.place + 1)}: it may see places 0 to "
        rf"{ruler.place}, .* It looks most at place {int(ruler.weights().argmax())}, .* It says: {sign}, "
    )


def test_along_the_ruler(open_page):
    page = open_page(make_ruler(place=9))
    ruler = page.locator("canvas").first
    says(page, told(make_ruler(place=9)))
    assert painted(ruler) > 5
    ruler.focus()
    ruler.press("ArrowRight")
    says(page, told(make_ruler(place=10)))
    ruler.press("PageDown")
    says(page, told(make_ruler(place=2)))
    ruler.press("End")
    says(page, told(make_ruler(place=LENGTH - 2)))
    box = ruler.bounding_box()
    ruler.click(position={"x": box["width"] * 5.5 / (LENGTH - 1), "y": box["height"] / 2})
    says(page, told(make_ruler(place=5)))
    page.get_by_label("Latents", exact=True).select_option("1")
    says(page, told(make_ruler(place=5, num_latents=1)))
    page.get_by_label("Head").select_option("1")
    says(page, told(make_ruler(place=5, num_latents=1, head=1)))
    page.get_by_label("Sequence").select_option("1")
    says(page, told(make_ruler(place=5, num_latents=1, head=1, sequence=1)))
    assert violations(page) == []
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    expect(ruler).to_have_attribute("style", re.compile("960 / 192"))  # the room that larger numbers take


def test_what_there_is_to_find_out(open_page):
    page = open_page(make_ruler(place=9, latents=1024))
    done = page.locator(".pl-done")
    ruler = page.locator("canvas").first
    ruler.focus()
    expect(done).to_have_count(0)
    ruler.press("End")
    ruler.press("ArrowLeft")
    says(page, r"Found out: Walk from the middle to the end\. .* places at place 9, .* at place 13\.$")
    ruler.press("PageDown")
    says(page, r"Found out: Go to a place in the first half\. .*: nothing tells it\.$")
    sizes = page.get_by_role("slider", name="Context M")
    sizes.press("End")
    flops = perceiver_ar_flops(131_072, 1024), transformer_flops(131_072)
    times = f"{flops[1] / flops[0]:.0f}"
    says(
        page,
        rf"takes {flops[0] / 1e12:.2f}\strillion FLOPs, of the Transformer {flops[1] / 1e12:.0f}\strillion: {times}",
    )
    each = re.escape(f"{flops[0] / 1024 / (flops[1] / 131_072):.3f}")
    says(page, rf"The Transformer's pass by {times} times; a token costs the Perceiver AR {each} times")
    expect(done).to_have_count(3)
