"""Sizes of a Hierarchical Perceiver, and what is said where they do not fit."""

import dataclasses

import pytest

from perceiver_lab.models import HiPConfig

CONFIG = HiPConfig(
    num_groups=(4, 2, 1, 2, 4),
    num_self_attends_per_block=(1, 2, 2, 1, 1),
    num_latents=(4, 6, 8, 6, 4),
    latent_channels=(6, 8, 12, 10, 4),
    num_self_heads=(2, 4, 3, 5, 1),
    embedding_channels=4,
)


def test_one_number_counts_for_all_levels():
    assert CONFIG.num_cross_heads == (1,) * 5
    assert CONFIG.self_widening_factor == (4,) * 5
    assert (CONFIG.num_levels, CONFIG.processor) == (5, 2)


def test_latents_of_the_processor():
    assert CONFIG.processor_latents == (8, 8)
    assert dataclasses.replace(CONFIG, num_train_latents=6).processor_latents == (6, 8)
    assert dataclasses.replace(CONFIG, num_eval_latents=12).processor_latents == (8, 12)


def test_a_config_can_be_hashed_and_compared():
    assert hash(CONFIG) == hash(dataclasses.replace(CONFIG))
    assert dataclasses.replace(CONFIG, num_cross_heads=1) == CONFIG != dataclasses.replace(CONFIG, embedding_channels=8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_groups": (4, 2, 2, 4)}, "num_groups=.4, 2, 2, 4. must have an odd number of levels, with 1 group"),
        ({"num_groups": (4, 2, 2, 2, 4)}, "odd number of levels, with 1 group in the middle"),
        ({"num_groups": (4, 2, 1, 4, 4)}, "num_groups=.4, 2, 1, 4, 4. must be the same on the way down"),
        ({"num_latents": (4, 6, 8, 4, 4)}, "num_latents=.4, 6, 8, 4, 4. must be the same on the way down"),
        ({"latent_channels": (6, 8, 12)}, "latent_channels=.6, 8, 12. must be a number of at least 1 for each of 5"),
        ({"num_self_attends_per_block": (1, 0, 1, 1, 1)}, "num_self_attends_per_block=.1, 0, 1, 1, 1."),
        ({"num_latents": (3, 6, 8, 6, 3), "num_groups": (5, 2, 1, 2, 5)}, "5 groups of 3 latents .level 0. cannot"),
        ({"num_train_latents": 7}, "1 groups of 7 latents .level 2. cannot be shared out among 2 groups .level 3."),
        ({"num_train_latents": 9}, "num_train_latents=9 and num_eval_latents=None: give one of them, at most 8"),
        ({"num_eval_latents": 7}, "num_eval_latents=7: give one of them, at most 8 for training or at least 8 in all"),
        ({"num_train_latents": 6, "num_eval_latents": 10}, "num_train_latents=6 and num_eval_latents=10: give one"),
        ({"num_self_heads": 4}, "does not divide latent_channels=6"),
        ({"num_cross_heads": (1, 4, 1, 1, 1)}, "does not divide kv_channels=6"),
        ({"regroup": "transpose"}, "regroup='transpose' is unknown"),
        ({"dropout_rate": 1.0}, "dropout_rate=1.0 must be at least 0 and below 1"),
        ({"drop_path_rate": -0.1}, "drop_path_rate=-0.1 must be at least 0 and below 1"),
    ],
)
def test_sizes_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **changes)
