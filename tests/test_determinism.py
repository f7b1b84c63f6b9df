"""What `python -m tests.determinism` compares: the same for the same seed, another for everything that may differ."""

import dataclasses

from tests.determinism import digest, shipping
from tests.recipes.tiny import install


def test_a_digest_tells_seeds_steps_and_data_apart(monkeypatch, tmp_path):
    recipe = install(monkeypatch, tmp_path)
    other = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, dropout_rate=0.2))
    one = digest(recipe, 3)
    assert one == digest(recipe, 3)
    assert len({one, digest(recipe, 2), digest(recipe, 3, seed=1), digest(other, 3)}) == 4


def test_what_wants_a_network_is_left_out():
    assert "digits_ar" in shipping() and "imagenet_fourier_io" not in shipping()
