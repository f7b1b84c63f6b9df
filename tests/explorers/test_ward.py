"""WardRound: what it answers is what the models say, an examination changes what it should, a saved page has it all."""

import json

import jax
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.explorers import WardRound
from perceiver_lab.introspect import attention_maps

from .wards import IMAGES, made


@pytest.fixture(scope="module")
def ward():
    """A sound one, another, and one that says nothing that is a number."""
    silent = made(0)
    silent.output_adapter.linear.bias[...] = silent.output_adapter.linear.bias[...] + np.nan
    return WardRound({"sound": made(0), "A": made(1), "B": silent}, IMAGES, [2, 0, 1], class_names="wxyz", patient=1)


def test_answers(ward):
    told, (grey, tiles, peaks) = ward.answer(ward.ask())
    logits, maps = attention_maps(made(1), IMAGES[:1])
    np.testing.assert_allclose(told["probabilities"], jax.nn.softmax(logits[0]), atol=1e-4)
    shown = np.frombuffer(tiles, np.uint8).reshape(3, 16) / 255 * np.frombuffer(peaks, np.float32)[:, None]
    np.testing.assert_allclose(shown, maps[0].weights[0, 0], atol=2e-3)
    assert told["change"] == 0 and len(grey) == 16 and all(1 <= one <= 16 for one in told["looked"])
    plain = ward.ask()
    shuffled, hidden, off = (
        ward.answer({**plain, **way}) for way in ({"shuffled": True}, {"hidden": True}, {"off": 1})
    )
    assert all(one[0]["change"] > 0 for one in (shuffled, hidden, off))
    assert sorted(shuffled[1][0]) == sorted(grey) and shuffled[1][0] != grey
    assert hidden[0]["on_hidden"] == 0 < told["on_hidden"]
    silent = ward.answer(ward.ask(patient=2))[0]
    assert silent["probabilities"] is None and silent["change"] is None
    json.dumps([told, silent], allow_nan=False)


def test_first_frame_and_page(ward, tmp_path):
    frame = ward.first_frame()
    assert "picture of y" in frame.alt and "B: no number" in frame.alt
    assert repr(ward) == "WardRound(3 patients, 3 pictures, patient=1)"
    text = ward.export_html(tmp_path / "ward.html", images=1).read_text("utf-8")
    assert "Ward round" in text and text.count('"reply"') >= 3 * (3 + 3)


def test_what_does_not_fit_is_refused(ward):
    with pytest.raises(ValueError, match="A ward has a sound Perceiver and at least one that is ill; got 1 models"):
        WardRound({"sound": made(0)}, IMAGES, [0, 0, 0])
    with pytest.raises(ValueError, match="among them Linear"):
        WardRound({"sound": made(0), "A": nnx.Linear(2, 2, rngs=nnx.Rngs(0))}, IMAGES, [0, 0, 0])
    with pytest.raises(ValueError, match=r"images must be \(K, H, W, C\)"):
        WardRound({"sound": made(0), "A": made(1)}, IMAGES[0], [0])
    with pytest.raises(ValueError, match="3 pictures want as many labels, and 4 classes as many names; got 2 and 4"):
        WardRound({"sound": made(0), "A": made(1)}, IMAGES, [0, 1])
    for name in ("patient", "image", "latent", "off"):
        with pytest.raises(ValueError, match=f"{name}=3 is out of range"):
            setattr(ward, name, 3)
    with pytest.raises(ValueError, match="images=4: this ward has 1 to 3 pictures"):
        ward.export(images=4)
    with pytest.raises(ValueError, match="no answer to 'tile'"):
        ward.answer({"what": "tile"})
