"""The rewrite that peers.py measures beside ours is of the same model: the same answers asked, as many numbers."""

import importlib
import pathlib

import jax
import numpy as np
import pytest
from flax import nnx

WORKERS = pathlib.Path(__file__).parents[2] / "benchmarks" / "workers"
REWRITTEN = {"imagenet_fourier": "Images", "mlm": "Bytes", "perceiver_ar": "Autoregressive"}


def outline(build, x):
    """Shape of the output, and how many numbers are learned."""
    model = nnx.eval_shape(build)
    said = nnx.eval_shape(lambda model, x: model(x), model, jax.ShapeDtypeStruct(x.shape, x.dtype))
    return said.shape, sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


@pytest.mark.parametrize("case", REWRITTEN)
def test_a_newcomers_rewrite_is_the_same_model(case, monkeypatch):
    monkeypatch.syspath_prepend(WORKERS)
    ours, newcomer = (importlib.import_module(name) for name in ("ours", "newcomer"))
    drawn = {}

    def build():
        model, drawn["x"], drawn["label"] = ours.CASES[case]()
        return model

    nnx.eval_shape(build)
    x = np.asarray(drawn["x"])
    with jax.numpy_rank_promotion("allow"):  # as newcomers write
        shape, count = outline(lambda: getattr(newcomer, REWRITTEN[case])(nnx.Rngs(0)), x)
    expected, parameters = outline(build, x)
    assert shape == expected
    assert count == pytest.approx(
        parameters, rel=0.1
    )  # ours ties the table of bytes, and turns instead of adding places
