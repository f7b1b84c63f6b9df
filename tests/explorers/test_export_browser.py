"""Saved pages in Chromium without a network: they come alive, take keys, and are accessible in both themes."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from perceiver_lab.explorers import AttentionExplorer, FourierBandwidth, ShapeTracer

from .conftest import attention_arrays
from .pages import painted, says, violations

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_attention(open_page, attention):
    page = open_page(attention)
    picture, latents = page.locator("canvas").all()
    says(page, r"Example 0 \(label ant\), read 0\. Latent 1 looks most at row \d, column \d.*Prediction ant")
    assert painted(picture) > 10
    assert painted(latents) > 5
    picture.focus()
    picture.press("ArrowLeft")
    picture.press("ArrowUp")
    says(page, "Row 1, column 1 is watched most by latents")
    latents.focus()
    latents.press("ArrowRight")
    latents.press(" ")
    says(page, r"Latent 2 looks.*Off: latent 2\. Prediction ant \(40\s%\); with all latents ant \(33\s%\)")
    page.get_by_role("button", name="All on").click()
    says(page, r"Prediction ant \(33\s%\)\.$")
    page.get_by_label("Layer").select_option("read 1")
    page.get_by_label("Head", exact=True).select_option("head 1")
    says(page, "read 1, head 1")
    assert violations(page) == []


def test_attention_hover_and_click(open_page, attention):
    page = open_page(attention)
    picture, latents = page.locator("canvas").all()
    box = picture.bounding_box()
    picture.hover(position={"x": box["width"] * 0.9, "y": box["height"] * 0.1})
    says(page, "Row 0, column 3 is watched most")
    box = latents.bounding_box()
    fifth = {"x": box["width"] * 4.5 / 6, "y": box["height"] / 2}
    latents.click(position=fifth)
    says(page, "Latent 4 looks")
    latents.click(position=fifth)
    says(page, "Off: latent 4")
    page.get_by_role("button", name=re.compile("^latent ")).first.click()
    expect(page.get_by_role("button", name=re.compile("^Switch o"))).to_be_visible()


def test_attention_finds(open_page, images):
    """Of six latents, those of a class vote for it: bees lose to cats when latents 1 and 4 are off."""
    explorer = AttentionExplorer(
        images, attention_arrays(), class_names=["ant", "bee", "cat"], labels=[2, 1], latent=0, turn=("ant", "bee")
    )
    page = open_page(explorer)
    latents = page.locator("canvas").last
    done = page.locator(".pl-done")
    expect(done).to_have_count(0)
    expect(page.locator(".pl-finds li")).to_have_count(2)  # of a saved page, whose latents are off two at a time
    latents.focus()
    latents.press(" ")
    says(page, r"Off: latent 0\..*Found out: Switch off as few.* Example 0 without latent 0: ant becomes bee\.$")
    expect(done).to_have_count(1)
    latents.press("ArrowRight")
    latents.press(" ")
    says(page, r"Off: latents 0, 1\. Prediction cat")
    latents.press("ArrowRight")
    latents.press(" ")
    says(page, r"Off: latents 1, 2\. Prediction ant")  # the page goes on with the two that are off last
    expect(done).to_have_count(1)
    assert violations(page) == []


def test_attention_finds_with_a_kernel_behind(open_page, images, monkeypatch):
    explorer = AttentionExplorer(
        images, attention_arrays(), class_names=["ant", "bee", "cat"], labels=[1, 1], latent=0, turn=("ant", "bee")
    )
    state, answers = explorer.export()
    state["facts"]["most_off"] = 0
    more = {"what": "predict", "example": 0, "off": [0, 1, 2]}
    monkeypatch.setattr(explorer, "export", lambda: (state, [*answers, (more, explorer.answer(more))]))
    page = open_page(explorer)
    expect(page.locator(".pl-finds li")).to_have_count(3)
    latents = page.locator("canvas").last
    latents.focus()
    latents.press(" ")
    says(page, r"Found out: Find a wrong answer .* Example 0 without latent 0: ant becomes bee\.$")
    for _ in range(2):
        latents.press("ArrowRight")
        latents.press(" ")
    says(page, r"Found out: Switch off half .* Example 0: 3 of 6 off, still ant \(33\s%\)\.$")
    expect(page.locator(".pl-done")).to_have_count(3)


def test_shapes(open_page):
    page = open_page(ShapeTracer(num_inputs=100, num_queries=8, channels=32))
    says(page, r"The output is 8 × 32\.")
    slider = page.get_by_label("Inputs M")
    slider.focus()
    slider.press("End")
    says(page, r"Inputs 100 → 1.048.576: the output stays 8 × 32\..*times as many")
    shapes = page.locator(".pl-shape").all_inner_texts()
    assert [re.sub(r"\s(?=\d)", "", shape.replace("\u2009", "")) for shape in shapes][-1].endswith("8 ×32")
    page.get_by_label("Heads").select_option("4")
    says(page, "Heads 1 → 4: the output stays")
    assert violations(page) == []


def test_what_the_shape_tracer_lets_one_find_out(open_page):
    page = open_page(ShapeTracer(num_inputs=100, num_queries=16, channels=32))
    done = page.locator(".pl-done")
    page.get_by_label("Heads").select_option("4")
    says(page, r"The multiply-adds stay .*; the bytes are 4 times as many\.$")
    expect(done).to_have_count(1)
    inputs, queries = page.get_by_label("Inputs M"), page.get_by_label("Queries N")
    inputs.press("End")
    says(page, r"Queries and output: none of their axes counts inputs\.$")
    expect(done).to_have_count(2)
    for _ in range(3):
        inputs.press("ArrowLeft")
    for _ in range(5):
        queries.press("ArrowRight")
    says(page, r"Found out: Set 50 176 inputs and 512 queries.* 392\sMiB; among the inputs themselves, 37\.5\sGiB\.$")
    expect(done).to_have_count(3)


def test_shapes_count_what_the_formula_says(open_page):
    page = open_page(ShapeTracer(num_inputs=1000, num_queries=16, channels=64))
    projections, attention = 2 * 16 * 64**2 + 2 * 1000 * 64**2, 2 * 16 * 1000 * 64
    itself = 4 * 1000 * 64**2 + 2 * 1000**2 * 64
    total = (projections + attention) / 1e6
    says(page, rf"{total:.1f} million multiply-adds.* {itself / 1e6 / total:.0f} times as many")


def test_fourier(open_page):
    page = open_page(FourierBandwidth(cells=17, num_bands=8, max_resolution=16, signal=np.cos(np.arange(65) / 3)))
    says(page, r"Nyquist for 17 cells: 8 turns\. Band 8 makes 8 turns.*No band lies beyond.*dB\.$")
    resolution = page.get_by_label("Max resolution")
    resolution.focus()
    resolution.press("ArrowRight")
    says(page, r"Band 8 makes 8\.5 turns: beyond Nyquist\. On these cells it cannot be told from 7\.5 turns")
    frequencies = page.locator("canvas[tabindex]")
    frequencies.focus()
    frequencies.press("ArrowLeft")
    says(page, "Band 7 makes")
    assert all(painted(canvas) > 2 for canvas in page.locator("canvas").all())
    assert violations(page) == []


def test_what_the_waves_let_one_find_out(open_page):
    page = open_page(FourierBandwidth(cells=8, num_bands=4, max_resolution=7, signal=np.cos(np.arange(65) / 3)))
    done = page.locator(".pl-done")
    says(page, "No band lies beyond")
    expect(done).to_have_count(0)
    page.get_by_label("Max resolution").press("ArrowRight")
    says(page, r"On 8 cells, 4 turns look like 3\.")
    says(page, r"[\d.]+ dB with 1 beyond, [\d.]+ dB with none\.")
    says(page, r"Bands 3 and 4: 3 and 4 turns on 8 cells\.$")
    expect(done).to_have_count(3)


def test_shuffle(open_page, shuffle):
    page = open_page(shuffle)
    says(page, r"Nothing shuffled\. Perceiver says .* right on 12 of 12, logits moved by 0;")
    dial = page.get_by_label("Pixels shuffled")
    dial.focus()
    dial.press("End")
    says(page, r"100 % of the pixels shuffled, positions moved along\. Perceiver .* logits moved by 0; ConvNet")
    says(page, r"Whose logits stay\? Perceiver's move by 0, ConvNet's move by [\d.]+\.$")
    expect(page.locator(".pl-done")).to_have_count(1)
    page.get_by_label("positions move along").press(" ")
    says(page, r"positions left behind\. Perceiver .* logits moved by [1-9]")
    says(page, r"more than half of the examples\? At 100 %: Perceiver and ConvNet\.$")
    expect(page.locator(".pl-done")).to_have_count(2)
    assert all(painted(canvas) > 2 for canvas in page.locator("canvas").all())
    assert violations(page) == []


def test_a_question_without_an_answer_is_said(open_page, shuffle):
    page = open_page(shuffle)
    page.locator("input[type=range]").evaluate("e => { e.step = 1; e.value = 55; e.dispatchEvent(new Event('input')) }")
    says(page, "saved without that")


def test_narrow_pages_do_not_scroll_sideways(open_page, attention):
    page = open_page(attention)
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
