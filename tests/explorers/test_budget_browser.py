"""The token budget's page in Chromium: what it says is what Python finds, in both themes and without a network."""

import re

import pytest
from playwright.sync_api import expect

from .budgets import LONGEST, TEXTS, TOKENS, make_budget
from .pages import painted, says, violations

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def told(budget, tokens=TOKENS, question="caption", **clip):
    """A pattern for what the model says."""
    text = " ".join(budget.say(tokens, question, **clip).text.split())
    return rf"Asked “{re.escape(question)}”, the model says: “{re.escape(text)}"


@pytest.fixture(scope="module")
def budget():
    return make_budget()


def test_frames_order_tokens_and_questions(open_page, budget):
    page = open_page(budget)
    says(page, rf"^4 frames, as filmed: {TOKENS} tokens, of which the text reads {TOKENS}\. To be seen: “{TEXTS[0]}”")
    says(page, told(budget))
    shown, maps, table = (page.locator("canvas").nth(number) for number in range(3))
    assert all(painted(canvas) > 3 for canvas in (shown, maps, table))
    done = page.locator(".pl-done")
    expect(done).to_have_count(0)
    frames = page.get_by_label("Frames", exact=True).and_(page.locator("input"))
    frames.focus()
    frames.press("Home")
    says(page, "^1 frame, as filmed")
    frames.press("End")
    says(page, rf"^{LONGEST} frames, .*Found out: Read one frame.*{TOKENS} from 1 frame, {TOKENS} from {LONGEST}\.")
    page.get_by_label("Order").select_option("reversed")
    says(page, rf"^{LONGEST} frames, reversed.*" + told(budget, frames=LONGEST, order="reversed"))
    says(page, "Found out: Play the clip backwards")
    tokens = page.get_by_label("Tokens that the text reads")
    tokens.focus()
    tokens.press("Home")
    says(page, "of which the text reads 1.*" + told(budget, 1, frames=LONGEST, order="reversed"))
    expect(tokens).to_have_attribute("aria-valuetext", f"1 of {TOKENS}")
    bars = page.get_by_role("list", name="How the text shares its attention among the tokens").locator("li")
    expect(bars).to_have_count(TOKENS)
    expect(bars.last).to_contain_text("not read")
    page.get_by_label("Question").select_option("last?")
    says(page, told(budget, 1, "last?", frames=LONGEST, order="reversed"))
    assert violations(page) == []


def test_tokens_and_frames_take_keys(open_page, budget, monkeypatch):
    clip = {"example": 0, "frames": 4, "order": "as filmed"}
    asks = [{"what": "clip", "example": 0}]
    for dropped in ([], [1]):
        asks.append({"what": "look", **clip, "dropped": dropped})
        asks.append({"what": "say", **clip, "dropped": dropped, "tokens": TOKENS, "question": "caption"})
    monkeypatch.setattr(budget, "export", lambda: (budget.state(), [(ask, budget.answer(ask)) for ask in asks]))
    page = open_page(budget)
    shown, maps, table = (page.locator("canvas").nth(number) for number in range(3))
    shares = budget.look(**clip)[1][0][:, :64].reshape(TOKENS, 4, 16).sum(axis=-1)
    says(page, rf"Token 1 looks most at frame {shares[0].argmax() + 1} ")
    before = maps.evaluate("c => c.toDataURL()")
    table.focus()
    table.press("ArrowDown")
    says(page, rf"Token 2 looks most at frame {shares[1].argmax() + 1} ")
    assert maps.evaluate("c => c.toDataURL()") != before
    shown.focus()
    shown.press("ArrowRight")
    shown.press("Enter")
    says(page, r"^4 frames, as filmed, 1 of them dropped.*" + told(budget, dropped=[1], **clip))
    page.get_by_role("button", name="Show all frames again").click()
    says(page, "^4 frames, as filmed: ")
    page.set_viewport_size({"width": 420, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
