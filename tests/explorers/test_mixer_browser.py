"""The sense mixer's page in Chromium: mixing, conflicts, playing, in both themes and without a network."""

import re

import pytest
from playwright.sync_api import expect

from perceiver_lab.explorers.mixer_export import NOISES

from .mixers import make_mixer
from .pages import painted, says, violations

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def told(mixer, video, sound):
    """A pattern for what the model says of two channels."""
    found = mixer.mix(video, sound)
    first, second = (-found["probabilities"]).argsort()[:2]
    return (
        rf"The model says “{first}” \(.*\), then “{second}” \(.*\)\. Its frames against the clean ones: "
        rf"{found['psnr']:.1f}\sdB PSNR; its sound: {found['snr']:.1f}\sdB SNR\.".replace("-", "−")
    )


def test_mixing_with_keys(open_page, mixer):
    page = open_page(mixer)
    says(page, r"^Shown: “0”, volume 100\s%, noise 0\s%\. Said: “0”, .*" + told(mixer, [0, 100, 0], [0, 100, 0]))
    assert all(painted(canvas) > 3 for canvas in page.locator("canvas").all())
    noise = page.get_by_label("Sound noise")
    noise.focus()
    noise.press("ArrowRight")
    says(page, r"Said: “0”, volume 100\s%, noise 100\s%\. " + told(mixer, [0, 100, 0], [0, 100, 100]))
    volume = page.get_by_label("Sound volume")
    volume.focus()
    volume.press("Home")
    says(page, r"Sound removed: its mask token takes its place\. " + told(mixer, [0, 100, 0], [0, 0, 0]))
    expect(volume).to_have_attribute("aria-valuetext", "removed")
    expect(noise).to_be_disabled()
    page.get_by_label("Video volume").press("Home")
    says(page, r"^Video removed: its mask token takes its place\. Sound removed.*" + told(mixer, [0, 0, 0], [0, 0, 0]))
    assert violations(page) == []


def test_what_there_is_to_find_out(open_page, mixer):
    page = open_page(mixer)
    done = page.locator(".pl-done")
    expect(done).to_have_count(0)
    page.get_by_label("Digit said").select_option(label="1")
    says(page, "Said: “1”.*" + told(mixer, [0, 100, 0], [1, 100, 0]))
    best = int(mixer.mix([0, 100, 0], [1, 100, 0])["probabilities"].argmax())
    winner = {0: "The video", 1: "The sound"}.get(best, "Neither")
    says(page, rf"Found out: Show one digit and say another\. Who wins\? {winner}: “0” \d.*, “1” \d.*\.$")
    page.get_by_label("Sound volume").press("Home")
    best = int(mixer.mix([0, 100, 0], [1, 0, 0])["probabilities"].argmax())
    says(page, rf"Found out: Silence the sound\. .* {'Yes' if best == 0 else 'No'}: “{best}” ")
    expect(done).to_have_count(2)
    bars = page.get_by_role("list", name="Probability of each label").locator("li")
    expect(bars).to_have_count(3)
    expect(bars.first).to_contain_text("0 (shown)")
    assert violations(page) == []


def flipping(mixer):
    """A digit and a level of video noise that change what is said of the video alone, from what and to what."""
    for number in (0, 1):
        before, *noisy = (int(mixer.mix([number, 100, noise], [0, 0, 0])["probabilities"].argmax()) for noise in NOISES)
        for steps, after in enumerate(noisy, 1):
            if after != before:
                return number, steps, before, after
    raise AssertionError("no noise flips a label of this model")


def test_noise_until_the_label_flips(open_page):
    mixer = make_mixer(sound_volume=0)
    number, steps, before, after = flipping(mixer)
    page = open_page(mixer)
    page.get_by_label("Digit shown").select_option(label=str(number))
    says(page, told(mixer, [number, 100, 0], [0, 0, 0]))
    slider = page.get_by_label("Video noise")
    for _ in range(steps):
        slider.press("ArrowRight")
    flip = rf"Video noise {NOISES[steps]}\s%, sound noise 0\s%: “{before}” becomes “{after}”\.$"
    says(page, rf"Found out: Add noise until the label flips\. {flip}")
    slider.press("Home")
    says(page, rf"noise 0\s%.*{told(mixer, [number, 100, 0], [0, 0, 0])}")
    expect(page.locator(".pl-found").nth(2)).to_contain_text(f"“{before}” becomes “{after}”")


def test_frames_take_keys_and_clicks(open_page, mixer):
    page = open_page(mixer)
    strip = page.locator("canvas[tabindex]")
    large = page.locator("canvas").first
    before = large.evaluate("c => c.toDataURL()")
    strip.focus()
    strip.press("ArrowRight")
    strip.press("ArrowRight")
    expect(page.get_by_text("Frame 3 of 4 is shown large.")).to_be_visible()
    assert large.evaluate("c => c.toDataURL()") != before
    box = strip.bounding_box()
    strip.click(position={"x": box["width"] * 0.1, "y": box["height"] * 0.8})
    expect(page.get_by_text("Frame 1 of 4 is shown large.")).to_be_visible()


def test_playing(open_page, mixer):
    page = open_page(mixer)
    page.evaluate(
        """() => {
          window.started = [];
          const start = AudioBufferSourceNode.prototype.start;
          AudioBufferSourceNode.prototype.start = function (...given) {
            window.started.push(Array.from(this.buffer.getChannelData(0)));
            return start.apply(this, given);
          };
        }"""
    )
    page.get_by_role("button", name="Play what the model is given").click()
    page.get_by_role("button", name="Play what it makes of it").click()
    given, made = page.evaluate("window.started")
    assert given == pytest.approx(mixer.desk.clean("sound", 0)[:, 0].tolist(), abs=1e-4)
    assert made == pytest.approx(mixer.mix()["sound"].clip(-1, 1).tolist(), abs=1e-4)
    page.get_by_label("Sound volume").press("Home")
    says(page, "Sound removed")
    page.get_by_role("button", name="Play what the model is given").click()
    assert len(page.evaluate("window.started")) == 2


def test_all_levels_with_a_kernel_behind(open_page, monkeypatch):
    mixer = make_mixer()
    asks = mixer.asks()
    asks += [{**asks[0], "video": [2, 100, 0]}, {"what": "clip", "sense": "video", "channel": [2, 100, 0]}]
    asks += [{**asks[0], "video": [1, 100, 0]}, {"what": "clip", "sense": "video", "channel": [1, 100, 0]}]
    asks += [{**asks[0], "video": [1, 90, 0]}, {"what": "clip", "sense": "video", "channel": [1, 90, 0]}]
    monkeypatch.setattr(mixer, "export", lambda: (mixer.state(), [(ask, mixer.answer(ask)) for ask in asks]))
    page = open_page(mixer)
    page.get_by_label("Digit shown").select_option(label="1")
    says(page, told(mixer, [1, 100, 0], [0, 100, 0]))
    another = page.get_by_role("button", name="Another 1")
    another.click()
    says(page, told(mixer, [2, 100, 0], [0, 100, 0]))
    another.click()
    page.get_by_label("Video volume").press("ArrowLeft")
    says(page, r"^Shown: “1”, volume 90\s%.*" + told(mixer, [1, 90, 0], [0, 100, 0]))


def test_names_that_look_like_html_stay_text(open_page):
    from perceiver_lab.explorers import SenseMixer

    from .mixers import clips, make_model

    evil = ["<img src=x onerror=alert(1)>", "</script>", "two"]
    page = open_page(SenseMixer(make_model(), clips(), class_names=evil), examples=[0])
    says(page, re.escape("“<img src=x onerror=alert(1)>”"))
    expect(page.locator("img")).to_have_count(0)


def test_a_narrow_page_does_not_scroll_sideways(open_page, mixer):
    page = open_page(mixer)
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
