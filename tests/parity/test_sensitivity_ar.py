"""Parity of Perceiver AR must be able to fail: wrong choices that look right, and files that cannot be built."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from perceiver_lab.layers import causal as causal_layers
from perceiver_lab.layers import mlp
from perceiver_lab.models import perceiver_ar as model
from perceiver_lab.models.perceiver_ar import PerceiverAR
from perceiver_lab.ops import causal, take_inputs
from perceiver_lab.training import next_token
from tests.parity.families import check, failures
from tests.parity.vectors import OWN, Unsupported

FOLDER = OWN / "perceiver_ar"
ROTARY, ROLLOUT = FOLDER / "a_rotary_data_positions.npz", FOLDER / "i_cached_rollout_rotary.npz"
STEP, PADDED = FOLDER / "h_train_step_rotary.npz", FOLDER / "d_padded_rotary_terminal.npz"


def test_every_file_is_there():
    assert len(list(FOLDER.glob("*.npz"))) == 14


def test_the_usual_rotary_frequencies_are_noticed(monkeypatch):
    def usual(head_dim, *, fraction, max_wavelength):
        bands = int(head_dim * fraction / 2)
        return (10000.0 ** (-np.arange(bands) / bands)).astype(np.float32)

    monkeypatch.setattr(model, "rotary_frequencies", usual)
    assert failures(check(ROTARY))


def test_turning_halves_instead_of_neighbours_is_noticed(monkeypatch):
    turn = causal.rotate

    def halves(x, rotation):
        bands = rotation.cos.shape[-1]
        order = np.arange(2 * bands).reshape(2, bands).T.ravel()
        moved = turn(jnp.concatenate([x[..., order], x[..., 2 * bands :]], axis=-1), rotation)
        return jnp.concatenate([moved[..., np.argsort(order)], moved[..., 2 * bands :]], axis=-1)

    monkeypatch.setattr(causal, "rotate", halves)
    monkeypatch.setattr(causal_layers, "rotate", halves)
    assert failures(check(ROTARY))


def test_a_mask_without_the_own_place_is_noticed(monkeypatch):
    monkeypatch.setattr(causal, "causal_mask", lambda queries, keys: queries[:, :, None] > keys[:, None, :])
    assert failures(check(ROTARY))


def test_another_activation_is_noticed(monkeypatch):
    monkeypatch.setitem(mlp.ACTIVATIONS, "squared_relu", mlp.ACTIVATIONS["gelu"])
    assert failures(check(ROTARY))


def test_queries_that_are_not_projected_are_noticed(monkeypatch):
    monkeypatch.setattr(PerceiverAR, "first_latents", lambda self, inputs, index: take_inputs(inputs, index))
    assert failures(check(ROTARY))


def test_zeros_for_latents_without_a_place_are_noticed(monkeypatch):
    monkeypatch.setattr(causal, "reading_alike", lambda q, index: (q, index))
    assert failures(check(PADDED))
    assert not failures(check(ROTARY))


def test_a_mean_instead_of_the_sum_is_noticed(monkeypatch):
    plain = next_token.token_losses
    monkeypatch.setattr(next_token, "token_losses", lambda *a, **k: tuple(one / 21 for one in plain(*a, **k)))
    assert failures(check(STEP))


def test_a_cache_of_keys_that_are_not_turned_is_noticed(tmp_path, monkeypatch):
    path = first_steps(tmp_path)
    assert not failures(check(path))
    monkeypatch.setattr(causal_layers, "rotate", lambda x, rotation: x)
    assert failures(check(path))


def first_steps(tmp_path):
    """Two steps of the cached rollout and their logits: every further kind of call is a program to compile."""
    with np.load(ROLLOUT) as file:
        arrays = {key: file[key] for key in file.files if not key.startswith("output/")}
        arrays["output/logits_cached"] = file["output/logits_cached"][:, :2]
    stop = json.loads(str(arrays["config"]))["start_step"] + 2
    for name in ("input/prompt_events", "input/event_idxs"):
        arrays[name] = arrays[name][:, :stop]
    (tmp_path / "perceiver_ar").mkdir()
    np.savez(tmp_path / "perceiver_ar" / ROLLOUT.name, **arrays)
    return tmp_path / "perceiver_ar" / ROLLOUT.name


def rewritten(tmp_path, path, **changes):
    """A copy of a file in which options of the model are other ones."""
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    config = json.loads(str(arrays["config"]))
    config.get("model", config).update(changes)
    arrays["config"] = np.array(json.dumps(config))
    (tmp_path / "perceiver_ar").mkdir()
    np.savez(tmp_path / "perceiver_ar" / path.name, **arrays)
    return tmp_path / "perceiver_ar" / path.name


@pytest.mark.parametrize("path", [ROTARY, STEP, ROLLOUT], ids=["model", "step", "rollout"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unheard_of": 3}, r"nothing here knows the options \['unheard_of'\]"),
        ({"num_latents_per_position": 2}, "num_latents_per_position=2 cannot be built; only 1 can"),
        ({"position_encoding_type": "relative"}, "position_encoding_type='relative' cannot be built"),
        ({"position_encoding": "fourier"}, "position_encoding='fourier' with learnable_position_embeddings=False"),
    ],
)
def test_what_cannot_be_built_fails_by_name(tmp_path, path, changes, message):
    with pytest.raises(Unsupported, match=message):
        check(rewritten(tmp_path, path, **changes))


def test_an_unknown_unit_fails_by_name(tmp_path):
    (tmp_path / "perceiver_ar").mkdir()
    path = tmp_path / "perceiver_ar" / "unit_unheard_of.npz"
    np.savez(path, config=np.array("{}"), **{"output/x": np.zeros(1)})
    with pytest.raises(Unsupported, match="nothing here computes this unit; what is computed: .'losses'"):
        check(path)
