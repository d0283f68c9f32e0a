"""Where the marks of a chart go."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nif.web.admin.chart_layout import (
    PLOT,
    TOP,
    ChartAxes,
    foot_labels,
    format_compact,
    format_percent,
    make_axes,
    round_ticks,
)


@pytest.mark.parametrize(
    ("low", "high", "least", "expected"),
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
def test_a_scale_has_round_numbers(
    low: float, high: float, least: float, expected: list[float]
) -> None:
    assert round_ticks(low, high, least=least) == expected


@settings(max_examples=200, deadline=None)
@given(
    st.floats(-1e9, 1e9).map(round),
    st.integers(0, 10**9),
    st.integers(1, 400),
)
def test_whatever_is_shown_lies_within_its_frame(low: int, more: int, places: int) -> None:
    frame, lines = make_axes(places, low, low + more)

    assert 2 <= len(lines) <= 8
    assert lines[0] <= low <= low + more <= lines[-1]
    assert TOP <= frame.y(low + more) <= frame.y(low) <= TOP + PLOT
    assert 0 < frame.x(0) <= frame.x(places - 1) < 100
    bar = frame.bar(places - 1, low, low + more, "joined")
    assert bar.x + bar.width <= 100.001
    assert len(foot_labels(frame, ["x"] * places)) == min(places, 5)


def test_a_line_is_interrupted_where_nothing_is_known() -> None:
    frame = ChartAxes(4, 0, 10)

    found = frame.curves([None, 5, None, 10], "line")

    assert [len(one.points.split()) for one in found] == [2, 2]
    assert found[1].points.startswith(f"875.0,{TOP}")


def test_numbers_are_short_on_a_scale() -> None:
    assert [format_compact(n) for n in (0, 950, 1500, -20, 12_500, 1_000_000)] == [
        *("0", "950", "1,500", "−20", "12.5k", "1M")
    ]
    assert [format_percent(n) for n in (0, 0.00005, 0.001, 0.0012, 0.019, 0.5, 1)] == [
        *("0%", "0.005%", "0.1%", "0.12%", "1.9%", "50%", "100%")
    ]
