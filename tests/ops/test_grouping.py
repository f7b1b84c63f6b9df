import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_lab.ops import Cut, cut_groups, group, one_group, regroup, ungroup

SIZES = {"image": 19, "audio": 8}


def made(sizes, batch=2, channels=3):
    rng = np.random.default_rng(0)
    return {name: jnp.asarray(1 + rng.random((batch, size, channels), np.float32)) for name, size in sizes.items()}


def test_groups_go_where_the_most_elements_are():
    grouping = cut_groups(SIZES, 4)
    assert grouping.cuts == (
        Cut(name="image", size=19, num_groups=3, final_padding=2, group_padding=1),
        Cut(name="audio", size=8, num_groups=1, final_padding=0, group_padding=0),
    )
    assert (grouping.num_groups, grouping.group_size) == (4, 8)


def test_of_equals_the_first_gets_the_group():
    assert [cut.num_groups for cut in cut_groups({"b": 4, "a": 4}, 3).cuts] == [2, 1]


def test_zeros_stand_at_the_end_of_a_modality_and_of_each_group():
    x = made(SIZES)
    found = group(x, cut_groups(SIZES, 4))
    assert found.shape == (2, 4, 8, 3)
    image = x["image"]
    np.testing.assert_array_equal(found[:, 0, :7], image[:, :7])
    np.testing.assert_array_equal(found[:, 2, :5], image[:, 14:])
    np.testing.assert_array_equal(found[:, 3], x["audio"])
    padded = np.zeros((4, 8), bool)
    padded[:3, 7] = padded[2, 5:] = True
    np.testing.assert_array_equal(np.asarray(found == 0).all(axis=(0, 3)), padded)


def test_a_whole_group_can_be_padding():
    assert not np.asarray(group(made({"a": 5}), cut_groups({"a": 5}, 4)))[:, 3].any()


def test_one_group_holds_all_modalities_in_a_row():
    x, grouping = made(SIZES), one_group(SIZES)
    found = group(x, grouping)
    np.testing.assert_array_equal(found[:, 0], jnp.concatenate([x["image"], x["audio"]], axis=1))
    assert (grouping.num_groups, grouping.group_size, grouping.mixed) == (1, 27, True)


def test_the_order_of_the_batch_plays_no_part():
    x, grouping = made(SIZES), cut_groups(SIZES, 4)
    backwards = {name: x[name] for name in reversed(x)}
    np.testing.assert_array_equal(group(backwards, grouping), group(x, grouping))
    np.testing.assert_array_equal(jax.jit(lambda x: group(x, grouping))(x), group(x, grouping))
    other = cut_groups({name: SIZES[name] for name in reversed(SIZES)}, 4)
    assert not np.array_equal(group(x, other), group(x, grouping))


def test_a_mask_is_padded_with_false():
    valid = {name: jnp.ones((1, size, 1), bool) for name, size in SIZES.items()}
    found = group(valid, cut_groups(SIZES, 4))
    assert found.dtype == bool and int(found.sum()) == 27


@settings(max_examples=20)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4), more=st.integers(0, 12))
def test_ungroup_inverts_group(sizes, more):
    sizes = {f"m{number}": size for number, size in enumerate(sizes)}
    x, groupings = made(sizes, batch=1, channels=1), (cut_groups(sizes, len(sizes) + more), one_group(sizes))
    names = []

    @jax.jit
    def there_and_back(x):
        found = [ungroup(group(x, grouping), grouping) for grouping in groupings]
        names.extend(map(list, found))  # a jitted function gives dicts back in another order
        return found

    for grouping, back in zip(groupings, there_and_back(x), strict=True):
        assert names.pop(0) == list(sizes)
        for name in sizes:
            np.testing.assert_array_equal(back[name], x[name])
        total = sum(cut.num_groups * cut.group_padding + cut.final_padding for cut in grouping.cuts)
        assert grouping.num_groups * grouping.group_size == sum(sizes.values()) + total


@settings(max_examples=60)
@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=3), more=st.integers(0, 9))
def test_no_other_shares_make_the_largest_group_smaller(sizes, more):
    named = {f"m{number}": size for number, size in enumerate(sizes)}
    found = cut_groups(named, len(sizes) + more)
    smaller = found.group_size - 1
    # With groups of one row less, more groups would be needed than there are.
    assert not smaller or sum(-(-size // smaller) for size in sizes) > found.num_groups


def test_regrouping_merges_neighbours_or_cuts_into_runs():
    x = jnp.arange(24.0).reshape(1, 4, 6, 1)
    np.testing.assert_array_equal(regroup(x, 2)[0, 1, :, 0], np.arange(12, 24))
    np.testing.assert_array_equal(regroup(regroup(x, 2), 4), x)
    np.testing.assert_array_equal(regroup(x, 8)[0, 1, :, 0], [3, 4, 5])


def test_transposed_regrouping_fills_every_group_from_all():
    x = jnp.broadcast_to(jnp.arange(4.0)[None, :, None, None], (1, 4, 6, 1))  # each row says its group
    for row in regroup(x, 2, "transpose_reshape")[0, :, :, 0]:
        np.testing.assert_array_equal(row, [0, 1, 2, 3] * 3)


def test_into_one_group_both_hold_the_same_rows():
    x = jax.random.normal(jax.random.key(0), (1, 4, 6, 1))
    plain, transposed = (np.sort(regroup(x, 1, how).ravel()) for how in ("reshape", "transpose_reshape"))
    np.testing.assert_array_equal(plain, transposed)


@pytest.mark.parametrize(
    ("sizes", "num_groups", "message"),
    [
        ({"a": 3, "b": 2}, 1, r"1 groups cannot hold the 2 modalities \['a', 'b'\]: no group mixes two.*at least 2"),
        ({"a": 3, "b": 0}, 4, "at least one element each; got {'a': 3, 'b': 0}. Leave out what is empty"),
        ({}, 4, "at least one element each; got {}"),
    ],
    ids=["too many modalities", "empty modality", "no modality"],
)
def test_what_cannot_be_grouped_is_named(sizes, num_groups, message):
    with pytest.raises(ValueError, match=message):
        cut_groups(sizes, num_groups)


def test_an_empty_modality_is_refused_in_one_group_too():
    with pytest.raises(ValueError, match="at least one element each"):
        one_group({"a": 0})


def test_other_modalities_and_shapes_are_named():
    grouping = cut_groups(SIZES, 4)
    with pytest.raises(ValueError, match=r"elements: {'image': 19, 'audio': 8}; got {'image': 18, 'audio': 8}"):
        group(made({"image": 18, "audio": 8}), grouping)
    with pytest.raises(ValueError, match="got {'image': 19, 'sound': 8}"):
        group(made({"image": 19, "sound": 8}), grouping)
    with pytest.raises(ValueError, match=r"4 groups of 8 rows; got shape \(2, 4, 7, 3\)"):
        ungroup(jnp.zeros((2, 4, 7, 3)), grouping)
    with pytest.raises(ValueError, match="4 groups of 8 rows"):
        ungroup(jnp.zeros((2, 5, 8, 3)), grouping)


def test_regrouping_refuses_what_does_not_divide_and_what_it_does_not_know():
    x = jnp.zeros((1, 4, 6, 1))
    with pytest.raises(ValueError, match="4 groups of 6 rows cannot be shared out among 5 groups: 24 is no multiple"):
        regroup(x, 5)
    with pytest.raises(
        ValueError, match="regroup='transpose' is unknown; choose one of 'reshape', 'transpose_reshape'"
    ):
        regroup(x, 2, "transpose")
