"""The lines of a lesson on which its explorer depends, and no others."""

import pytest

from book_slices import slice_of

LESSON = """
import math
import random
from collections import Counter as Count

size = 3
size = 4
print("LAB size", size)
rng = random.Random(0)
values = [value * size for value in range(10)]
value = expensive()
for number in range(3):
    values[number] = 0
total = sum(values)

def mean(numbers):
    total = sum(numbers)
    return total / len(numbers)

class Shown:
    size = 100
    def __init__(self, numbers):
        self.mean = mean(numbers)

def unused():
    return expensive()

left, right = Count("ab"), Count("cd")
holder = Shown([1])
holder.mean = 5
(lambda numbers: Shown(numbers))(values), right, holder
"""


def test_only_what_the_last_expression_needs_is_kept():
    kept = slice_of(LESSON)
    for line in ("from collections import Counter as Count", "size = 4", "def mean(numbers):", "holder.mean = 5"):
        assert line in kept, kept
    for line in ("math", "random", "size = 3", "print", "expensive", "total = sum(values)", "unused"):
        assert line not in kept, kept
    names = {}
    *lines, last = kept.split("\n")
    exec("\n".join(lines), names)
    shown, right, holder = eval(last, names)
    assert (shown.mean, dict(right), holder.mean) == (16.8, {"c": 1, "d": 1}, 5)


def test_what_a_loop_binds_is_its_own():
    kept = slice_of("number = expensive()\nout = {}\nfor number in range(2):\n    out[number] = number\nout")
    assert "expensive" not in kept
    assert slice_of(f"{kept}\nnumber").count("expensive") == 0


def test_code_that_ends_in_no_expression_is_refused():
    with pytest.raises(ValueError, match="must end in an expression, the explorer; it ends in 'x = 1'"):
        slice_of("x = 1")
