"""The query playground's Python side: what is asked, what is said, what a page keeps, bad input."""

import io
import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from perceiver_lab.adapters import PositionQueries
from perceiver_lab.explorers import QueryPlayground, Task
from perceiver_lab.explorers.base import key_of
from perceiver_lab.explorers.playground_model import FEW
from perceiver_lab.layers import FourierPositions
from perceiver_lab.models import Decoder, PerceiverConfig, PerceiverIO
from tests.drawn import drawn

from .playgrounds import KINDS, LATENTS, SIDE, TASKS, make_flow_model, make_model, make_playground, scenes

run = nnx.jit(lambda model, x, **asked: model(x, **asked))


def floats(images):
    return jnp.asarray(images.astype(np.float32) / np.float32(127.5) - 1)


def answers_of(number):
    """What the model itself says of a scene."""
    return {name: np.asarray(one) for name, one in run(make_model(), floats(scenes()[0][number : number + 1])).items()}


def test_answers_at_pixels_are_the_models_own(playground, ask):
    outputs = answers_of(1)
    reply, [weights] = ask(playground, {"what": "point", "example": 1, "point": [4, 7]})
    label, colour, mask = reply["answers"]
    logits = np.asarray(outputs["class"][0], np.float64)
    chances = np.exp(logits) / np.exp(logits).sum()
    assert label["text"] == KINDS[chances.argmax()]
    assert np.allclose([bar[1] for bar in label["bars"]], chances, atol=1e-3)
    cell = 4 * SIDE + 7
    levels = np.clip((np.asarray(outputs["colour"][0, cell]) + 1) / 2, 0, 1)
    assert np.allclose([bar[1] for bar in colour["bars"]], levels, atol=1e-3)
    assert colour["text"] == f"rgb {', '.join(str(round(float(v) * 255)) for v in levels)}"
    shape = 1 / (1 + np.exp(-float(outputs["mask"][0, cell, 0])))
    assert mask["bars"][1][1] == pytest.approx(shape, abs=1e-3)
    assert np.allclose(np.frombuffer(weights, np.float32).reshape(3, LATENTS).sum(-1), 1, atol=1e-5)
    assert (label["true"], colour["true"], mask["true"]) == ("square", "rgb 230, 90, 20", "shape")


def test_answers_between_pixels_are_those_of_queries_there(playground):
    model, image = make_model(), floats(scenes()[0][:1])
    nothing = jnp.zeros(0, int)
    place = jnp.asarray([[[2 * 3.25 / 11 - 1, 2 * 6.5 / 11 - 1]]], jnp.float32)
    rows = run(model, image, query_positions={"colour": place}, cells={"class": nothing, "mask": nothing})["colour"]
    [found] = playground.answers.at(0, np.array([[3.25, 6.5]]))
    expected = np.clip((np.asarray(rows)[0, 0] + 1) / 2, 0, 1)
    assert np.allclose([bar[1] for bar in found["answers"][1]["bars"]], expected, atol=1e-3)


def test_a_window_at_the_pixels_is_the_model_s_picture(playground, monkeypatch):
    outputs = answers_of(0)
    monkeypatch.setattr(playground.answers, "grid", (SIDE, SIDE))
    window = playground.answers.window(0, "colour", [5.5, 5.5], 1)
    expected = np.clip((np.asarray(outputs["colour"][0]).reshape(SIDE, SIDE, 3) + 1) / 2, 0, 1)
    assert np.abs(window - expected * 255).max() <= 0.51


def test_a_window_is_evenly_spread_over_its_share_of_the_picture(playground):
    points = playground.answers.window_points([3.5, 6.5], 2).reshape(64, 64, 2)
    step = SIDE / 2 / 64
    assert np.allclose(points[0, 0], [0.5 + step / 2, 3.5 + step / 2])
    assert np.allclose(points[-1, -1], [6.5 - step / 2, 9.5 - step / 2])
    # At the border the window stays on the picture.
    assert np.allclose(playground.answers.window_points([-0.5, 11.5], 4)[0], [-0.5 + step / 4, 8.5 + step / 4])


def test_windows_come_as_pictures(playground, ask):
    for task in ("colour", "mask"):
        reply, [png] = ask(playground, {"what": "window", "example": 0, "task": task, "center": [5, 5], "zoom": 4})
        window = np.asarray(Image.open(io.BytesIO(png)))
        assert window.shape == (64, 64, 3)
        assert len(np.unique(window.reshape(-1, 3), axis=0)) > 20
        assert reply == {"scale": 1.0}


def test_a_blend_begins_and_ends_with_its_questions(playground, ask):
    first, second = ["colour", 2, 3], ["colour", 9, 7.5]
    reply, _ = ask(playground, {"what": "blend", "example": 0, "first": first, "second": second})
    blended, line = reply["strips"]
    assert len(blended["texts"]) == len(line["colours"]) == 33
    for index, (_, *place) in ((0, first), (-1, second)):
        [found] = playground.answers.at(0, np.array([place], np.float64))
        assert blended["texts"][index] == line["texts"][index] == found["answers"][1]["text"]
    # Halfway between two queries is not the query of the point halfway.
    assert blended["texts"][16] != line["texts"][16]


def test_a_blend_of_two_tasks_is_read_as_both(playground):
    strips = playground.answers.path(0, ["class", 0, 0], ["mask", 4, 5])
    assert [strip["label"] for strip in strips] == ["Blended, read as class", "Blended, read as mask"]
    [found] = playground.answers.at(0, np.array([[4.0, 5.0]]))
    assert strips[0]["sure"][0] == found["answers"][0]["sure"]
    assert strips[1]["sure"][-1] == found["answers"][2]["sure"]


def test_many_points_are_the_same_as_one_by_one(playground):
    points = np.random.default_rng(0).uniform(-0.5, SIDE - 0.5, (FEW, 2))
    together = playground.answers.at(2, points)
    for i in (0, 30, FEW - 1):
        [alone] = playground.answers.at(2, points[i : i + 1])
        assert together[i]["answers"] == alone["answers"]
        assert np.allclose(together[i]["weights"], alone["weights"], atol=1e-6)


def test_one_reading_answers_all_questions(playground, monkeypatch):
    playground.answers.at(1, np.zeros((1, 2)))
    monkeypatch.setattr(playground.answers.model, "_encode", lambda *_: pytest.fail("read again"))
    playground.answers.at(1, np.array([[3.0, 4.0]]))
    playground.answers.window(1, "mask", [3, 4], 2)
    playground.answers.path(1, ["class", 0, 0], ["mask", 4, 5])


def test_training_on_does_not_reach_the_playground():
    images, _ = scenes()
    model = nnx.clone(make_model())
    explorer = QueryPlayground(model, images, TASKS)
    before = explorer.answers.at(0, np.zeros((1, 2)))[0]["answers"]
    model.latents[...] = jnp.zeros_like(model.latents[...])
    explorer.answers.model._kept.cache_clear()
    assert explorer.answers.at(0, np.zeros((1, 2)))[0]["answers"] == before


def test_a_flow_is_that_of_the_cell_the_point_lies_in(flow_playground, ask):
    inputs = jnp.asarray(np.moveaxis(flow_playground.frames[1:2, ..., 0], 1, -1))
    flow = np.asarray(run(make_flow_model(), inputs))
    assert flow.shape == (1, 6, 8, 2)
    reply, _ = ask(flow_playground, {"what": "point", "example": 1, "point": [2.4, 5.6]})
    [answer] = reply["answers"]
    x, y = flow[0, 2, 6]
    assert np.allclose(answer["vector"], [x, y], atol=2e-3)
    sides = "right" if x > 0 else "left", "down" if y > 0 else "up"
    assert answer["text"] == f"{abs(x):.1f} px {sides[0]}, {abs(y):.1f} px {sides[1]}"
    assert answer["true"] == "1.5 px right, 1.5 px down"
    whole = {"what": "window", "example": 1, "task": "flow", "center": [2.5, 3.5], "zoom": 1}
    reply, [png] = ask(flow_playground, whole)
    assert reply["scale"] == pytest.approx(np.hypot(*np.moveaxis(flow, -1, 0)).max(), rel=1e-4)
    assert len(np.unique(np.asarray(Image.open(io.BytesIO(png))).reshape(-1, 3), axis=0)) <= 48


def test_a_model_that_reads_every_second_pixel_is_told_so():
    def read(model, x):
        inputs = model.embed(x)
        return inputs, model.encode(inputs[:, ::2])

    model, pictures = make_flow_model(), np.random.default_rng(5).random((1, 6, 8, 1)).astype(np.float32)
    inputs = np.repeat(pictures, 2, axis=-1)
    explorer = QueryPlayground(model, pictures, [Task(name="flow", kind="flow")], inputs=inputs, read=read)

    @nnx.jit
    def by_hand(model, x):
        seen = model.embed(x)
        return model.decode(model.encode(seen[:, ::2]), inputs=seen)

    flow = np.asarray(by_hand(model, jnp.asarray(inputs)))
    [found] = explorer.answers.at(0, np.array([[3.0, 2.0]]))
    assert np.allclose(found["answers"][0]["vector"], flow[0, 3, 2], atol=2e-3)
    whole = np.asarray(run(model, jnp.asarray(inputs)))
    assert not np.allclose(flow, whole, atol=1e-3)


def test_frames_can_be_chosen(flow_playground, ask):
    frames = [ask(flow_playground, {"what": "picture", "example": 0, "frame": i})[1][0] for i in (0, 1)]
    assert frames[0] != frames[1]
    flow_playground.frame = 1
    assert {"what": "picture", "example": 0, "frame": 1} in flow_playground.asks()


def test_queries_of_one_kind_on_a_coarser_grid_than_the_picture():
    config = PerceiverConfig(num_latents=4, latent_channels=8, num_self_attends_per_block=1, num_self_heads=1)

    def build():
        rngs = nnx.Rngs(0)
        decoder = Decoder(PositionQueries(FourierPositions((6, 6), num_bands=2)), 8, output_channels=4, rngs=rngs)
        return PerceiverIO(config, input_adapter=make_model().input_adapter, decoder=decoder, rngs=rngs)

    model = drawn(build)
    images, _ = scenes()
    explorer = QueryPlayground(model, images, [Task(name="kind", kind="classes", classes="abcd")])
    rows = np.asarray(run(model, floats(images[:1])))[0]
    # The cell in the second row and third column covers pixels 2 and 3, 4 and 5.
    [found] = explorer.answers.at(0, np.array([[2.5, 4.5]]))
    chances = np.exp(rows[8]) / np.exp(rows[8]).sum()
    assert np.allclose([bar[1] for bar in found["answers"][0]["bars"]], chances, atol=1e-3)


def test_the_first_answers_come_along(playground):
    keys = [key for key, *_ in playground.first_answers]
    assert keys == [key_of(ask) for ask in playground.asks()]
    assert json.loads(keys[2]) == {"what": "window", "example": 0, "task": "colour", "center": [4, 5], "zoom": 2}


def test_the_first_frame_says_what_is_asked_and_answered(playground):
    [found] = playground.answers.at(0, np.array([[4.0, 5.0]]))
    alt = playground.first_frame().alt
    assert "at row 4, column 5 the model says class: " in alt
    for answer in found["answers"]:
        assert answer["text"] in alt


@pytest.mark.parametrize(
    ("trait", "value"),
    [
        ("example", 3),
        ("frame", 1),
        ("task", "sound"),
        ("view", "class"),
        ("point", [0.0, SIDE]),
        ("point", [1.0]),
        ("center", [-0.6, 0.0]),
        ("zoom", 3),
        ("first", ["colour", 1]),
        ("second", ["sound", 1, 1]),
        ("blend", 1.1),
    ],
)
def test_state_that_does_not_exist(playground, trait, value):
    with pytest.raises(ValueError, match=f"{trait}=.*is not in this playground: it has 3 examples"):
        setattr(playground, trait, value)


def test_a_page_holds_what_it_offers(playground):
    playground.point, playground.zoom = [3.2, 7.9], 4
    state, answers = playground.export(examples=[0, 2])
    facts = state["facts"]
    assert (facts["examples"], facts["zooms"], facts["lattice"]) == ([0, 2], [1, 2, 4], 16)
    kept = {key_of(ask) for ask, _ in answers}
    assert len(kept) == len(answers) == 2 * (1 + 16 * 16 + 2 * (1 + 9 + 49) + 1)
    row, column = state["point"]
    assert (abs(row - 3.2) <= SIDE / 32, abs(column - 7.9) <= SIDE / 32) == (True, True)
    assert key_of({"what": "point", "example": 2, "point": state["point"]}) in kept
    assert key_of({"what": "window", "example": 2, "task": "mask", "center": state["center"], "zoom": 4}) in kept


@pytest.mark.parametrize("examples", [[], [3], [0, -1]])
def test_a_page_of_examples_that_are_not_there(playground, examples):
    with pytest.raises(ValueError, match="not in this playground, which has 0 to 2"):
        playground.export(examples=examples)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((3, 12, 12))}, r"\(B, H, W, channels\)"),
        ({"inputs": np.zeros((2, 12, 12, 3), np.float32)}, "3 images but 2 inputs"),
        ({"model": nnx.Linear(2, 2, rngs=nnx.Rngs(0))}, "Linear cannot be asked"),
        ({"tasks": []}, "at least one"),
        ({"tasks": [TASKS[1], TASKS[1]]}, "at most once"),
        ({"tasks": [Task(name="sound", kind="colour")]}, "do not fit this model"),
        ({"tasks": TASKS[:1]}, "at_point=True"),
        ({"tasks": [TASKS[1], Task(name="mask", kind="probability", at_point=False)]}, "but 144 queries"),
        ({"tasks": [Task(name="colour", kind="flow")]}, r"must be \(O, K\) with K = 2"),
        ({"truth": {"class": np.zeros(2, int)}}, "one entry per example"),
        ({"truth": {"mask": np.zeros((3, 11, 12), int)}}, "per pixel"),
        ({"truth": {"sound": np.zeros(3)}}, r"one of the tasks \['class', 'colour', 'mask'\]"),
    ],
)
def test_arguments_that_do_not_fit(unchecked, change, message):
    arguments = {"model": make_model(), "images": scenes()[0], "tasks": TASKS, **change}
    with pytest.raises(ValueError, match=message):
        QueryPlayground(arguments.pop("model"), arguments.pop("images"), arguments.pop("tasks"), **arguments)


def test_queries_with_input_features_are_refused():
    adapter = make_model().input_adapter
    queries = PositionQueries(FourierPositions((SIDE, SIDE), num_bands=2), feature_channels=3)
    config = PerceiverConfig(num_latents=4, latent_channels=8, num_self_attends_per_block=1, num_self_heads=1)

    def build():
        rngs = nnx.Rngs(0)
        decoder = Decoder(queries, 8, output_channels=3, rngs=rngs)
        return PerceiverIO(config, input_adapter=adapter, decoder=decoder, rngs=rngs)

    model = drawn(build)
    with pytest.raises(ValueError, match="contain input features"):
        QueryPlayground(model, scenes()[0], TASKS[1:2])


def test_repr():
    assert repr(make_playground()) == "QueryPlayground(3 examples of 12 x 12, tasks: class, colour, mask)"
