"""Lesson 09: what its text claims of the data and of the shipped weights."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab import figures, recipes
from perceiver_lab.datasets import mirrored
from perceiver_lab.datasets.events import MIRRORED
from perceiver_lab.explorers.ruler_model import perceiver_ar_flops, transformer_flops
from perceiver_lab.recipes.copying import LATENTS
from perceiver_lab.recipes.copying_measure import HALF, copy_attention

EVENTS = np.stack([mirrored(MIRRORED, np.random.default_rng([9, seed])) for seed in range(40)])


@pytest.fixture(scope="module")
def shipped():
    return {name: recipes.load_shipped(recipes.get(name)) for name in ("copy_ar", "copy_transformer")}


def test_the_floor_is_what_training_ends_at(shipped):
    reads = np.arange(HALF, MIRRORED)
    in_vain = (reads[:, None] - np.arange(LATENTS) < HALF).mean()
    assert in_vain == pytest.approx(0.234, abs=5e-4) and in_vain * np.log(256) == pytest.approx(1.30, abs=5e-3)
    for _, about in shipped.values():
        late = [one["nats"] for one in about["history"] if "nats" in one][-50:]
        assert np.mean(late) == pytest.approx(1.30, abs=0.05)


def steps_below(about, nats):
    return next(one["step"] for one in about["history"] if one.get("nats", 9) < nats)


def test_flat_then_a_cliff(shipped):
    curves = {name: about for name, (_, about) in shipped.items()}
    assert [steps_below(curves["copy_ar"], level) for level in (5.5, 5.0, 2.0)] == pytest.approx(
        [150, 260, 420], abs=20
    )
    assert [steps_below(curves["copy_transformer"], level) for level in (5.5, 5.0, 2.0)] == pytest.approx(
        [310, 360, 450], abs=20
    )
    assert curves["copy_ar"]["metrics"]["exact_copies"] == 0.999
    assert curves["copy_transformer"]["metrics"]["exact_copies"] == 1


def test_the_stripe_and_its_last_row(shipped):
    heads = copy_attention(shipped["copy_ar"][0], EVENTS).mean(axis=0)
    assert all(0.78 < figures.mirror_share(head, HALF) < 0.95 for head in heads)
    assert heads[:, -1, 0].mean() < 0.2  # the start, which the end mirrors, and which need not be looked up


def test_interventions(shipped):
    model, recipe = shipped["copy_ar"][0], recipes.get("copy_ar")
    call = nnx.jit(lambda model, tokens, positions: model(tokens, positions=positions).argmax(axis=-1))
    right = {}
    for start in (0, 8):
        tokens = np.pad(EVENTS[:, start:-1], ((0, 0), (0, start + 1)))
        positions = np.minimum(start + 1 + np.arange(MIRRORED), MIRRORED)
        said = call(model, jnp.asarray(tokens), jnp.asarray(np.tile(positions[:, None], (len(tokens), 1, 1))))
        right[start] = np.asarray(said == EVENTS[:, -LATENTS:]).mean(axis=0)
    assert right[0].min() > 0.97
    assert right[8][:8].min() > 0.97 and right[8][8:-1].max() < 0.2 and right[8][-1] == 1
    changed = EVENTS.copy()
    changed[:, 20] = 3 + (changed[:, 20] - 3 + 77) % 256
    before, after = (
        np.asarray(recipe.predict(model, {"events": jnp.asarray(one)})).argmax(-1) for one in (EVENTS, changed)
    )
    assert np.flatnonzero((before != after).any(axis=0)).tolist() == [43 - HALF]
    assert (after[:, 43 - HALF] == changed[:, 20]).all()


def test_one_latent_is_enough_to_copy(shipped):
    reads = np.where(np.arange(MIRRORED) < np.arange(HALF, MIRRORED)[:, None], EVENTS[:8, None], 0)
    call = nnx.jit(lambda model, reads: model(reads, num_latents=1)[:, -1].argmax(axis=-1))
    said = np.asarray(call(shipped["copy_ar"][0], jnp.asarray(reads.reshape(-1, MIRRORED))))
    assert (said.reshape(8, -1) == EVENTS[:8, HALF:]).all()


def test_costs_at_the_size_of_the_release():
    one, other = perceiver_ar_flops(131_072, 1024), transformer_flops(131_072)
    assert round(other / one) == 396
    assert (other / 131_072) / (one / 1024) == pytest.approx(3.1, abs=0.05)
