"""Parity of the resamplers must be able to fail: wrong choices that look right, and files that cannot be built."""

import json

import jax
import numpy as np
import pytest

from perceiver_lab.layers import attention, mlp
from perceiver_lab.models import GatedCrossAttention, resampler
from tests.parity.families import check, failures
from tests.parity.vectors import OWN, Unsupported

FOLDER = OWN / "resampler"
FILES = ("flamingo_pytorch", "flamingo_pytorch_gated", "idefics", "open_flamingo")
RESAMPLERS = ("flamingo_pytorch", "idefics", "open_flamingo")


def wrong(name):
    return failures(check(FOLDER / f"{name}.npz"))


@pytest.mark.parametrize("name", FILES)
def test_another_activation_is_noticed(name, monkeypatch):
    used = "relu" if name == "idefics" else "gelu_exact"
    monkeypatch.setitem(mlp.ACTIVATIONS, used, lambda x: jax.nn.gelu(x, approximate=True))
    assert wrong(name)


def reading(keys):
    """A layer that reads what `keys` makes of the layer itself, its normed latents and the inputs."""

    def read(self, latents, media, *, mask=None):
        queries = self.latent_norm(latents)
        return self.attention(queries, jax.numpy.concatenate(keys(self, queries, media), axis=1), mask=mask)

    return read


@pytest.mark.parametrize("name", RESAMPLERS)
def test_keys_that_are_not_read_are_noticed(name, monkeypatch):
    """Keys are a set: latents before inputs change nothing but rounding. Without them, something is missing."""
    turned = reading(lambda layer, queries, media: [queries, layer.media_norm(media)])
    monkeypatch.setattr(resampler.ResamplerLayer, "read", turned)
    assert not wrong(name)
    monkeypatch.setattr(
        resampler.ResamplerLayer, "read", reading(lambda layer, queries, media: [layer.media_norm(media)])
    )
    assert wrong(name)


@pytest.mark.parametrize("name", RESAMPLERS)
def test_one_norm_for_inputs_and_latents_is_noticed(name, monkeypatch):
    one_norm = reading(lambda layer, queries, media: [layer.latent_norm(media), queries])
    monkeypatch.setattr(resampler.ResamplerLayer, "read", one_norm)
    assert wrong(name)


@pytest.mark.parametrize("name", RESAMPLERS)
def test_a_missing_last_norm_is_noticed(name, monkeypatch):
    def without(self, inputs, **options):
        self.norm, norm = None, self.norm
        out = with_norm(self, inputs, **options)
        self.norm = norm
        return out

    with_norm = resampler.Resampler.__call__
    monkeypatch.setattr(resampler.Resampler, "__call__", without)
    assert wrong(name)


@pytest.mark.parametrize("name", ["flamingo_pytorch", "open_flamingo"])
def test_missing_time_embeddings_are_noticed(name, monkeypatch):
    monkeypatch.setattr(
        resampler.TimeEmbedding, "_frame_rows", lambda self, count, interpolate: 0 * self.frames()[:count]
    )
    assert wrong(name)


def test_another_epsilon_is_noticed(monkeypatch):
    monkeypatch.setattr(attention, "normalise", lambda x: (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True))
    assert wrong("idefics")


def test_no_leak_before_all_images_is_noticed(monkeypatch):
    """The reference lets a text before all images see the average of all."""

    def without(self, text, media, mask):
        seen = leaky(self, text, media, mask)
        return seen if mask is None else jax.numpy.where(mask.any(axis=-1, keepdims=True), seen, 0.0)

    leaky = GatedCrossAttention.attend
    monkeypatch.setattr(GatedCrossAttention, "attend", without)
    assert [line.split(":")[0] for line in wrong("flamingo_pytorch_gated")] == ["output/out_all_previous"]


def rewritten(tmp_path, name, arrays=None, **config):
    with np.load(FOLDER / f"{name}.npz") as file:
        given = {key: file[key] for key in file.files}
    given["config"] = np.array(json.dumps(json.loads(str(given["config"])) | config))
    path = tmp_path / "resampler" / "changed.npz"
    path.parent.mkdir()
    np.savez(path, **(given | (arrays or {})))
    return path


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("idefics", {"source": "flamingo-mini PerceiverResampler"}, "nothing here builds the source 'flamingo-mini"),
        ("idefics", {"kv_heads": 4}, r"nothing here knows the options \['kv_heads'\]"),
        ("open_flamingo", {"activation": "swish"}, "activation='swish' cannot be built"),
        ("idefics", {"intermediate": 50}, "intermediate=50 is no multiple of embed_dim=12"),
        ("flamingo_pytorch", {"arrays": {"output/more": np.zeros(3)}}, r"nothing here computes \['output/more'\]"),
    ],
)
def test_what_cannot_be_built_fails_by_name(tmp_path, name, changes, message):
    with pytest.raises(Unsupported, match=message):
        check(rewritten(tmp_path, name, **changes))


def test_another_number_of_parameters_fails(tmp_path):
    with pytest.raises(AssertionError, match="5904 parameters instead of 5905"):
        check(rewritten(tmp_path, "idefics", num_params=5905))
