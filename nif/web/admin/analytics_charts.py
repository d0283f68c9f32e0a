"""The charts of the analytics page: subscriptions, growth, complaint and bounce rates."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date

from nif.sends.reports import SendStatistics
from nif.sends.reputation import EventRate
from nif.subscriptions.models import ListMetric
from nif.subscriptions.statistics import GrowthPeriod, merge_periods
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

IMPORT_METRICS = (ListMetric.IMPORTED, ListMetric.REMOVED)
DEPARTURES = (ListMetric.UNSUBSCRIBED, ListMetric.ERASED)
MONTHS_FROM_DAYS = 200
"""From this many days on, the labels under a chart name months instead of days."""


def draw_audience(periods: Sequence[GrowthPeriod]) -> Chart:
    """Confirmed subscriptions at the end of each period."""
    values = [period.confirmed for period in periods]
    # The scale starts at 0, unless that would flatten the line near the top of the chart.
    low = 0 if min(values) < max(values) / 2 else min(values)
    axes, ticks = make_axes(len(periods), low, max(max(values), low + 1))
    if axes.low < 0:
        axes, ticks = ChartAxes(axes.places, 0, axes.high), [tick for tick in ticks if tick >= 0]
    first, last = values[0], values[-1]
    chart = Chart(
        name="audience",
        title="Subscriptions at the end of each " + ("day" if _is_daily(periods) else "week"),
        description=f"Subscriptions: from {format_number(first)} to {format_number(last)}.",
        scale_labels=scale_labels(axes, ticks, format_compact),
        foot_labels=foot_labels(axes, _day_labels(periods)),
        zero=axes.y(axes.low),
        lines=axes.lines(values, "line"),
        hotspots=axes.hotspots(
            [f"{describe_period(period)}: {format_number(period.confirmed)}" for period in periods]
        ),
    )
    chart.dots = [
        ChartDot(axes.x(place), axes.y(period.confirmed), "file", _describe_file_changes(period))
        for place, period in enumerate(periods)
        if period.total_of(*IMPORT_METRICS)
    ]
    if chart.dots:
        chart.legend = [("line", "subscriptions"), ("file", "imported or removed by an import")]
    chart.dots.append(ChartDot(axes.x(len(periods) - 1), axes.y(last), "last", format_number(last)))
    return chart


def draw_traffic(periods: Sequence[GrowthPeriod]) -> Chart:
    """New subscribers, above the line; unsubscribes, bounces and complaints, below it.

    Imports are left out: a few days with a thousand each would make all others look empty.
    """
    net = [
        period.total_of(ListMetric.SUBSCRIBED) - period.total_of(*DEPARTURES) for period in periods
    ]
    high = max(max(period.total_of(ListMetric.SUBSCRIBED) for period in periods), 1)
    low = min(-max(period.total_of(*DEPARTURES) + period.unreachable for period in periods), *net)
    axes, ticks = make_axes(len(periods), min(low, 0), high)
    whole = merge_periods(periods)
    subscribed, departed = whole.total_of(ListMetric.SUBSCRIBED), whole.total_of(*DEPARTURES)
    chart = Chart(
        name="traffic",
        title="Subscribes and unsubscribes, by " + ("day" if _is_daily(periods) else "week"),
        description=f"{format_number(subscribed)} subscribed, "
        f"{format_number(departed)} unsubscribed, "
        f"{format_number(whole.unreachable)} bounced or complained.",
        scale_labels=scale_labels(axes, ticks, lambda value: format_compact(abs(value))),
        foot_labels=foot_labels(axes, _day_labels(periods)),
        zero=axes.y(0),
        lines=axes.lines(net, "net"),
        hotspots=axes.hotspots([_describe_traffic(period) for period in periods]),
        legend=[
            ("subscribed", "subscribed"),
            ("unsubscribed", "unsubscribed"),
            ("unreachable", "bounced or complained"),
            ("net", "subscribed minus unsubscribed"),
        ],
    )
    for place, period in enumerate(periods):
        went = period.total_of(*DEPARTURES)
        steps = (
            ("subscribed", 0, period.total_of(ListMetric.SUBSCRIBED)),
            ("unsubscribed", 0, -went),
            ("unreachable", -went, -went - period.unreachable),
        )
        chart.bars += [axes.bar(place, a, b, kind) for kind, a, b in steps if a != b]
    return chart


def draw_rates(
    name: str,
    days: Sequence[tuple[date, EventRate]],
    sends: Sequence[tuple[SendStatistics, EventRate]],
) -> Chart:
    """A rate over rolling seven days as a line, each send as a dot, its limits as lines."""
    limits = days[-1][1].limits
    target, maximum = format_percent(limits.target), format_percent(limits.maximum)
    ends = [day for day, _ in days]
    shown = [(send, rate) for send, rate in sends if send.day >= ends[0] and rate.share is not None]
    shares = [rate.share for _, rate in days]
    highest = max((share for share in [*shares, *(r.share for _, r in shown)] if share), default=0)
    top = max(highest, limits.maximum) * 1.05
    axes, ticks = make_axes(len(days), 0, top, min_step=limits.target / 100)
    known = [share for share in shares if share is not None]
    chart = Chart(
        name=name,
        title="Rolling seven days, and each send",
        description=f"The last seven days: {format_percent(known[-1])}; the highest: "
        f"{format_percent(highest)}. Target: below {target}; NIF pauses a send at {maximum}."
        if known
        else f"Too few mails for a rate. Target: below {target}.",
        scale_labels=scale_labels(axes, ticks, format_percent),
        foot_labels=foot_labels(axes, [_day_label(day, (ends[-1] - ends[0]).days) for day in ends]),
        zero=axes.y(0),
        lines=axes.lines(shares, "line"),
        hotspots=axes.hotspots([_describe_rate(day, rate) for day, rate in days]),
        limits=[
            (ChartLabel(axes.y(limits.target), f"target: below {target}"), "wanted"),
            (ChartLabel(axes.y(limits.maximum), f"limit: {maximum}"), "most"),
        ],
        legend=[
            ("line", "the last seven days"),
            ("send", "a send"),
            ("send high", "a send above the target"),
        ],
    )
    for send, rate in shown:
        kind = "send high" if rate.level.is_bad else "send"
        text = f"{send.subject}, {_day_label(send.day, 0)}: {format_percent(rate.share or 0)}"
        chart.dots.append(
            ChartDot(axes.x(bisect_left(ends, send.day)), axes.y(rate.share or 0), kind, text)
        )
    return chart


def describe_period(period: GrowthPeriod) -> str:
    """A day, or the first and last day of a period."""
    if period.first == period.last:
        return f"{period.last:%a} {_day_label(period.last, 0)}"
    return f"{_day_label(period.first, 0)} to {_day_label(period.last, 0)}"


def _describe_file_changes(period: GrowthPeriod) -> str:
    came, went = period.total_of(ListMetric.IMPORTED), period.total_of(ListMetric.REMOVED)
    changes = [f"{format_number(came)} imported"] if came else []
    changes += [f"{format_number(went)} removed by an import"] if went else []
    return f"{describe_period(period)}: {' and '.join(changes)}"


def _describe_traffic(period: GrowthPeriod) -> str:
    subscribed = format_number(period.total_of(ListMetric.SUBSCRIBED))
    more = (
        (ListMetric.IMPORTED, "imported"),
        (ListMetric.UNSUBSCRIBED, "unsubscribed"),
        (ListMetric.REMOVED, "removed by an import"),
        (ListMetric.ERASED, "erased"),
        (ListMetric.BOUNCED, "bounced"),
        (ListMetric.COMPLAINED, "complained"),
    )
    counts = [(period.total_of(metric), label) for metric, label in more]
    texts = [f"{format_number(count)} {label}" for count, label in counts if count]
    return ", ".join([f"{describe_period(period)}: {subscribed} subscribed", *texts])


def _describe_rate(day: date, rate: EventRate) -> str:
    share = "too few mails for a rate" if rate.share is None else format_percent(rate.share)
    return (
        f"The seven days to {_day_label(day, 0)}: {share} "
        f"({format_number(rate.events)} of {format_number(rate.mails)})"
    )


def _day_labels(periods: Sequence[GrowthPeriod]) -> list[str]:
    count = (periods[-1].last - periods[0].first).days
    return [_day_label(period.last, count) for period in periods]


def _day_label(day: date, count: int) -> str:
    return f"{day:%b %Y}" if count > MONTHS_FROM_DAYS else f"{day.day} {day:%b}"


def _is_daily(periods: Sequence[GrowthPeriod]) -> bool:
    return periods[-1].first == periods[-1].last
