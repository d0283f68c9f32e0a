"""The statistics that compare response times of sign-ups."""

import random

from bench.signups import mann_whitney


def test_equal_distributions_are_accepted_and_slower_ones_rejected():
    random_numbers = random.Random(7)
    first, second = ([random_numbers.gauss(10, 2) for _ in range(2000)] for _ in range(2))

    assert mann_whitney(first, second) > 0.01
    assert mann_whitney(first, [one + 0.3 for one in second]) < 0.01
    assert mann_whitney(first, first) > 0.9


def test_the_probability_of_a_known_example_is_that_of_the_tables():
    """U is 3 of 25, so z is -1.98 and p is 0.047 without the correction for continuity."""
    assert round(mann_whitney([1, 2, 3, 5, 7], [4, 6, 8, 9, 10]), 3) == 0.047
