"""Lesson 06: what its text claims of the shipped weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import recipes
from perceiver_lab.datasets import arrays, scale_pair
from perceiver_lab.datasets.scenes import KINDS
from perceiver_lab.explorers import QueryPlayground, Task


@pytest.fixture(scope="module")
def asked():
    """The scenes model and, of 100 test scenes, what every query's row says in every task's words."""
    model = recipes.load_shipped(recipes.get("scenes_perceiver_io"))[0]
    scenes = arrays("scenes", "test[:100]")
    graphdef, state = nnx.split(model)

    @jax.jit
    def ask(state, images):
        model = nnx.merge(graphdef, state)
        latents = model.encode(model.embed(images))
        rows = model.decoder.queries.build_each(latents)
        decoded = {name: model.decoder(latents, rows[name][:, :1]) for name in ("class", "count")}
        return {name: model.output_adapter.parts["colour"].each(row)[:, 0] for name, row in decoded.items()}

    said = ask(state, scenes["image"].astype(np.float32) / 127.5 - 1)
    return model, scenes, {name: (np.asarray(colour) + 1) * 127.5 for name, colour in said.items()}


def test_the_class_query_read_as_a_colour_is_the_shapes_and_the_count_query_the_backgrounds(asked):
    _, scenes, colours = asked
    nearer = {"class": 0, "count": 0}
    alone = np.flatnonzero(scenes["count"] == 1)
    for number in alone:
        image, there = scenes["image"][number], scenes["kinds"][number] > 0
        shape, background = np.median(image[there], axis=0), np.median(image[~there], axis=0)
        for name in nearer:
            far = [np.linalg.norm(colours[name][number] - colour) for colour in (shape, background)]
            nearer[name] += far[0] < far[1]
    assert len(alone) > 20
    assert nearer["class"] > 0.95 * len(alone) and nearer["count"] < 0.05 * len(alone)


@pytest.fixture(scope="module")
def playground(asked):
    model, scenes, _ = asked
    kinds = ("background", *KINDS)
    tasks = [
        Task(name="class", kind="classes", classes=KINDS, at_point=False),
        Task(name="colour", kind="colour"),
        Task(name="kind", kind="classes", classes=kinds),
    ]
    return QueryPlayground(model, scenes["image"][:6], tasks, example=4, view="kind")


def test_a_blend_of_two_queries_does_not_pass_the_star_that_lies_between_their_points(playground):
    blended, between = playground.answers.path(4, ["kind", 33, 13], ["kind", 33, 47])
    assert set(blended["texts"]) == {"circle", "background"}
    assert set(between["texts"]) == {"circle", "background", "star"}


def test_a_blend_from_class_to_colour_begins_with_the_shapes_colour(playground, asked):
    _, scenes, colours = asked
    for example in (3, 5):  # one shape each
        as_class, as_colour = playground.answers.path(example, ["class", 24, 24], ["colour", 0, 0])
        first = [int(as_colour["colours"][0][i : i + 2], 16) for i in (1, 3, 5)]
        np.testing.assert_allclose(first, np.clip(colours["class"][example], 0, 255), atol=1)
        shape = np.median(scenes["image"][example][scenes["kinds"][example] > 0], axis=0)
        assert np.linalg.norm(first - shape) < 50
        assert as_class["texts"][0] == KINDS[scenes["label"][example]]


@pytest.fixture(scope="module")
def flow():
    model = recipes.load_shipped(recipes.get("flow_perceiver_io"))[0]
    pairs = arrays("moving_shapes", "test[:6]")
    scaled = [scale_pair({key: values[i] for key, values in pairs.items()})["frames"] for i in range(6)]
    playground = QueryPlayground(
        model,
        pairs["frames"],
        [Task(name="flow", kind="flow")],
        inputs=np.stack(scaled),
        truth={"flow": pairs["flow"].astype(np.float32)},
        read=lambda m, x: (m.input_adapter(x), m.encode(m.input_adapter(x, cells=jnp.array(m.read_cells)))),
    )
    return playground.answers


def test_the_flow_of_a_blend_flips(flow):
    """From the background's to the shape's, with nearly all of the way spent at either."""
    blended = flow.path(5, ["flow", 2, 2], ["flow", 13, 41])[0]["texts"]
    points = np.array([[_pixels(part) for part in text.split(", ")] for text in blended])
    near = [np.linalg.norm(points - points[end], axis=1) < 0.6 for end in (0, -1)]
    assert np.linalg.norm(points[0] - points[-1]) > 5
    assert (near[0] | near[1]).sum() >= 26
    assert near[0][:14].all() and near[1][-9:].all()


def _pixels(text):
    length, _, side = text.split()
    return float(length) * (1 if side in ("right", "down") else -1)


def test_one_shape_is_said_to_move_the_wrong_way(flow):
    [found] = flow.at(4, np.array([[38.0, 10.0]]))
    assert "px right" in found["answers"][0]["text"] and "px left" in found["answers"][0]["true"].split(",")[0]
