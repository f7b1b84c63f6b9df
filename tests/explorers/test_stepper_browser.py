"""The decode stepper's page in Chromium: steps, an edit, playing and what there is to find out, without a network."""

import pytest
from playwright.sync_api import expect

from .pages import painted, says, violations
from .steppers import LATENTS, REFILL_TO, make_stepper

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SAVED = {"temperatures": (0.0, 1.3), "given_bars": 1, "bars": 1, "steps": 12}


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def test_stepping_and_changing(open_page):
    page = open_page(make_stepper(), **SAVED)
    roll = page.locator("canvas").first
    says(page, rf"0 tokens sampled\. .* comes next\. Likeliest: .* and {REFILL_TO} latents of {LATENTS}\.")
    assert painted(roll) > 5
    press(page, "Step")
    says(
        page,
        rf"1 tokens sampled\. .* {REFILL_TO + 1} latents of {LATENTS}\. The last move computed 1 input and 1 latent;",
    )
    roll.focus()
    roll.press("Enter")
    says(page, r"2 tokens sampled\.")
    press(page, "Sixteenth")
    says(page, rf"6 tokens sampled\. .* A full pass was due: {REFILL_TO} latents made anew, .* Then came 1 latent more")
    roll.press("Backspace")
    says(page, r"5 tokens sampled\. .* and 4 latents")
    press(page, "Start over")
    says(page, r"0 tokens sampled\.")
    roll.press("ArrowLeft")
    says(page, r"which is there already\. What could come here is not on this saved page\.")
    assert violations(page) == []
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_what_there_is_to_find_out(open_page):
    page = open_page(make_stepper(), **SAVED)
    done, roll = page.locator(".pl-done"), page.locator("canvas").first
    for _ in range(LATENTS - REFILL_TO + 1):
        press(page, "Step")
    says(page, rf"Found out: Step until the cache is full\. .*: {REFILL_TO} latents are made anew, after 4 steps")
    roll.focus()
    roll.press("Home")
    roll.press("+")
    says(page, rf"The change spoils 1 input entry and {REFILL_TO} latents in every layer")
    roll.press("End")
    up = page.get_by_role("button", name="Tone up", exact=True)
    for _ in range(4):  # a random model lets voices be silent, which have no tone to change
        roll.press("ArrowUp")
        if up.is_enabled():
            break
    up.click()
    says(page, r"Found out: Change a tone near the beginning.*for the early tone")
    press(page, "Play")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    press(page, "Stop")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    expect(done).to_have_count(2)
