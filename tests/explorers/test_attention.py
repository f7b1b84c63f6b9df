"""The attention explorer's Python side: answers, state, reduced pages, bad input."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from perceiver_lab.explorers import AttentionExplorer
from perceiver_lab.explorers.attention import grid_of
from perceiver_lab.explorers.base import key_of

from .conftest import LATENTS, SIDE, attention_arrays

HERE = {"example": 1, "layer": "read 1"}


def test_a_tile_is_one_latent_of_one_head(attention, ask):
    maps = attention._provider.maps(1, "read 1")
    for head, weights in ((-1, maps.mean(0)), (0, maps[0]), (1, maps[1])):
        reply, [tile] = ask(attention, {"what": "tile", "head": head, "latent": 4, **HERE})
        assert reply["heads"] == [-1, 0, 1]
        assert reply["peak"] == pytest.approx(weights[4].max())
        restored = np.frombuffer(tile, np.uint8) / 255 * reply["peak"]
        assert np.allclose(restored, weights[4], atol=reply["peak"] / 500)


def test_a_column_is_all_latents_at_one_pixel(attention, ask):
    maps = attention._provider.maps(1, "read 1")
    _, [column] = ask(attention, {"what": "column", "head": -1, "pixel": 5, **HERE})
    assert np.allclose(np.frombuffer(column, np.float32), maps[:, :, 5].mean(0))


def test_a_sheet_is_all_tiles(attention, ask):
    reply, [tiles, peaks] = ask(attention, {"what": "sheet", "head": 1, **HERE})
    assert len(tiles) == LATENTS * SIDE**2
    assert np.allclose(np.frombuffer(peaks, np.float32), attention._provider.maps(1, "read 1")[1].max(-1))
    assert reply == {"heads": [-1, 0, 1]}
    assert ask(attention, {"what": "sheet", "example": 0, "layer": "read 0", "head": -1})[0] == {"heads": [-1]}


def test_the_picture_is_sent_as_it_is(attention, images, ask):
    _, [png] = ask(attention, {"what": "picture", "example": 1})
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), images[1])


def test_switching_latents_off_changes_the_prediction(attention, ask):
    even, _ = ask(attention, {"what": "predict", "example": 0, "off": []})
    assert np.allclose(even["probabilities"], 1 / 3)
    lost, _ = ask(attention, {"what": "predict", "example": 0, "off": [0, 3]})
    assert np.allclose(lost["probabilities"], [0, 0.5, 0.5], atol=1e-5)


def test_large_layers_are_not_sent_whole():
    images = np.zeros((1, 64, 64, 1), np.uint8)
    explorer = AttentionExplorer(images, attention_arrays(1, 32, 64))
    assert not explorer.facts["whole"]
    assert [json.loads(key)["what"] for key, *_ in explorer.first_answers][2:] == ["tile", "column"]
    assert sum(len(part) for _, _, buffers in explorer.first_answers for part in buffers) < 10_000


def test_state_can_be_read_and_set(attention):
    attention.layer, attention.latent, attention.pixel, attention.off = "rollout", 5, [3, 0], [1, 2]
    state = attention.state()
    assert state["layer"] == "rollout"
    assert state["off"] == [1, 2]
    assert "latent 5 in rollout" in attention.first_frame().alt


@pytest.mark.parametrize(
    ("trait", "value"),
    [
        ("example", 2),
        ("layer", "read 9"),
        ("head", -2),
        ("latent", LATENTS),
        ("pixel", [0, SIDE]),
        ("pixel", [1]),
        ("off", [0, 0]),
        ("off", [-1]),
        ("opacity", 1.5),
    ],
)
def test_state_that_does_not_exist(attention, trait, value):
    with pytest.raises(ValueError, match=f"{trait}=.*is not in this explorer"):
        setattr(attention, trait, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((2, 4, 4))}, r"\(B, H, W, channels\)"),
        ({"images": np.zeros((0, 4, 4, 1))}, "at least one"),
        ({"images": np.zeros((2, 5, 4, 1))}, "do not lie on pictures of 5 x 4"),
        ({"class_names": ["a"]}, "1 class_names, but the model predicts 3"),
        ({"labels": [0]}, "for each of the 2 images"),
        ({"labels": [0, 3]}, "from 0 to 2"),
        ({"turn": ("0", "9")}, r"turn=\('0', '9'\) must name two of the classes 0, 1, 2"),
        ({"turn": ("0",)}, "must name two of the classes"),
        ({"provider": SimpleNamespace(layers=["read 0"], maps=lambda *_: np.ones((3, 16)))}, r"\(heads, N, M\)"),
    ],
)
def test_arguments_that_do_not_fit(unchecked, images, change, message):
    arguments = {"images": images, "provider": attention_arrays(), **change}
    with pytest.raises(ValueError, match=message):
        AttentionExplorer(arguments.pop("images"), arguments.pop("provider"), **arguments)


def test_grid_of_patches():
    assert grid_of(64, (8, 8)) == (8, 8)
    assert grid_of(49, (28, 28)) == (7, 7)
    assert grid_of(6, (8, 12)) == (2, 3)


def test_a_page_holds_what_it_offers(attention):
    attention.off = [0, 1]
    state, answers = attention.export(examples=[1], layers=["read 1"], latents=3)
    facts = state["facts"]
    assert (facts["examples"], facts["layers"], len(facts["latent_ids"])) == ([1], ["read 1"], 3)
    assert facts["most_off"] == 2
    assert state["latent"] in facts["latent_ids"]
    assert set(state["off"]) == {0, 1} & set(facts["latent_ids"])
    kept = {key_of(ask) for ask, _ in answers}
    for off in ([], *([i] for i in facts["latent_ids"]), facts["latent_ids"][:2], facts["latent_ids"][1:]):
        assert key_of({"what": "predict", "example": 1, "off": off}) in kept
    for head in (-1, 0, 1):
        assert key_of({"what": "sheet", "example": 1, "layer": "read 1", "head": head}) in kept


def test_a_page_of_many_latents_switches_off_one_at_a_time():
    explorer = AttentionExplorer(np.zeros((1, 4, 4, 1), np.uint8), attention_arrays(1, 20, 4), off=[3, 8])
    state, answers = explorer.export()
    assert state["facts"]["most_off"] == len(state["off"]) == 1
    assert sum(ask["what"] == "predict" for ask, _ in answers) == 21


def test_maps_of_a_page_are_summed_over_squares(attention):
    state, answers = attention.export(side=2)
    assert state["facts"]["grid"] == [2, 2]
    [(_, (_, [tiles, peaks]))] = [
        (a, r) for a, r in answers if a == {"what": "sheet", "example": 0, "layer": "rollout", "head": -1}
    ]
    restored = np.frombuffer(tiles, np.uint8).reshape(LATENTS, 4) / 255 * np.frombuffer(peaks, np.float32)[:, None]
    assert np.allclose(restored.sum(-1), 1, atol=0.02)


@pytest.mark.parametrize("reduction", [{"examples": [5]}, {"layers": ["read 7"]}, {"latents": 0}, {"layers": []}])
def test_a_page_of_what_is_not_there(attention, reduction):
    with pytest.raises(ValueError, match="not|at least"):
        attention.export(**reduction)
