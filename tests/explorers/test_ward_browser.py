"""The ward round's page in Chromium: who shows which sign, told by what Python computes, in both themes."""

import pytest
from playwright.sync_api import expect

from .pages import painted, says, violations
from .wards import make_ward

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LATENTS = 3


def test_each_examination_finds_its_patient(open_page):
    ward = make_ward()
    page = open_page(ward, images=2)
    says(page, r"^A, a picture of y, no examination: it says [w-z] with \d+")
    assert all(painted(canvas) > 1 for canvas in page.locator("canvas").all())
    done, patient = page.locator(".pl-done"), page.get_by_label("Patient", exact=True)
    hide, shuffle = page.get_by_label("Hide the lower quarter"), page.get_by_label("Shuffle the pixels")
    hide.focus()
    hide.press(" ")
    says(page, r"^A.*lower quarter hidden by a mask: .* 100\s% of the weight lies on what is hidden.*Found out: Hide")
    expect(done).to_have_count(1)
    shuffle.press(" ")
    expect(hide).not_to_be_checked()  # a saved page has one examination at a time
    says(page, r"^A.*pixels shuffled: ")
    expect(done).to_have_count(1)
    patient.select_option(label="B")
    says(page, r"^B.*Its logits moved by up to \S+\..*Found out: Shuffle the pixels.*\? B: its logits move by")
    patient.select_option(label="C")
    page.get_by_label("Switch off latent").select_option("1")
    says(page, r"^C.*latent 1 off: .*Found out: Switch a latent off.*\? C: its logits move by")
    expect(done).to_have_count(3)
    assert violations(page) == []


def test_it_says_what_the_models_say(open_page):
    ward = make_ward(patient=0)
    page = open_page(ward, images=2)
    picture = page.get_by_label("Picture", exact=True).first
    picture.select_option("1")
    for off in range(LATENTS):
        page.get_by_label("Switch off latent").select_option(str(off))
        change = ward.answer(ward.ask() | {"image": 1, "off": off})[0]["change"]
        says(page, rf"^sound, a picture of w, latent {off} off: .*moved by up to {float(f'{change:.2g}'):g}")
    expect(page.locator(".pl-done")).to_have_count(0)  # the sound one has no sign
    page.get_by_label("Map of latent").select_option("2")
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
