"""Small explorers to test with, and the question-and-answer of a front end."""

import numpy as np
import pytest

from perceiver_lab.explorers import ArrayProvider, AttentionExplorer, ShuffleDial

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
