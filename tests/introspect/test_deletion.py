import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.introspect import deletion_curves, gradient_maps, occlusion_maps

CLASSES = np.array([2, 0])


class Linear(nnx.Module):
    """Logits that are sums of the values of x (b, 2, 3, 1) with weights of their own."""

    def __init__(self):
        self.weights = nnx.Param(jax.random.normal(jax.random.key(2), (6, 3)))

    def __call__(self, x):
        return x.reshape(len(x), 6) @ self.weights[...]


@pytest.fixture(scope="module")
def linear():
    x = np.random.default_rng(0).normal(size=(2, 2, 3, 1)).astype(np.float32)
    model = Linear()
    return model, x, np.asarray(model.weights[...])[:, CLASSES].T  # weights (b, m)


def test_of_a_linear_model_gradient_times_distance_is_what_blanking_costs(linear):
    model, x, weights = linear
    gradients = gradient_maps(model, x, CLASSES)
    assert gradients.shape == x.shape
    np.testing.assert_allclose(gradients.reshape(2, 6), weights, atol=1e-6)
    lost = occlusion_maps(model, x, CLASSES, blank=-1.0)
    np.testing.assert_allclose(lost, weights * (x.reshape(2, 6) + 1), atol=1e-5)


def test_a_curve_deletes_in_the_order_of_the_map(linear):
    model, x, _ = linear
    rating = np.array([[5.0, 1, 3, 2, 4, 0], [0, 1, 2, 3, 4, 5]], np.float32)
    curves = deletion_curves(model, x, rating, CLASSES, [0, 2, 6], blank=0.5)
    logits = np.asarray(model(x))
    expected = np.exp(logits - logits.max(-1, keepdims=True))
    np.testing.assert_allclose(curves[:, 0], (expected / expected.sum(-1, keepdims=True))[[0, 1], CLASSES], atol=1e-5)
    changed = x.reshape(2, 6).copy()
    changed[0, [0, 4]] = changed[1, [5, 4]] = 0.5
    two = jax.nn.softmax(model(jnp.asarray(changed).reshape(x.shape)))
    np.testing.assert_allclose(curves[:, 1], np.asarray(two)[[0, 1], CLASSES], atol=1e-5)
    # Nothing is left of the two inputs: all that differs is which class is asked for.
    np.testing.assert_allclose(curves[:, 2], np.asarray(jax.nn.softmax(model(jnp.full_like(x, 0.5))))[[0, 1], CLASSES])


def test_elements_rated_alike_go_in_a_random_order_that_stays(linear):
    model, x, _ = linear
    same = np.zeros((2, 6), np.float32)
    once, again = (deletion_curves(model, x, same, CLASSES, range(7), blank=0.0) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    in_order = deletion_curves(
        model, x, np.tile(np.arange(6, 0, -1, dtype=np.float32), (2, 1)), CLASSES, range(7), blank=0.0
    )
    assert np.abs(once - in_order).max() > 1e-3


def test_leaving_rows_out_is_the_models_own_mask(make, images):
    model, x = make(num_reads=2, num_blocks=2), images
    lost = occlusion_maps(model, x, CLASSES)
    assert lost.shape == (2, 16)
    keep = jnp.ones((2, 16), bool).at[:, 5].set(False)
    run = nnx.jit(lambda model, mask: model(x, mask=mask))
    change = np.asarray(run(model, jnp.ones((2, 16), bool)) - run(model, keep))
    np.testing.assert_allclose(lost[:, 5], change[[0, 1], CLASSES], atol=1e-5)
    curves = deletion_curves(model, x, lost, CLASSES, [0, 16])
    assert np.isfinite(curves).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: gradient_maps(jax.nn.relu, x, CLASSES), "gradient_maps looks into a model"),
        (lambda m, x: gradient_maps(m, x, CLASSES[:1]), r"one class for each of the 2 examples.*got shape \(1,\)"),
        (lambda m, x: occlusion_maps(m, x, CLASSES[:1]), "one class for each of the 2 examples"),
        (lambda m, x: deletion_curves(m, x, np.ones((2, 4), np.float32), CLASSES, [0]), r"must be \(2, 16\).*\(2, 4\)"),
        (lambda m, x: deletion_curves(m, x, np.ones((2, 16), np.float32), CLASSES, [17]), r"from 0 to 16.*\[17\]"),
    ],
)
def test_arguments_that_do_not_fit_are_named(make, images, call, message):
    with pytest.raises(ValueError, match=message):
        call(make(), np.asarray(images))


class Patches(Linear):
    """Reads rows that are no cells."""

    def embed(self, x):
        return jnp.zeros((len(x), 2, 8))


@pytest.mark.parametrize(("model", "rows"), [(Patches, "2 rows"), (Linear, "no rows")])
def test_rows_that_are_no_cells_cannot_be_left_out(model, rows, linear):
    with pytest.raises(ValueError, match=f"becomes {rows}. Blank values instead"):
        occlusion_maps(model(), linear[1], CLASSES)
