"""Small explorers to test with, and the question-and-answer of a front end."""

import numpy as np
import pytest

from perceiver_lab.explorers import ArrayProvider, AttentionExplorer, ShuffleDial

from .mixers import make_mixer
from .painters import make_painter
from .playgrounds import make_flow_playground, make_playground

LATENTS, SIDE, CLASSES = 6, 4, 3


def attention_arrays(examples: int = 2, latents: int = LATENTS, side: int = SIDE):
    """A provider whose prediction is the share of latents on, by number modulo 3."""
    rng = np.random.default_rng(0)
    maps = {}
    for name, heads in (("read 0", 1), ("read 1", 2), ("rollout", 1)):
        weights = rng.random((examples, heads, latents, side * side)).astype(np.float32) ** 4
        maps[name] = weights / weights.sum(-1, keepdims=True)

    def predict(example, latent_mask):
        votes = np.bincount(np.flatnonzero(latent_mask) % CLASSES, minlength=CLASSES) + 1e-6
        return votes / votes.sum()

    return ArrayProvider(maps, predict)


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture
def attention(images):
    return AttentionExplorer(images, attention_arrays(), class_names=["ant", "bee", "cat"], labels=[0, 2], latent=1)


def told_positions(images, positions):
    """Logits from what the positions say: they cannot change when both are shuffled together."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    if positions is not None:
        order = np.lexsort((positions[0, :, 1], positions[0, :, 0]))
        flat = flat[:, order]
    return in_order(flat, None)


def in_order(images, positions):
    """Logits from the pixels in the order given."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    return np.stack([flat @ np.cos(np.arange(flat.shape[1]) * k) for k in range(1, CLASSES + 1)], axis=-1) / 16


@pytest.fixture
def shuffle():
    digits = np.random.default_rng(2).integers(0, 17, (12, SIDE, SIDE, 1), dtype=np.uint8)
    labels = in_order(digits, None).argmax(-1)
    return ShuffleDial(digits, labels, {"Perceiver": told_positions, "ConvNet": in_order}, shown=3)


@pytest.fixture
def playground():
    return make_playground(zoom=2, point=[4.0, 5.0])


@pytest.fixture
def flow_playground():
    return make_flow_playground()


@pytest.fixture
def painter():
    return make_painter()


@pytest.fixture
def mixer():
    return make_mixer()


@pytest.fixture(params=["light", "dark"])
def open_page(request, browser, tmp_path):
    """`open_page(explorer)` saves it, opens the page offline, and fails on anything the page complains about."""
    from playwright.sync_api import expect  # not there under Colab's versions

    complaints = []
    context = browser.new_context(color_scheme=request.param, offline=True, viewport={"width": 1100, "height": 900})

    def show(explorer, **reduction):
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda sent: complaints.append(sent.url) if sent.url.startswith("http") else None)
        page.goto(explorer.export_html(tmp_path / "page.html", **reduction).as_uri())
        expect(page.locator("[role=status]")).not_to_be_empty(timeout=30_000)
        expect(page.locator(".pl")).to_have_attribute("data-theme", request.param)
        return page

    yield show
    context.close()
    assert complaints == []


@pytest.fixture
def ask(monkeypatch):
    """Send a question as the front end does; returns the reply and its buffers."""

    def send(explorer, question):
        sent = []
        monkeypatch.setattr(explorer, "send", lambda content, buffers=None: sent.append((content, buffers)))
        explorer._receive(explorer, {"id": "7", "ask": question}, [])
        [(content, buffers)] = sent
        assert content["id"] == "7"
        return content["reply"], buffers

    return send
