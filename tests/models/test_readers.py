"""What stands in a resampler's place: as many tokens, as many parameters, and what each of them can know."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.models import Resampler, ResamplerConfig
from perceiver_lab.models.baselines import MeanPooling, PlainTransformer, TokenMLP, count_parameters
from tests.drawn import drawn

CONFIG = ResamplerConfig(
    latent_channels=8, num_latents=2, num_layers=2, num_heads=2, head_dim=4, widening_factor=4, max_frames=4
)
READERS = (MeanPooling, TokenMLP, PlainTransformer)
CLIPS = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 6, 8)).astype(np.float32))


@functools.cache
def make(kind, **changes):
    return drawn(lambda: kind(dataclasses.replace(CONFIG, **changes), 6, rngs=nnx.Rngs(0)))


@nnx.jit
def run(model, clips, mask=None):
    return model(clips, mask=mask)


def shape_of(model, clips, **options):
    return nnx.eval_shape(lambda model, clips: model(clips, **options), model, clips).shape


@pytest.mark.parametrize("kind", READERS)
def test_called_as_a_resampler_is(kind):
    model, resampler = make(kind), drawn(lambda: Resampler(CONFIG, rngs=nnx.Rngs(0)))
    for clips in (CLIPS, CLIPS[:, 0], CLIPS[:, :2], CLIPS[:, None].repeat(3, axis=1)):
        assert shape_of(model, clips) == shape_of(resampler, clips)
    with pytest.raises(ValueError, match=r"clips \(B, T, S, 8\)"):
        model(CLIPS[..., :7])
    assert shape_of(make(kind, input_channels=5), CLIPS[..., :5]) == (2, 2, 8)


@pytest.mark.parametrize("kind", READERS)
def test_missing_frames_change_nothing(kind):
    model = make(kind)
    mask = jnp.asarray(np.arange(4) < np.array([[2], [4]]))
    masked = run(model, CLIPS, mask)
    np.testing.assert_allclose(masked[0], run(model, CLIPS[:, :2])[0], atol=1e-5)
    np.testing.assert_allclose(masked[1], run(model, CLIPS)[1], atol=1e-5)
    assert np.isfinite(run(model, CLIPS, jnp.zeros((2, 4), bool))).all()


@pytest.mark.parametrize("kind", READERS)
def test_who_knows_order(kind):
    model = make(kind)
    moved = np.abs(run(model, CLIPS) - run(model, CLIPS[:, ::-1])).max()
    assert moved < 1e-5 if kind is MeanPooling else moved > 1e-3


@pytest.mark.parametrize("kind", READERS)
def test_more_frames(kind):
    longer = jnp.repeat(CLIPS, 2, axis=1)
    model = make(kind)
    with pytest.raises(ValueError, match="8 frames, but there are time embeddings for 4"):
        model(longer)
    if kind is TokenMLP:
        with pytest.raises(ValueError, match="A clip has 8 frames, and a TokenMLP has weights for 4"):
            shape_of(model, longer, interpolate=True)
    else:
        assert shape_of(model, longer, interpolate=True) == (2, 2, 8)


def test_of_equal_size():
    """MLPs of six times the width have as many parameters as attention and an MLP of four times."""
    config = dataclasses.replace(CONFIG, latent_channels=64, head_dim=32)
    count = {"resampler": count_parameters(lambda: Resampler(config, rngs=nnx.Rngs(0)))}
    for kind in READERS:
        width = 4 if kind is PlainTransformer else 6
        sized = dataclasses.replace(config, widening_factor=width)
        count[kind.__name__] = count_parameters(lambda kind=kind, sized=sized: kind(sized, 6, rngs=nnx.Rngs(0)))
    assert max(count.values()) / min(count.values()) < 1.03, count


@pytest.mark.parametrize("kind", READERS)
def test_gradients_reach_everything(kind):
    grads = nnx.jit(nnx.grad(lambda model: (model(CLIPS) ** 3).mean()))(make(kind))
    flat = jax.tree_util.tree_leaves_with_path(nnx.state(grads))
    still = {jax.tree_util.keystr(path) for path, leaf in flat if not np.asarray(leaf).any()}
    assert all("key" in name and "bias" in name for name in still), still  # softmax ignores a bias of the keys


def test_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match="num_latents=4 does not divide the 6 cells"):
        make(MeanPooling, num_latents=4)
    with pytest.raises(ValueError, match="max_frames=None: fixed weights need a longest clip"):
        make(TokenMLP, max_frames=None)
    with pytest.raises(ValueError, match="num_heads=3"):
        make(PlainTransformer, num_heads=3)
    with pytest.raises(ValueError, match="flatten_time=False: these read the frames of a clip together"):
        make(MeanPooling, flatten_time=False)
