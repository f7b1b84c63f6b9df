"""The Hierarchical Perceiver in training: where gradients arrive, what is drawn and dropped, labels and classes."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.models import HiP
from perceiver_lab.training import cross_entropy
from perceiver_lab.training.trees import named_leaves
from tests.models.hips import FLAT, LABELS, SHAPES, SMALL, batch_of, embed, make, make_with_labels, run, states_of


@pytest.fixture(scope="module")
def x():
    return batch_of(SHAPES)


# --- gradients -----------------------------------------------------------------------------------------------------


@nnx.jit
def gradients_of(model, x):
    def loss(model):
        found = model(x)
        return sum(((rows - number - 1.0) ** 2).sum() for number, rows in enumerate(found.values())), found

    return nnx.grad(loss, has_aux=True)(model)


def gradients(model, x):
    """The largest gradient of every parameter, and what the model says."""
    found, answers = gradients_of(model, x)
    return {name: np.abs(leaf).max() for name, leaf in named_leaves(found).items()}, answers


@pytest.mark.parametrize(
    ("build", "shapes"),
    [
        (lambda: make_with_labels(config=dataclasses.replace(SMALL, project_positions=True)), SHAPES | LABELS),
        (lambda: make(FLAT), SHAPES),
    ],
    ids=["modalities and labels", "one level"],
)
def test_gradients_reach_every_parameter(build, shapes):
    found, _ = gradients(build(), batch_of(shapes))
    for name, size in found.items():
        # The softmax ignores what all keys have in common, and that is their bias.
        assert (size < 1e-3) if name.endswith("key.bias") else (size > 1e-4), name


def test_at_first_only_the_last_layers_have_gradients_and_all_outputs_are_zero(x):
    found, answers = gradients(HiP(FLAT, SHAPES, rngs=nnx.Rngs(0)), x)
    assert {name for name, size in found.items() if size > 0} == {
        f"unembeds.{place}.{leaf}" for place in ("0_image", "1_audio") for leaf in ("kernel", "bias")
    }
    for rows in answers.values():
        np.testing.assert_array_equal(rows, np.zeros(rows.shape))


# --- training ------------------------------------------------------------------------------------------------------


@nnx.jit
def train(model, x, rngs=None):
    return model(x, train=True, rngs=rngs)


def test_latents_are_drawn_anew_for_every_example(x):
    model = make(dataclasses.replace(SMALL, num_train_latents=4))
    drawn = [states_of(model, x, train=True, rngs=nnx.Rngs(latents=seed))[1] for seed in (0, 0, 1)]
    assert drawn[0].shape == (2, 1, 4, 12) and states_of(model, x)[1].shape == (2, 1, 8, 12)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.abs(drawn[0] - drawn[2]).max() > 1e-4
    rows, again = np.array([[[0, 5, 2, 7]], [[1, 2, 3, 4]]]), np.array([1, 1])
    chosen = states_of(model, x, rows=jnp.asarray(rows))[1]
    alone = states_of(model, {name: part[again] for name, part in x.items()}, rows=jnp.asarray(rows[again]))[1]
    np.testing.assert_allclose(chosen[1], alone[0], atol=1e-5)


def test_drawn_latents_are_all_different():
    block = make(dataclasses.replace(SMALL, num_eval_latents=12)).blocks[1]
    rows = np.asarray(block._draw(50, nnx.Rngs(0)))
    assert rows.shape == (50, 1, 8) and rows.max() == 11
    assert all(len(set(row.tolist())) == 8 for row in rows[:, 0])
    assert len({tuple(row) for row in rows[:, 0].tolist()}) > 40


def test_random_numbers_are_asked_for(x):
    with pytest.raises(ValueError, match="4 of the 8 latents of this block are drawn at random.*latents=seed"):
        train(make(dataclasses.replace(SMALL, num_train_latents=4)), x)
    with pytest.raises(ValueError, match="branches are left out at a rate of 0.5"):
        train(make(dataclasses.replace(SMALL, drop_path_rate=0.5)), x)


def test_a_dropped_path_is_dropped_in_all_groups_of_an_example():
    model, x = make(dataclasses.replace(SMALL, drop_path_rate=0.5)), batch_of(SHAPES, batch=40)

    @nnx.jit
    def ways(block, inputs, rngs):
        layer, z = block.stack.layer(0), block.read_inputs(inputs).reshape(-1, 4, 6)
        normed = layer.norm(z)
        after = [z, z + layer.attention(normed, normed)]
        after += [one + layer.mlp(layer.mlp_norm(one)) for one in after]  # neither branch, first, second, both
        return after, layer(z, train=True, rngs=rngs)

    after, found = ways(model.blocks[0], embed(model, x), nnx.Rngs(dropout=0))
    fits = np.stack([np.abs(found - one).max(axis=(1, 2)) < 1e-5 for one in after]).reshape(4, 40, 4)
    assert fits.any(axis=0).all()  # what is kept is not scaled
    assert (fits.all(axis=2) == fits.any(axis=2)).all()
    assert (fits.all(axis=2).sum(axis=1) >= 3).all()


def test_dropout_acts_in_training_only(x):
    model = make(dataclasses.replace(SMALL, dropout_rate=0.5))
    plain, kept, dropped = (
        states_of(model, x, train=train, rngs=rngs)[0]
        for train, rngs in ((False, None), (False, nnx.Rngs(0)), (True, nnx.Rngs(0)))
    )
    np.testing.assert_array_equal(plain, kept)
    assert np.abs(plain - dropped).max() > 1e-3


# --- labels and classes of every element ---------------------------------------------------------------------------


def test_labels_are_read_and_asked_for_at_the_processor():
    model, x = make_with_labels(), batch_of(SHAPES | LABELS)
    found = run(model, x)
    assert {name: rows.shape[1:] for name, rows in found.items()} == SHAPES | LABELS
    other = run(model, {**x, "label": x["label"] + 1})
    for name in found:
        assert np.abs(found[name] - other[name]).max() > 1e-6


def test_without_labels_the_model_is_a_plain_one(x):
    plain, bottleneck = make(SMALL), make_with_labels({})
    for part in ("embeds", "positions", "blocks", "head", "unembeds"):
        nnx.update(getattr(bottleneck, part), nnx.state(getattr(plain, part)))
    for name, rows in run(plain, x).items():
        np.testing.assert_array_equal(rows, run(bottleneck, x)[name])


def test_classes_of_every_element_can_be_asked_for(x):
    model = make(FLAT, output_channels={"image": 6})
    labels = jnp.asarray(np.random.default_rng(0).integers(6, size=2 * 19))

    @nnx.jit
    def gradients(model):
        def loss(model):
            found = model(x)
            return cross_entropy(found["image"].reshape(-1, 6), labels), found

        return nnx.grad(loss, has_aux=True)(model)

    found, answers = gradients(model)
    assert np.abs(named_leaves(found)["positions.0_image.table.table"]).max() > 0
    assert {name: rows.shape for name, rows in answers.items()} == {"image": (2, 19, 6), "audio": (2, 8, 5)}
