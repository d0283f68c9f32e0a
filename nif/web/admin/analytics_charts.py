"""The charts of the figures: how many there are, who came and went, and how healthy the mail is."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date

from nif.sends.reports import SendStatistics
from nif.sends.reputation import EventRate, RateThresholds, ReputationLevel
from nif.subscriptions.models import ListMetric
from nif.subscriptions.statistics import GrowthPeriod
from nif.web.admin.chart_layout import (
    Chart,
    ChartAxes,
    ChartDot,
    ChartLabel,
    foot_labels,
    format_compact,
    format_percent,
    make_axes,
    scale_labels,
)
from nif.web.filters import format_number

FILE_COUNTS = (ListMetric.IMPORTED, ListMetric.REMOVED)
DEPARTURES = (ListMetric.LEFT, ListMetric.ERASED)
MONTHS_FROM_DAYS = 200
"""Days from which on a foot names months, and no days."""


def draw_audience(spans: Sequence[GrowthPeriod]) -> Chart:
    """How many were on the lists at the end of each span."""
    values = [one.confirmed for one in spans]
    # From nothing, unless all that is of interest would be a flat line far above.
    low = 0 if min(values) < max(values) / 2 else min(values)
    frame, lines = make_axes(len(spans), low, max(max(values), low + 1))
    frame, lines = _clip_at_zero(frame, lines)
    first, last = values[0], values[-1]
    made = Chart(
        name="audience",
        title="Subscriptions at the end of each " + ("day" if _is_daily(spans) else "week"),
        says=f"From {format_number(first)} to {format_number(last)} confirmed subscriptions.",
        scale=scale_labels(frame, lines, format_compact),
        foot=foot_labels(frame, _day_labels(spans)),
        zero=frame.y(frame.low),
        curves=frame.curves(values, "line"),
        spots=frame.spots(
            [f"{describe_span(one)}: {format_number(one.confirmed)}" for one in spans]
        ),
    )
    made.dots = [
        ChartDot(frame.x(place), frame.y(one.confirmed), "file", _describe_file_changes(one))
        for place, one in enumerate(spans)
        if one.of(*FILE_COUNTS)
    ]
    if made.dots:
        made.key = [("line", "subscriptions"), ("file", "brought in or taken off by a file")]
    made.dots.append(ChartDot(frame.x(len(spans) - 1), frame.y(last), "last", format_number(last)))
    return made


def draw_traffic(spans: Sequence[GrowthPeriod]) -> Chart:
    """What readers did: who joined, above the line; who left or got out of reach, below it.

    Files are not in it: of a few days with a thousand each, all others would look empty.
    """
    net = [one.of(ListMetric.JOINED) - one.of(*DEPARTURES) for one in spans]
    high = max(max(one.of(ListMetric.JOINED) for one in spans), 1)
    low = min(-max(one.of(*DEPARTURES) + one.out_of_reach for one in spans), *net)
    frame, lines = make_axes(len(spans), min(low, 0), high)
    joined, left = (
        sum(one.of(ListMetric.JOINED) for one in spans),
        sum(one.of(*DEPARTURES) for one in spans),
    )
    made = Chart(
        name="traffic",
        title="Who joined and who left, by " + ("day" if _is_daily(spans) else "week"),
        says=f"{format_number(joined)} joined, {format_number(left)} left, "
        f"{format_number(sum(one.out_of_reach for one in spans))} bounced or complained.",
        scale=scale_labels(frame, lines, lambda value: format_compact(abs(value))),
        foot=foot_labels(frame, _day_labels(spans)),
        zero=frame.y(0),
        curves=frame.curves(net, "net"),
        spots=frame.spots([_describe_traffic(one) for one in spans]),
        key=[
            ("joined", "joined"),
            ("went", "left"),
            ("lost", "bounced or complained"),
            ("net", "joined less left"),
        ],
    )
    for place, one in enumerate(spans):
        went = one.of(*DEPARTURES)
        steps = (
            ("joined", 0, one.of(ListMetric.JOINED)),
            ("went", 0, -went),
            ("lost", -went, -went - one.out_of_reach),
        )
        made.bars += [frame.bar(place, a, b, kind) for kind, a, b in steps if a != b]
    return made


def draw_rates(
    name: str,
    days: Sequence[tuple[date, EventRate]],
    sends: Sequence[tuple[SendStatistics, EventRate]],
    limit: RateThresholds,
) -> Chart:
    """A rate of seven days, for each of some days, the sends as dots, and the limits as lines."""
    ends = [day for day, _ in days]
    shown = [(one, rate) for one, rate in sends if one.day >= ends[0] and rate.share is not None]
    shares = [rate.share for _, rate in days]
    highest = max((share for share in [*shares, *(r.share for _, r in shown)] if share), default=0)
    frame, lines = make_axes(
        len(days), 0, max(highest, limit.most) * 1.05, least=limit.wanted / 100
    )
    known = [share for share in shares if share is not None]
    made = Chart(
        name=name,
        title="Seven days at a time, and each send",
        says=f"The last seven days: {format_percent(known[-1])}; the highest: "
        f"{format_percent(highest)}. "
        f"Wanted: below {format_percent(limit.wanted)}; refused from {format_percent(limit.most)}."
        if known
        else f"Too few mails for a rate. Wanted: below {format_percent(limit.wanted)}.",
        scale=scale_labels(frame, lines, format_percent),
        foot=foot_labels(frame, [_day_label(day, (ends[-1] - ends[0]).days) for day in ends]),
        zero=frame.y(0),
        curves=frame.curves(shares, "line"),
        spots=frame.spots([_describe_rate(day, rate) for day, rate in days]),
        limits=[
            (
                ChartLabel(frame.y(limit.wanted), f"wanted: below {format_percent(limit.wanted)}"),
                "wanted",
            ),
            (ChartLabel(frame.y(limit.most), f"limit: {format_percent(limit.most)}"), "most"),
        ],
        key=[
            ("line", "the last seven days"),
            ("send", "a send"),
            ("send high", "a send above what is wanted"),
        ],
    )
    for one, rate in shown:
        kind = "send" if rate.standing(limit) is ReputationLevel.GOOD else "send high"
        words = f"{one.subject}, {_day_label(one.day, 0)}: {format_percent(rate.share or 0)}"
        made.dots.append(
            ChartDot(frame.x(bisect_left(ends, one.day)), frame.y(rate.share or 0), kind, words)
        )
    return made


def describe_span(span: GrowthPeriod) -> str:
    """A day, or the days from and to."""
    if span.first == span.last:
        return f"{span.last:%a} {_day_label(span.last, 0)}"
    return f"{_day_label(span.first, 0)} to {_day_label(span.last, 0)}"


def _describe_file_changes(span: GrowthPeriod) -> str:
    came, went = span.of(ListMetric.IMPORTED), span.of(ListMetric.REMOVED)
    told = [f"{format_number(came)} brought in"] if came else []
    told += [f"{format_number(went)} taken off"] if went else []
    return f"{describe_span(span)}: {' and '.join(told)} by a file"


def _describe_traffic(span: GrowthPeriod) -> str:
    parts = [f"{describe_span(span)}: {format_number(span.of(ListMetric.JOINED))} joined"]
    more = (
        (span.of(ListMetric.IMPORTED), "brought in by a file"),
        (span.of(ListMetric.LEFT), "left"),
        (span.of(ListMetric.REMOVED), "taken off by a file"),
        (span.of(ListMetric.ERASED), "forgotten"),
        (span.of(ListMetric.BOUNCED), "bounced"),
        (span.of(ListMetric.COMPLAINED), "complained"),
    )
    return ", ".join(
        [*parts, *(f"{format_number(count)} {words}" for count, words in more if count)]
    )


def _describe_rate(day: date, rate: EventRate) -> str:
    told = "too few mails to say" if rate.share is None else format_percent(rate.share)
    return (
        f"The seven days to {_day_label(day, 0)}: {told} "
        f"({format_number(rate.part)} of {format_number(rate.whole)})"
    )


def _day_labels(spans: Sequence[GrowthPeriod]) -> list[str]:
    count = (spans[-1].last - spans[0].first).days
    return [_day_label(one.last, count) for one in spans]


def _day_label(day: date, count: int) -> str:
    return f"{day:%b %Y}" if count > MONTHS_FROM_DAYS else f"{day.day} {day:%b}"


def _is_daily(spans: Sequence[GrowthPeriod]) -> bool:
    return spans[-1].first == spans[-1].last


def _clip_at_zero(frame: ChartAxes, lines: list[float]) -> tuple[ChartAxes, list[float]]:
    if frame.low >= 0:
        return frame, lines
    return ChartAxes(frame.places, 0, frame.high), [value for value in lines if value >= 0]
