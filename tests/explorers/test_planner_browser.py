"""The budget planner's page in Chromium: its numbers are Python's, in both themes and without a network."""

import re

import pytest
from playwright.sync_api import expect

from perceiver_lab.explorers import BudgetPlanner

from .pages import painted, says, violations

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def amount(value):
    for size, name in ((1e15, "quadrillion"), (1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= size:
            return rf"{_three(value / size)}\s{name}"
    return rf"{value}"


def in_bytes(value):
    size, name = next((2**power, name) for power, name in ((40, "TiB"), (30, "GiB"), (20, "MiB")) if value >= 2**power)
    return rf"{_three(value / size)}\s{name}"


def _three(number):
    """As `toPrecision(3)`: 9.87, 98.7, 987."""
    return re.escape(f"{number:.{2 - (number >= 9.995) - (number >= 99.95)}f}")


def told(planner):
    """What is said of both models, as a pattern."""
    return ".*".join(
        rf"{name}: {amount(price.flops)} FLOPs, {in_bytes(price.memory)}, {amount(price.parameters)} parameters; "
        for name, price in planner.prices().items()
    )


def press(page, label, key, times=1):
    control = page.get_by_role("slider", name=label)
    control.focus()
    for _ in range(times):
        control.press(key)


def test_the_page_counts_as_python_does(open_page):
    page = open_page(BudgetPlanner())
    says(page, r"^Image of 64 × 64 pixels: 4\s096 inputs\. " + told(BudgetPlanner()))
    press(page, "Size", "End")
    press(page, "Latents N", "Home")
    press(page, "Layers", "End")
    press(page, "Width D", "ArrowLeft")
    now = {"image": 1024, "num_latents": 1, "num_layers": 48, "channels": 384}
    says(page, r"1\s048\s576 inputs\. " + told(BudgetPlanner(**now)))
    page.get_by_label("Folded and in chunks").press(" ")
    says(page, told(BudgetPlanner(**now, folded=True)))
    page.get_by_label("Input", exact=True).select_option("sound")
    says(page, r"^Sound at 16 kHz of 1\ss: 16\s000 inputs\. " + told(BudgetPlanner(**now, folded=True, kind="sound")))
    page.get_by_label("Input", exact=True).select_option("text")
    press(page, "Latents N", "End")
    now |= {"kind": "text", "num_latents": 4096, "folded": True}
    says(page, r"^Text of 2048\sbytes: 2\s048 inputs\. " + told(BudgetPlanner(**now)))
    assert violations(page) == []


def test_what_fits_the_laptop(open_page):
    planner = BudgetPlanner(image=224, num_latents=512)
    page = open_page(planner)
    seconds = planner.prices()["Perceiver"].flops / 50e9
    says(page, rf"Perceiver: .* it fits, and takes about {seconds:.1f}\ss\. Transformer: .* wanted, 16\sGiB there\.")
    verdicts = page.locator(".pl-laptop li")
    expect(verdicts).to_have_text([re.compile("^✓ Perceiver fits"), re.compile("^✗ Transformer does not fit")])
    page.get_by_label("speed").select_option("1000")
    says(page, rf"takes about {1000 * seconds / 20:.0f}\sms")
    press(page, "Size", "Home")
    expect(verdicts).to_have_text([re.compile("^✓ Perceiver fits"), re.compile("^✓ Transformer fits")])
    assert painted(page.locator("canvas")) > 5
    assert violations(page) == []


def test_what_there_is_to_find_out(open_page):
    page = open_page(BudgetPlanner(image=192))
    done = page.locator(".pl-done")
    expect(done).to_have_count(0)
    press(page, "Size", "ArrowRight")
    grown = [BudgetPlanner(image=side).prices() for side in (192, 224)]
    ratios = [f"{grown[1][name].flops / grown[0][name].flops:.2f}" for name in ("Perceiver", "Transformer")]
    says(page, rf"1\.36 times the inputs: Perceiver {ratios[0]} times, Transformer {ratios[1]} times the FLOPs")
    says(page, r"Of 16\sGiB, the Perceiver wants .*MiB, the Transformer 150\sGiB\.")
    expect(done).to_have_count(2)
    press(page, "Size", "Home")
    says(page, r"For example with 64 inputs and 256 latents\.$")
    expect(done).to_have_count(3)
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
