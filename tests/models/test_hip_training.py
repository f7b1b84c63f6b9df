"""The Hierarchical Perceiver in training: where gradients arrive, what is drawn and dropped, labels and classes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.models import HiP
from perceiver_lab.ops import group
from perceiver_lab.training import cross_entropy
from perceiver_lab.training.trees import named_leaves
from tests.models.hips import CONFIG, FLAT, LABELS, SHAPES, batch_of, make, make_with_labels, run, states_of


@pytest.fixture(scope="module")
def x():
    return batch_of(SHAPES)


# --- gradients -----------------------------------------------------------------------------------------------------


@nnx.jit
def gradients_of(model, x):
    def loss(model):
        return sum(((rows - number - 1.0) ** 2).sum() for number, rows in enumerate(model(x).values()))

    return nnx.grad(loss)(model)


def gradients(model, x):
    """The largest gradient of every parameter."""
    return {name: float(jnp.abs(leaf).max()) for name, leaf in named_leaves(gradients_of(model, x)).items()}


@pytest.mark.parametrize(
    ("build", "shapes"),
    [
        (lambda: make(dataclasses.replace(CONFIG, project_positions=True)), SHAPES),
        (make_with_labels, SHAPES | LABELS),
        (lambda: make(FLAT), SHAPES),
    ],
    ids=["modalities", "labels", "one level"],
)
def test_gradients_reach_every_parameter(build, shapes):
    found = gradients(build(), batch_of(shapes))
    for name, size in found.items():
        # The softmax ignores what all keys have in common, and that is their bias.
        assert (size < 1e-3) if name.endswith("key.bias") else (size > 1e-4), name


def test_at_first_only_the_last_layers_have_gradients(x):
    found = gradients(HiP(CONFIG, SHAPES, rngs=nnx.Rngs(0)), x)
    assert {name for name, size in found.items() if size > 0} == {
        f"unembeds.{place}.{leaf}" for place in ("0_image", "1_audio") for leaf in ("kernel", "bias")
    }


# --- training ------------------------------------------------------------------------------------------------------


def test_latents_are_drawn_anew_for_every_example(x):
    model = make(dataclasses.replace(CONFIG, num_train_latents=4))
    drawn = [states_of(model, x, train=True, rngs=nnx.Rngs(latents=seed))[2] for seed in (0, 0, 1)]
    assert drawn[0].shape == (2, 1, 4, 12) and states_of(model, x)[2].shape == (2, 1, 8, 12)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert float(jnp.abs(drawn[0] - drawn[2]).max()) > 1e-4
    rows = jnp.array([[[0, 5, 2, 7]], [[1, 2, 3, 4]]])
    chosen = states_of(model, x, rows=rows)[2]
    alone = states_of(model, {name: part[1:] for name, part in x.items()}, rows=rows[1:])[2]
    np.testing.assert_allclose(chosen[1:], alone, atol=1e-5)


def test_drawn_latents_are_all_different():
    block = make(dataclasses.replace(CONFIG, num_eval_latents=12)).blocks[2]
    rows = np.asarray(block._draw(50, nnx.Rngs(0)))
    assert rows.shape == (50, 1, 8) and rows.max() == 11
    assert all(len(set(row.tolist())) == 8 for row in rows[:, 0])
    assert len({tuple(row) for row in rows[:, 0].tolist()}) > 40


def test_random_numbers_are_asked_for(x):
    with pytest.raises(ValueError, match="4 of the 8 latents of this block are drawn at random.*latents=seed"):
        make(dataclasses.replace(CONFIG, num_train_latents=4))(x, train=True)
    with pytest.raises(ValueError, match="branches are left out at a rate of 0.5"):
        make(dataclasses.replace(CONFIG, drop_path_rate=0.5))(x, train=True)


def test_a_dropped_path_is_dropped_in_all_groups_of_an_example():
    model = make(dataclasses.replace(CONFIG, drop_path_rate=0.5))
    x = batch_of(SHAPES, batch=40)
    layer = model.blocks[0].stack.layer(0)
    z = model.blocks[0].read_inputs(group(model.embed(x), model.grouping)).reshape(-1, 4, 6)
    normed = layer.norm(z)
    after = [z, z + layer.attention(normed, normed)]
    after += [one + layer.mlp(layer.mlp_norm(one)) for one in after]  # neither branch, the first, the second, both
    found = layer(z, train=True, rngs=nnx.Rngs(dropout=0))
    fits = np.stack([np.abs(found - one).max(axis=(1, 2)) < 1e-5 for one in after]).reshape(4, 40, 4)
    assert fits.any(axis=0).all()  # what is kept is not scaled
    assert (fits.all(axis=2) == fits.any(axis=2)).all()
    assert (fits.all(axis=2).sum(axis=1) >= 3).all()


def test_dropout_acts_in_training_only(x):
    model = make(dataclasses.replace(CONFIG, dropout_rate=0.5))
    plain, kept, dropped = (
        states_of(model, x, train=train, rngs=rngs)[0]
        for train, rngs in ((False, None), (False, nnx.Rngs(0)), (True, nnx.Rngs(0)))
    )
    np.testing.assert_array_equal(plain, kept)
    assert float(jnp.abs(plain - dropped).max()) > 1e-3


# --- labels and classes of every element ---------------------------------------------------------------------------


def test_labels_are_read_and_asked_for_at_the_processor():
    model, x = make_with_labels(), batch_of(SHAPES | LABELS)
    found = run(model, x)
    assert {name: rows.shape[1:] for name, rows in found.items()} == SHAPES | LABELS
    other = run(model, {**x, "label": x["label"] + 1})
    for name in found:
        assert float(jnp.abs(found[name] - other[name]).max()) > 1e-6


def test_without_labels_the_model_is_a_plain_one(x):
    plain, bottleneck = make(), make_with_labels({})
    for part in ("embeds", "positions", "blocks", "head", "unembeds"):
        nnx.update(getattr(bottleneck, part), nnx.state(getattr(plain, part)))
    for name, rows in run(plain, x).items():
        np.testing.assert_array_equal(rows, run(bottleneck, x)[name])


def test_classes_of_every_element_can_be_asked_for(x):
    model = make(output_channels={"image": 6})
    labels = jax.random.randint(jax.random.key(0), (2, 19), 0, 6)

    @nnx.jit
    def gradients(model):
        def loss(model):
            return cross_entropy(model(x)["image"].reshape(-1, 6), labels.reshape(-1))

        return nnx.grad(loss)(model)

    found = named_leaves(gradients(model))
    assert float(jnp.abs(found["positions.0_image.table.table"]).max()) > 0
    assert {name: rows.shape for name, rows in run(model, x).items()} == {"image": (2, 19, 6), "audio": (2, 8, 5)}
