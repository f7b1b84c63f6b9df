"""The leak detector: clean on causal models, and not blind where a mask lets something through."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from perceiver_lab.adapters import TokenInput
from perceiver_lab.introspect import reach
from perceiver_lab.models import PerceiverAR, PerceiverARConfig

CONFIG = PerceiverARConfig(
    num_latents=3, latent_channels=8, max_context=7, num_self_attends=1, num_cross_heads=2, num_self_heads=2
)
TOKENS = jnp.array([[5, 3, 4, 8, 6, 7, 9], [5, 3, 4, 8, 0, 0, 0], [5, 3, 0, 0, 0, 0, 0]])


def look(change, **options):
    """What the latents of an untrained model reach, once its placement has been tampered with."""
    rngs = nnx.Rngs(0)
    adapter = TokenInput(11, 8, rngs=rngs)
    model = PerceiverAR(CONFIG, input_adapter=adapter, **{"zero_output": False, **options}, rngs=rngs)
    placement = model.place(TOKENS)
    wrong = change(placement)

    def answer(inputs):
        return model.predict(model.process(model.read(inputs, wrong), wrong))

    return reach(answer, model.embed(TOKENS, placement.positions), placement.latent_index)


def test_a_causal_model_leaks_nothing_and_reaches_all_that_came_before():
    found = look(lambda placement: placement)
    assert found.leaks == [] and found.sizes.shape == (3, 3, 7)
    np.testing.assert_array_equal(found.places, [[4, 5, 6], [1, 2, 3], [-1, 0, 1]])
    for sizes, place in zip(found.sizes.reshape(9, 7), found.places.ravel(), strict=True):
        if place >= 0:
            assert (sizes[: place + 1] > 0).all() and (sizes[place + 1 :] == 0).all()


def test_a_read_that_is_off_by_one_is_named():
    leaks = look(lambda placement: placement._replace(input_key=placement.input_key - 1)).leaks
    # The last latent of each example would read padding, which stays hidden, or nothing.
    assert [leak[:3] for leak in leaks] == [(0, 4, 5), (0, 5, 6), (1, 1, 2), (1, 2, 3), (2, 0, 1)]
    assert min(leak.size for leak in leaks) > 1e-4


def test_a_latent_layer_without_its_mask_is_named():
    leaks = look(lambda placement: placement._replace(latent_key=jnp.zeros_like(placement.latent_key))).leaks
    assert {leak[:3] for leak in leaks if leak.example == 0} == {(0, 4, 5), (0, 4, 6), (0, 5, 6)}


def test_a_detector_that_could_see_nothing_says_so():
    with pytest.raises(ValueError, match="depend on no input.*zero_output=False"):
        look(lambda placement: placement, zero_output=True)


def test_any_function_of_the_inputs_is_judged():
    inputs = jax.random.normal(jax.random.key(0), (1, 4, 2))
    summed = reach(lambda x: jnp.cumsum(x, axis=1), inputs, np.arange(4)[None])
    assert summed.leaks == [] and (summed.sizes[0] > 0).sum() == 10
    assert len(reach(lambda x: jnp.cumsum(x[:, ::-1], axis=1)[:, ::-1], inputs, np.arange(4)[None]).leaks) == 6
    with pytest.raises(ValueError, match=r"places must be \(B, N\) = \(1, 4\).*got \(4,\)"):
        reach(lambda x: x, inputs, np.arange(4))
