"""The statistics by which the doors' times are judged."""

import random

from bench.signups import mann_whitney


def test_the_same_times_look_alike_and_slower_ones_do_not():
    dice = random.Random(7)
    first, second = ([dice.gauss(10, 2) for _ in range(2000)] for _ in range(2))

    assert mann_whitney(first, second) > 0.01
    assert mann_whitney(first, [one + 0.3 for one in second]) < 0.01
    assert mann_whitney(first, first) > 0.9


def test_a_known_case_is_as_in_the_tables():
    """U is 3 of 25, so z is -1.98 and p is 0.047 without the correction for continuity."""
    assert round(mann_whitney([1, 2, 3, 5, 7], [4, 6, 8, 9, 10]), 3) == 0.047
