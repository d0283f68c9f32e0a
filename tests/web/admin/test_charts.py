"""Scales, ticks and positions of charts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nif.web.admin.charts import (
    PLOT_HEIGHT,
    TOP_MARGIN,
    ChartAxes,
    foot_labels,
    format_compact,
    format_percent,
    make_axes,
    round_ticks,
)


@pytest.mark.parametrize(
    ("low", "high", "min_step", "expected"),
    [
        (0, 100, 1, [0, 50, 100]),
        (0, 1, 1, [0, 1]),
        (0, 0, 1, [0, 1]),
        (-3, 14, 1, [-5, 0, 5, 10, 15]),
        (7, 7, 1, [7, 8]),
        (12_000, 14_900, 1, [12_000, 13_000, 14_000, 15_000]),
        (0, 0.00315, 0.00001, [0, 0.001, 0.002, 0.003, 0.004]),
    ],
)
def test_the_scale_has_round_numbers_around_its_values(
    low: float, high: float, min_step: float, expected: list[float]
) -> None:
    assert round_ticks(low, high, min_step=min_step) == expected


@settings(max_examples=200, deadline=None)
@given(st.floats(-1e9, 1e9).map(round), st.integers(0, 10**9), st.integers(1, 400))
def test_all_values_lie_within_the_axes(low: int, more: int, places: int) -> None:
    axes, ticks = make_axes(places, low, low + more)

    assert 2 <= len(ticks) <= 8
    assert ticks[0] <= low <= low + more <= ticks[-1]
    assert TOP_MARGIN <= axes.y(low + more) <= axes.y(low) <= TOP_MARGIN + PLOT_HEIGHT
    assert 0 < axes.x(0) <= axes.x(places - 1) < 100
    bar = axes.bar(places - 1, low, low + more, "subscribed")
    assert bar.x + bar.width <= 100.001
    assert len(foot_labels(axes, ["x"] * places)) == min(places, 5)


def test_a_line_is_interrupted_at_missing_values() -> None:
    axes = ChartAxes(4, 0, 10)

    lines = axes.lines([None, 5, None, 10], "line")

    assert [len(points.split()) for points, _ in lines] == [2, 2]
    assert lines[1][0].startswith(f"875.0,{TOP_MARGIN}")


def test_numbers_on_a_scale_are_short() -> None:
    assert [format_compact(n) for n in (0, 950, 1500, -20, 12_500, 1_000_000)] == [
        *("0", "950", "1,500", "−20", "12.5k", "1M")
    ]
    assert [format_percent(n) for n in (0, 0.00005, 0.001, 0.0012, 0.019, 0.5, 1)] == [
        *("0%", "0.005%", "0.1%", "0.12%", "1.9%", "50%", "100%")
    ]
