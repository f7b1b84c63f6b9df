"""Names of the Hierarchical Perceiver's release, both ways."""

import jax
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.convert import haiku_shapes, load_haiku, to_haiku
from perceiver_lab.models import HiP, HiPClassBottleneck, HiPConfig
from tests.drawn import drawn

CONFIG = HiPConfig(
    num_groups=(4, 1, 4),
    num_self_attends_per_block=(1, 10, 1),  # the second is scanned
    num_latents=(3, 8, 3),
    latent_channels=(8, 12, 6),
    num_self_heads=(2, 3, 2),
    embedding_channels=4,
    project_positions=True,
)
SHAPES = {"image": (21, 3), "audio": (5, 2)}


def make(labels=None, *, shapes=SHAPES, how=nnx.eval_shape, **seed):
    """Shapes, for names; with `how=drawn` a model with weights."""
    if labels is None:
        return how(lambda: HiP(CONFIG, shapes, rngs=nnx.Rngs(0)), **seed)
    return how(lambda: HiPClassBottleneck(CONFIG, shapes, labels=labels, rngs=nnx.Rngs(0)), **seed)


@pytest.mark.parametrize("labels", [None, {}, {"label": (1, 5), "kind": (2, 3)}], ids=["plain", "no labels", "labels"])
def test_round_trip(labels):
    source, target = (make(labels, how=drawn, seed=seed) for seed in (0, 1))
    load_haiku(target, to_haiku(source)[0])
    for ours, theirs in zip(*(jax.tree.leaves(nnx.state(one)) for one in (source, target)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_names_and_shapes():
    shapes = haiku_shapes(make())
    assert shapes["perceiver/embedder/~unembed/unembed_image/w"] == (4, 3)
    assert shapes["perceiver/position_encoder/pos_emb_mae_audio/pos_embs"] == (5, 4)
    assert shapes["perceiver/position_encoder/position_encoding_linear/w"] == (4, 4)
    assert "perceiver/position_encoder/position_encoding_linear_1/w" in shapes  # never shared, whatever was meant
    assert "perceiver/position_encoder/position_encoding_linear/b" not in shapes
    assert shapes["perceiver/block_0/~/hi_p_cross_attention/query_inputs/pos_embs"] == (12, 8)
    assert shapes["perceiver/block_2/~/hi_p_cross_attention/pre_attention_residual_linear/w"] == (8, 6)
    assert shapes["perceiver/block_1/~/self_attend_id_9/dense/mlp_hidden_linear/w"] == (12, 48)
    assert "perceiver/block_1/~/self_attend_id_10/layer_norm/scale" not in shapes
    assert "perceiver/reconstruction_head/hi_p_cross_attention/attention/attention_output_linear/b" in shapes


def test_names_with_labels():
    shapes = haiku_shapes(make(labels={"label": (1, 5), "kind": (2, 3)}))
    assert shapes["perceiver/embedder_1/~embed/embed_label/w"] == (5, 8)
    assert shapes["perceiver/position_encoder_2/pos_emb_mae_kind/pos_embs"] == (2, 8)
    assert "perceiver/perceiver_block_1/~/self_attend_id_0/layer_norm/scale" in shapes
    # The labels' head comes first, and keeps its place where there are none.
    assert shapes["perceiver/reconstruction_head/hi_p_cross_attention/layer_norm/scale"] == (8,)
    assert shapes["perceiver/reconstruction_head_1/hi_p_cross_attention/layer_norm/scale"] == (4,)
    without = haiku_shapes(make(labels={}))
    heads = {name.split("/")[1] for name in without if "head" in name}
    assert heads == {"reconstruction_head_1"}


def test_parameters_of_other_modalities_are_refused():
    other = make(shapes={"image": (21, 3), "sound": (5, 2)}, how=drawn)
    with pytest.raises(ValueError, match="missing: perceiver/embedder/~embed/embed_audio/w.*unknown to this model"):
        load_haiku(make(how=drawn), to_haiku(other)[0])
