"""Charts as SVG: scales, ticks and the position of every mark; and the charts of analytics.

Horizontal positions are percentages, so a chart fills its page while its text keeps its size.
Vertical positions are pixels. SVG polylines accept no percentages, so lines are drawn in a nested
SVG of LINE_UNITS units, which is stretched to the same width.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from math import ceil, floor, log10
from typing import NamedTuple

from nif.sends.reports import SendStatistics
from nif.sends.reputation import EventRate
from nif.subscriptions.models import ListMetric
from nif.subscriptions.statistics import GrowthPeriod, merge_periods
from nif.web.filters import format_number

LINE_UNITS = 1000
TOP_MARGIN, PLOT_HEIGHT = 16, 190
BAR_SHARE = 0.7
"""The share of a place's width that a bar fills."""


class ChartLabel(NamedTuple):
    """Text at a position: `at` is in pixels on the scale, in percent below the plot."""

    at: float
    text: str
    anchor: str = "middle"


class ChartBar(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    kind: str


class ChartDot(NamedTuple):
    x: float
    y: float
    kind: str
    text: str


@dataclass
class Chart:
    """A chart. `description` sums it up in a sentence for screen readers.

    `lines` are pairs of points and kind. `hotspots`, which show a tooltip where the pointer is over
    them, have a left edge, a width and a text.
    """

    name: str
    title: str
    description: str
    scale_labels: list[ChartLabel]
    foot_labels: list[ChartLabel]
    zero: float
    bars: list[ChartBar] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)
    limits: list[tuple[ChartLabel, str]] = field(default_factory=list)
    dots: list[ChartDot] = field(default_factory=list)
    hotspots: list[tuple[float, float, str]] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class ChartAxes:
    """The places of a chart, side by side, and its scale from `low` to `high`."""

    places: int
    low: float
    high: float

    def x(self, place: float) -> float:
        """The centre of a place, in percent."""
        return round(100 * (place + 0.5) / self.places, 3)

    def y(self, value: float) -> float:
        """A value's distance from the top, in pixels."""
        extent = (self.high - self.low) or 1
        return round(TOP_MARGIN + PLOT_HEIGHT * (self.high - value) / extent, 2)

    def bar(self, place: int, start: float, end: float, kind: str) -> ChartBar:
        """A bar from `start` to `end`, at least one pixel high so that it stays visible."""
        above, below = self.y(max(start, end)), self.y(min(start, end))
        width, height = BAR_SHARE * 100 / self.places, round(max(below - above, 1), 2)
        left = round(self.x(place) - width / 2, 3)
        return ChartBar(left, above, round(width, 3), height, kind)

    def lines(self, values: Sequence[float | None], kind: str) -> list[tuple[str, str]]:
        """A line through the values, interrupted where a value is missing."""
        segments: list[list[str]] = [[]]
        for place, value in enumerate(values):
            if value is None:
                segments.append([])
            else:
                segments[-1].append(f"{self.x(place) * LINE_UNITS / 100:.1f},{self.y(value)}")
        for points in segments:
            if len(points) == 1:
                # A polyline of one point is invisible, so a single value becomes a short line.
                x, y = points[0].split(",")
                points.append(f"{float(x) + 2:.1f},{y}")
        return [(" ".join(points), kind) for points in segments if points]

    def hotspots(self, texts: Sequence[str]) -> list[tuple[float, float, str]]:
        """One tooltip area for each place that has a text."""
        width = 100 / self.places
        return [
            (round(place * width, 3), round(width, 3), text)
            for place, text in enumerate(texts)
            if text
        ]


def make_axes(
    places: int, low: float, high: float, *, min_step: float = 1
) -> tuple[ChartAxes, list[float]]:
    """Axes that contain `low` and `high`, and the round values of their grid lines."""
    ticks = round_ticks(low, high, min_step=min_step)
    return ChartAxes(places, ticks[0], ticks[-1]), ticks


def round_ticks(low: float, high: float, *, target: int = 4, min_step: float = 1) -> list[float]:
    """About `target` round numbers, at least `min_step` apart, that enclose `low` and `high`."""
    step = max(_round_step((high - low or min_step) / target), min_step)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(n * step, 10) for n in range(first, max(last, first + 1) + 1)]


def scale_labels(
    axes: ChartAxes, ticks: Sequence[float], format_value: Callable[[float], str]
) -> list[ChartLabel]:
    return [ChartLabel(axes.y(value), format_value(value), "end") for value in ticks]


def foot_labels(axes: ChartAxes, texts: Sequence[str], limit: int = 5) -> list[ChartLabel]:
    """Labels under the plot: the first place, the last, and some between, evenly spaced."""
    if axes.places == 1:
        return [ChartLabel(50, texts[0])]
    count = min(limit, axes.places)
    chosen = [round(n * (axes.places - 1) / (count - 1)) for n in range(count)]
    labels = [ChartLabel(axes.x(place), texts[place]) for place in chosen]
    return [
        ChartLabel(0, labels[0].text, "start"),
        *labels[1:-1],
        ChartLabel(100, labels[-1].text, "end"),
    ]


def format_compact(value: float) -> str:
    """A number short enough for a scale: 950, 1,500, 25k, 1.2M."""
    size = abs(value)
    for unit, suffix in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit and size >= 10_000:
            return f"{value / unit:.2f}".rstrip("0").rstrip(".").replace("-", "−") + suffix
    return f"{value:,.0f}".replace("-", "−")


def format_percent(share: float) -> str:
    """0.0012 as 0.12%, with no more digits than the size of the number needs."""
    value = 100 * share
    digits = 0 if value >= 10 or value == 0 else 1 if value >= 1 else 2 if value >= 0.01 else 3
    text = f"{value:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


def _round_step(at_least: float) -> float:
    """The next number of 1, 2, 5, 10, 20, 50… times a power of ten."""
    power = 10.0 ** floor(log10(at_least))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= at_least * (1 - 1e-9))


IMPORT_METRICS = (ListMetric.IMPORTED, ListMetric.REMOVED)
DEPARTURES = (ListMetric.UNSUBSCRIBED, ListMetric.ERASED)
METRIC_LABELS = {
    ListMetric.IMPORTED: "imported",
    ListMetric.UNSUBSCRIBED: "unsubscribed",
    ListMetric.REMOVED: "removed by an import",
    ListMetric.ERASED: "erased",
    ListMetric.BOUNCED: "bounced",
    ListMetric.COMPLAINED: "complained",
}
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
    changes = _describe_counts(period, ListMetric.IMPORTED, ListMetric.REMOVED)
    return f"{describe_period(period)}: {' and '.join(changes)}"


def _describe_traffic(period: GrowthPeriod) -> str:
    subscribed = format_number(period.total_of(ListMetric.SUBSCRIBED))
    texts = _describe_counts(period, *METRIC_LABELS)
    return ", ".join([f"{describe_period(period)}: {subscribed} subscribed", *texts])


def _describe_counts(period: GrowthPeriod, *metrics: ListMetric) -> list[str]:
    """The counts that are not 0, such as "12 imported"."""
    counts = {metric: period.total_of(metric) for metric in metrics}
    return [f"{format_number(n)} {METRIC_LABELS[metric]}" for metric, n in counts.items() if n]


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
